"""Caps that replicas share: the limit holds over all of them, waiters get in, and no lease is lost sight of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from time import monotonic
from typing import Any

import pytest

from gateway.caps.cap import Cap, Read
from gateway.caps.leases import Leases
from gateway.caps.shared_cap import SharedCap
from gateway.errors import CallerInFlightFull, InFlightFull
from gateway.gate import WAIT
from gateway.policies.in_flight import InFlightCap
from tests.caps.capped import Request, by_header, counts, reconfigure, turns, until
from tests.caps.shelf import Shelf
from tests.support.exchanges import exchange
from tests.support.expect import assert_within

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")


class Replicas:
    """Several gateways' caps of one id, over one shelf."""

    def __init__(self, number: int, read: Read | None, settings: InFlightCap) -> None:
        self.shelf = Shelf()
        self.bugs: list[BaseException] = []
        self.leases = [
            Leases(self.shelf, lambda: number, lambda _, error: self.bugs.append(error)) for _ in range(number)
        ]
        self.caps: list[Cap] = [
            SharedCap("ingress/generate/all", "generate", "all", settings, read, leases) for leases in self.leases
        ]


@asynccontextmanager
async def replicas(number: int, read: Read | None = None, **fields: Any) -> AsyncIterator[Replicas]:
    """At the end nobody holds or waits, and nothing is left on the shelf."""
    made = Replicas(number, read, InFlightCap(shared=True, **fields))
    yield made
    for leases in made.leases:
        async with asyncio.timeout(3):
            await leases.close()
        assert leases._turns == {}
    assert [counts(cap) for cap in made.caps] == [(0, 0)] * number
    assert all(len(cap._by_key) == 0 for cap in made.caps)
    if not made.shelf.gone:
        assert made.shelf.taken == 0


async def finish(*requests: Request) -> None:
    for request in requests:
        request.finish()
    await asyncio.gather(*(request.task for request in requests))


async def test_the_limit_holds_over_all_replicas() -> None:
    async with replicas(3, limit=4) as made:
        requests = [Request(made.caps[number % 3]) for number in range(12)]
        await turns(8)
        holding = [request for request in requests if request.holds]
        assert len(holding) == made.shelf.taken == 4
        assert sum(isinstance(request.error, InFlightFull) for request in requests) == 8
        await finish(*holding)


async def test_a_waiter_gets_in_when_a_slot_comes_free_here_without_waiting_for_its_turn_to_ask() -> None:
    async with replicas(1, limit=1, queue=1, wait=5.0) as made:
        (cap,) = made.caps
        first = Request(cap)
        await turns(8)
        second = Request(cap)
        await turns(8)
        assert counts(cap) == (1, 1)
        first.finish()
        await turns(12)
        assert second.holds
        await finish(first, second)


async def test_a_waiter_gets_in_when_a_slot_comes_free_elsewhere() -> None:
    async with replicas(2, limit=1, queue=1, wait=5.0) as made:
        here, there = made.caps
        first = Request(there)
        await turns(8)
        waiting = Request(here)
        await turns(8)
        assert counts(here) == (0, 1)
        await finish(first)
        await until(lambda: waiting.holds)
        await finish(waiting)


async def test_only_the_next_in_line_asks() -> None:
    async with replicas(2, limit=1, queue=50, wait=0.4) as made:
        here, there = made.caps
        first = Request(there)
        await turns(8)
        waiting = [Request(here) for _ in range(50)]
        await turns(8)
        asked = made.shelf.asked
        assert asked >= 51, "each has asked once"
        await asyncio.gather(*(request.task for request in waiting))
        assert made.shelf.asked - asked <= 17  # 0.4 s, at least 25 ms between two
        assert here.timed_out == 50
        await finish(first)


async def test_the_queue_has_an_end_and_the_wait_too() -> None:
    async with replicas(1, limit=1, queue=1, wait=0.15) as made:
        (cap,) = made.caps
        first = Request(cap)
        await turns(8)
        began = monotonic()
        second, third = Request(cap), Request(cap)
        assert isinstance(await third.ended(), InFlightFull)
        assert monotonic() - began < 0.1
        assert isinstance(await second.ended(), InFlightFull)
        assert_within(monotonic() - began, 0.15)
        assert (cap.refused, cap.timed_out) == (1, 1)
        await finish(first)


async def test_what_is_clear_without_asking_is_refused_without_asking() -> None:
    async with replicas(1, limit=1) as made:
        (cap,) = made.caps
        first = Request(cap)
        await turns(8)
        asked = made.shelf.asked
        assert isinstance(cap.enter(exchange(), monotonic()), InFlightFull)
        assert made.shelf.asked == asked
        await finish(first)
        assert cap.enter(exchange(), monotonic()) is WAIT


@pytest.mark.parametrize(("order", "served"), [("fifo", [0, 1, 2]), ("lifo", [2, 1, 0])])
async def test_the_order(order: str, served: list[int]) -> None:
    async with replicas(1, limit=1, queue=3, wait=5.0, order=order) as made:
        last = Request(made.caps[0])
        await turns(8)
        waiting = []
        for _ in range(3):
            waiting.append(Request(made.caps[0]))
            await turns(8)
        seen = []
        for _ in range(3):
            last.finish()
            await turns(12)
            (last,) = [request for request in waiting if request.holds]
            seen.append(waiting.index(last))
        await finish(last)
        assert seen == served


async def test_each_key_has_its_own() -> None:
    async with replicas(2, by_header, limit=1) as made:
        first = Request(made.caps[0], b"a")
        await turns(8)
        other, same = Request(made.caps[1], b"b"), Request(made.caps[1], b"a")
        await turns(8)
        assert other.holds
        assert isinstance(same.error, CallerInFlightFull)
        assert made.shelf.leases["ingress/generate/all", b"a"]
        await finish(first, other)


# ---- who leaves


async def test_who_leaves_while_it_asks_leaves_no_lease_behind() -> None:
    async with replicas(1, limit=1) as made:
        made.shelf.answers.clear()
        leaving = Request(made.caps[0])
        await turns(8)
        assert made.shelf.taken == 1
        leaving.task.cancel()
        await turns()
        assert leaving.task.cancelled()
        made.shelf.answers.set()
        await until(lambda: made.shelf.taken == 0)


async def test_who_leaves_in_the_turn_in_which_the_answer_comes_leaves_no_lease_behind() -> None:
    """At each of the turns that asking takes."""
    for turn in range(8):
        async with replicas(1, limit=1) as made:
            leaving = Request(made.caps[0])
            await turns(turn)
            leaving.task.cancel()
            await until(lambda made=made: made.shelf.taken == 0 and not made.leases[0]._tasks)  # type: ignore[misc]


async def test_who_leaves_in_the_turn_in_which_it_is_let_in_leaves_its_lease_to_the_next() -> None:
    for turn in range(14):
        async with replicas(1, limit=1, queue=2, wait=5.0) as made:
            first = Request(made.caps[0])
            await turns(8)
            leaving = Request(made.caps[0])
            await turns(8)
            staying = Request(made.caps[0])
            await turns(8)
            first.finish()
            await turns(turn)
            leaving.task.cancel()
            leaving.finish()
            await until(lambda staying=staying: staying.holds)  # type: ignore[misc]
            assert made.shelf.taken == 1
            await finish(first, staying)


async def test_a_lease_that_comes_when_all_waiters_have_left_is_given_back() -> None:
    async with replicas(2, limit=1, queue=1, wait=5.0) as made:
        here, there = made.caps
        first = Request(there)
        await turns(8)
        waiting = Request(here)
        await turns(8)
        made.shelf.answers.clear()
        asked = made.shelf.asked
        first.finish()
        await until(lambda: made.shelf.asked > asked and made.shelf.taken == 1)
        waiting.task.cancel()
        await turns()
        made.shelf.answers.set()
        await until(lambda: made.shelf.taken == 0)


async def test_a_storm_leaves_nothing_behind() -> None:
    random = Random(5)
    async with replicas(2, by_header, limit=3, queue=4, wait=0.05) as made:
        running: list[Request] = []
        for step in range(2000):
            action = random.random()
            if action < 0.6 or not running:
                running.append(Request(random.choice(made.caps), random.choice([b"a", b"b"])))
            elif action < 0.9:
                random.choice(running).finish()
            else:
                random.choice(running).task.cancel()
            if step % 40 == 0:
                await asyncio.sleep(0.006)
            elif step % 3 == 0:
                await asyncio.sleep(0)
            running = [request for request in running if not request.task.done()]
            for key in (b"a", b"b"):
                assert sum(each.holds and by_header(each.exchange) == key for each in running) <= 3
            assert all(cap.queued <= 8 for cap in made.caps)
        for request in running:
            request.finish()
        await asyncio.gather(*(request.task for request in running), return_exceptions=True)
        assert made.bugs == []
        assert min(cap.admitted for cap in made.caps) > 10


# ---- without the shared state


async def test_without_it_each_replica_lets_in_its_share() -> None:
    async with replicas(3, limit=10) as made:
        made.shelf.gone = True
        requests = [Request(made.caps[0]) for _ in range(5)]
        await turns(8)
        assert sum(request.holds for request in requests) == 3
        assert sum(isinstance(request.error, InFlightFull) for request in requests) == 2
        await finish(*(request for request in requests if request.holds))


async def test_at_least_one_is_let_in() -> None:
    async with replicas(3, limit=2) as made:
        made.shelf.gone = True
        one = Request(made.caps[0])
        await turns(8)
        assert one.holds
        await finish(one)


async def test_what_was_leased_before_counts_among_the_share() -> None:
    async with replicas(2, limit=4, queue=1, wait=5.0) as made:
        before = [Request(made.caps[0]) for _ in range(3)]
        await turns(8)
        made.shelf.gone = True
        waiting = Request(made.caps[0])
        await turns(8)
        assert not waiting.holds
        await finish(*before[:1])
        await turns(8)
        assert not waiting.holds, "two are its share"
        await finish(*before[1:2])
        await until(lambda: waiting.holds)
        made.shelf.gone = False
        await finish(before[2], waiting)
        await made.leases[0].close()
        assert made.leases[0].lost == 2, "those that could not be given back; they run out"
        made.shelf.leases.clear()


async def test_when_it_comes_back_who_waits_asks_it() -> None:
    async with replicas(2, limit=2, queue=1, wait=5.0) as made:
        made.shelf.gone = True
        first = Request(made.caps[0])
        await turns(8)
        waiting = Request(made.caps[0])
        await turns(8)
        assert (first.holds, waiting.holds) == (True, False)
        made.shelf.gone = False
        await until(lambda: waiting.holds)
        assert made.shelf.taken == 1
        await finish(first, waiting)


async def test_a_bug_there_is_no_refusal_here() -> None:
    async with replicas(1, limit=2) as made:
        made.shelf.broken = True
        one = Request(made.caps[0])
        await turns(8)
        assert one.holds
        assert [type(bug) for bug in made.bugs] == [ValueError]
        await finish(one)


async def test_a_lower_limit_holds_from_the_next_on() -> None:
    async with replicas(1, limit=3) as made:
        (cap,) = made.caps
        requests = [Request(cap) for _ in range(3)]
        await turns(8)
        reconfigure(cap, shared=True, limit=2)
        assert cap.in_flight == 3
        await finish(requests[0])
        assert isinstance(await Request(cap).ended(), InFlightFull)
        await finish(*requests[1:])
