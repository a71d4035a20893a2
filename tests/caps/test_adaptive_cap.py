"""A cap that finds its limit itself: what it is told of ends, and who gets in when the limit moves."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from gateway.policies.in_flight import Adaptive
from tests.caps.capped import Request, cap, turns
from tests.support.exchanges import exchange

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")


async def test_what_was_held_for_a_starting_upstream_says_nothing_of_it() -> None:
    """Its seconds would be taken for the upstream's own for minutes, and every slowness after them for none."""
    one = cap(adaptive=Adaptive(floor=20, ceiling=100, window=0.05, baseline=60.0))
    assert one._adaptive is not None
    for early in (True, False):
        held = [exchange() for _ in range(20)]
        for each in held:
            assert one.enter(each, monotonic()) is None
            each.early, each.status = early, 200
        for each in held[1:]:
            each.end()
        await asyncio.sleep(0.06)
        held[0].end()
        assert one.in_flight == 0
        assert (one._adaptive.baseline == 0) == early


async def test_an_adaptive_cap_begins_at_its_floor_and_moves_by_what_ends() -> None:
    one = cap(adaptive=Adaptive(floor=4, ceiling=100, window=0.05, baseline=1.0))
    assert one.limit == 4
    assert one._adaptive is not None
    began = monotonic()
    while one.limit < 6:
        held = [exchange() for _ in range(one.limit)]
        assert all(one.enter(each, monotonic()) is None for each in held)
        assert one.enter(exchange(), monotonic()) is not None
        for each in held:
            each.status = 200
            each.end()
        await asyncio.sleep(0.005)
        assert monotonic() - began < 10
    assert one.in_flight == 0
    assert one._adaptive.baseline > 0


async def test_timeouts_shrink_it_and_refusals_of_others_say_nothing() -> None:
    one = cap(adaptive=Adaptive(floor=2, ceiling=100, window=0.05, baseline=1.0))
    assert one._adaptive is not None
    one._adaptive._set(64.0)
    one.limit = 64
    one._resize()

    def end(status: int, error: str) -> None:
        held = exchange()
        assert one.enter(held, monotonic()) is None
        held.status, held.error = status, error
        held.end()

    for _ in range(30):
        end(503, "breaker-open")
        await asyncio.sleep(0.003)
    assert one.limit == 64
    end(504, "headers-timeout")
    await asyncio.sleep(0.06)
    end(504, "headers-timeout")
    assert one.limit == 32


async def test_more_room_that_it_finds_goes_to_who_waits() -> None:
    one = cap(adaptive=Adaptive(floor=1, ceiling=100), queue=5, wait=5.0)
    assert one._adaptive is not None
    requests = [Request(one) for _ in range(4)]
    await turns()
    assert [request.holds for request in requests] == [True, False, False, False]
    one._adaptive._set(3.0)
    requests[0].finish()
    await turns()
    assert [request.holds for request in requests] == [False, True, True, True]
    for request in requests[1:]:
        request.finish()
        await request.ended()
