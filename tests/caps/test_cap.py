"""A cap on a loop: who waits and for how long, and that no slot is lost or given twice in any race."""

from __future__ import annotations

import asyncio
from math import inf
from random import Random
from time import monotonic

import pytest

from gateway.errors import CallerInFlightFull, InFlightFull, KeyMissing
from gateway.gate import WAIT
from tests.caps.capped import Request, by_header, cap, counts, reconfigure, turns
from tests.support.exchanges import exchange
from tests.support.expect import assert_within

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")


# ---- the limit


async def test_so_many_and_no_more() -> None:
    one = cap(limit=2)
    requests = [Request(one) for _ in range(3)]
    await turns()
    assert [request.holds for request in requests] == [True, True, False]
    assert isinstance(await requests[2].ended(), InFlightFull)
    requests[0].finish()
    await turns()
    fourth = Request(one)
    await turns()
    assert fourth.holds
    for request in (requests[1], fourth):
        request.finish()
    await turns()
    assert counts(one) == (0, 0)
    assert (one.admitted, one.refused, one.timed_out) == (3, 1, 0)


async def test_a_refusal_names_the_cap_and_says_when() -> None:
    one = cap(limit=1)
    first = Request(one)
    error = await Request(one).ended()
    assert isinstance(error, InFlightFull)
    assert (error.status, error.proxy_error) == (503, "connection_limit_reached")
    assert "'all'" in error.detail
    assert error.retry_after == 1
    first.finish()
    await first.ended()


async def test_a_slot_is_given_back_once_at_the_exchanges_end_and_not_before() -> None:
    one = cap(limit=1)
    held = exchange()
    assert one.enter(held, monotonic()) is None
    assert one.enter(exchange(), monotonic()) is not None
    held.end()
    held.end()
    assert one.in_flight == 0


async def test_retry_after_is_what_slots_were_held() -> None:
    one = cap(limit=2)
    began = monotonic()
    for place in range(10):
        held = exchange()
        assert one.enter(held, began - 7.5 - 10 + place) is None  # now: 7.5 to 17.5 s ago
        held.status = 200
        held.end()
    holding = [exchange(), exchange()]
    assert [one.enter(each, monotonic()) for each in holding] == [None, None]
    error = one.enter(exchange(), monotonic())
    assert isinstance(error, InFlightFull)
    assert error.retry_after is not None
    assert 5 <= error.retry_after <= 9  # one of two comes free in half of that
    for each in holding:
        each.end()


# ---- the queue


@pytest.mark.parametrize(("order", "served"), [("fifo", [0, 1, 2]), ("lifo", [2, 1, 0])])
async def test_the_order(order: str, served: list[int]) -> None:
    one = cap(limit=1, queue=3, wait=5.0, order=order)
    first = Request(one)
    await turns()
    waiting = []
    for _ in range(3):
        waiting.append(Request(one))
        await turns()
    seen = []
    last = first
    for _ in range(3):
        last.finish()
        await turns()
        (last,) = [request for request in waiting if request.holds]
        seen.append(waiting.index(last))
    last.finish()
    await last.ended()
    assert seen == served
    assert counts(one) == (0, 0)


async def test_the_queue_has_an_end() -> None:
    one = cap(limit=1, queue=2, wait=5.0)
    requests = [Request(one) for _ in range(4)]
    await turns()
    assert counts(one) == (1, 2)
    assert isinstance(await requests[3].ended(), InFlightFull)
    for request in requests[:3]:
        request.finish()
        await turns()
    assert (one.admitted, one.refused) == (3, 1)


async def test_waiting_has_an_end_and_the_oldest_go_first() -> None:
    one = cap(limit=1, queue=2, wait=0.15, order="lifo")
    holding = Request(one)
    await turns()
    began = monotonic()
    waiting = [Request(one), Request(one)]
    assert isinstance(await waiting[0].ended(), InFlightFull)
    assert_within(monotonic() - began, 0.15)
    await waiting[1].ended()
    assert counts(one) == (1, 0)
    assert (one.refused, one.timed_out) == (0, 2)
    holding.finish()
    await holding.ended()


async def test_the_exchanges_own_deadline_ends_the_waiting_too() -> None:
    one = cap(limit=1, queue=1, wait=30.0)
    holding = Request(one)
    await turns()
    began = monotonic()
    assert isinstance(await Request(one, deadline=began + 0.15).ended(), InFlightFull)
    assert_within(monotonic() - began, 0.15)
    assert isinstance(await Request(one, deadline=began).ended(), InFlightFull), "it is over already"
    assert (one.refused, one.timed_out, one.queued) == (1, 1, 0)
    holding.finish()
    await holding.ended()


async def test_no_wait_is_no_queue() -> None:
    one = cap(limit=1, queue=5, wait=0.0)
    held = exchange()
    assert one.enter(held, monotonic()) is None
    assert isinstance(one.enter(exchange(), monotonic()), InFlightFull)


# ---- races


async def test_a_client_that_leaves_the_queue_gives_its_place_up_at_once() -> None:
    one = cap(limit=1, queue=1, wait=5.0)
    holding, leaving = Request(one), Request(one)
    await turns()
    leaving.task.cancel()
    await turns()
    assert counts(one) == (1, 0)
    third = Request(one)
    await turns()
    holding.finish()
    await turns()
    assert third.holds
    third.finish()
    await third.ended()
    assert (one.timed_out, one.refused) == (0, 0)


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_a_slot_that_comes_as_its_waiter_leaves_goes_to_the_next(cancelled_first: bool) -> None:
    """Both in one turn of the loop, in either order."""
    one = cap(limit=1, queue=2, wait=5.0)
    held = exchange()
    assert one.enter(held, monotonic()) is None
    leaving, staying = Request(one), Request(one)
    await turns()
    if cancelled_first:
        leaving.task.cancel()
        held.end()
    else:
        held.end()
        leaving.task.cancel()
    await turns()
    assert leaving.task.cancelled()
    assert staying.holds
    assert counts(one) == (1, 0)
    staying.finish()
    await staying.ended()
    assert counts(one) == (0, 0)


@pytest.mark.parametrize("timer_first", [True, False])
async def test_a_slot_that_comes_as_the_wait_ends_is_taken_or_left_but_not_lost(timer_first: bool) -> None:
    one = cap(limit=1, queue=1, wait=0.05)
    held = exchange()
    assert one.enter(held, monotonic()) is None
    waiting = Request(one)
    await turns()
    (waiter,) = one._whole._waiting or ()
    if timer_first:
        waiter.wake()  # what the timer does
        held.end()
    else:
        held.end()
        waiter.wake()
    await turns()
    assert waiting.holds
    assert counts(one) == (1, 0)
    waiting.finish()
    await waiting.ended()
    assert (one.in_flight, one.timed_out, one.admitted) == (0, 0, 2)


async def test_a_waiter_cancelled_before_it_has_run_leaves_nothing() -> None:
    one = cap(limit=1, queue=1, wait=5.0)
    held = exchange()
    assert one.enter(held, monotonic()) is None
    request = Request(one)
    request.task.cancel()
    await turns()
    assert counts(one) == (1, 0)


@pytest.mark.parametrize("order", ["fifo", "lifo"])
@pytest.mark.parametrize("keyed", [False, True])
async def test_a_storm_leaves_nothing_behind(order: str, keyed: bool) -> None:
    """Thousands of events in random order: never over the limit, never over the queue, and empty at the end."""
    random = Random(3)
    one = cap(by_header if keyed else None, limit=3, queue=4, wait=0.004, order=order)
    running: list[Request] = []
    keys = [b"a", b"b"] if keyed else [None]
    for step in range(3000):
        action = random.random()
        if action < 0.6 or not running:
            running.append(Request(one, random.choice(keys)))
        elif action < 0.9:
            random.choice(running).finish()
        else:
            random.choice(running).task.cancel()
        if step % 40 == 0:
            await asyncio.sleep(0.006)
        elif step % 3 == 0:
            await asyncio.sleep(0)
        running = [request for request in running if not request.task.done()]
        for key in keys:
            holding = sum(each.holds for each in running if not keyed or by_header(each.exchange) == key)
            assert holding <= 3
        assert one.in_flight <= 3 * len(keys)
        assert one.queued <= 4 * len(keys)
    for request in running:
        request.finish()
    await asyncio.gather(*(request.task for request in running), return_exceptions=True)
    assert counts(one) == (0, 0)
    assert len(one._by_key) == 0
    assert min(one.admitted, one.refused, one.timed_out) > 0
    fresh = [Request(one, keys[0]) for _ in range(3)]
    await turns()
    assert all(request.holds for request in fresh)
    for request in fresh:
        request.finish()
        await request.ended()


# ---- a reload


async def test_a_raised_limit_lets_in_who_waits_and_a_lowered_one_turns_nobody_out() -> None:
    one = cap(limit=1, queue=3, wait=5.0)
    requests = [Request(one) for _ in range(4)]
    await turns()
    reconfigure(one, limit=3, queue=3, wait=5.0)
    await turns()
    assert [request.holds for request in requests] == [True, True, True, False]
    reconfigure(one, limit=1, queue=0)
    assert counts(one) == (3, 1)
    for request in requests[:2]:
        request.finish()
        await turns()
        assert not requests[3].holds
    requests[2].finish()
    await turns()
    assert requests[3].holds
    requests[3].finish()
    await requests[3].ended()
    assert counts(one) == (0, 0)


async def test_a_cap_that_becomes_one_by_key_lets_go_of_who_was_in_before() -> None:
    one = cap(limit=1)
    held = exchange()
    assert one.enter(held, monotonic()) is None
    reconfigure(one, by_header, limit=1)
    other = exchange()
    assert one.enter(other, monotonic()) is None
    assert one.in_flight == 2
    held.end()
    other.end()
    assert one.in_flight == 0
    assert len(one._by_key) == 0


# ---- by key


async def test_each_key_has_slots_of_its_own() -> None:
    one = cap(by_header, limit=1, queue=1, wait=5.0)
    a, b, waiting, refused = Request(one, b"a"), Request(one, b"b"), Request(one, b"a"), Request(one, b"a")
    await turns()
    assert [a.holds, b.holds, waiting.holds] == [True, True, False]
    error = await refused.ended()
    assert isinstance(error, CallerInFlightFull)
    assert error.status == 429
    assert "'all'" in error.detail
    a.finish()
    await turns()
    assert waiting.holds
    for request in (b, waiting):
        request.finish()
        await request.ended()
    assert len(one._by_key) == 0


async def test_without_the_key() -> None:
    shares = cap(by_header, limit=1)
    held = exchange()
    assert shares.enter(held, monotonic()) is None
    assert isinstance(shares.enter(exchange(), monotonic()), CallerInFlightFull)
    held.end()
    skips = cap(by_header, limit=1, absent="skip")
    assert [skips.enter(exchange(), monotonic()) for _ in range(3)] == [None] * 3
    assert skips.in_flight == 0
    refuses = cap(by_header, limit=1, absent="refuse")
    error = refuses.enter(exchange(), monotonic())
    assert isinstance(error, KeyMissing)
    assert error.status == 400
    assert refuses.refused == 1


async def test_a_way_to_wait_is_offered_only_where_there_is_one() -> None:
    one = cap(limit=1, queue=1, wait=5.0)
    held = exchange()
    assert one.enter(held, monotonic()) is None
    assert one.enter(exchange(), monotonic()) is WAIT
    held.end()
    late = exchange()
    assert await one.queue_up(late, inf) is None, "room has come since"
    assert counts(one) == (1, 0)
    late.end()
