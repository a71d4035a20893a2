"""Leases of quotas, of many keys, and of rules that are reset or changed by a reload."""

from __future__ import annotations

import asyncio

import pytest

from gateway.rules.gcra import Rate
from gateway.state.ports import Limit
from tests.state.subject import Windows
from tests.state.virtual_time import run
from tests.state.world import World, one


def test_a_quota_is_not_exceeded_in_any_window_and_hardly_missed() -> None:
    async def main() -> None:
        world = World(gateways=3)
        rule = Limit("q", Rate(600, 1, 600), calendar=Windows(10, 0))
        await asyncio.sleep(10 - world.wall() % 10)
        start = world.now()
        await world.load(one(rule), 180, 40, [0, 1, 2])
        for window in range(4):
            passed = sum(start + 10 * window <= time < start + 10 * (window + 1) for time in world.passed)
            assert 570 <= passed <= 600
        assert world.unavailable == 0
        await world.close()

    run(main())


def test_what_is_held_of_a_quota_is_not_spent_in_the_next_window() -> None:
    async def main() -> None:
        world = World(gateways=3)
        rule = Limit("q", Rate(600, 1, 600), calendar=Windows(10, 0))
        await asyncio.sleep(10 - world.wall() % 10)
        await world.load(one(rule), 50, 10, [0, 1, 2])
        assert sum(held.tokens for leases in world.gateways for held in leases._table.values()) > 10
        await asyncio.sleep(10 - world.wall() % 10)
        world.passed.clear()
        await world.load(one(rule), 180, 9.9, [0, 1, 2])
        assert len(world.passed) == 600
        await world.close()

    run(main())


def test_what_nobody_spends_is_dropped() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(100, 1, 100))
        await world.load(one(rule), 50, 2, [0])
        [held] = world.gateways[0]._table.values()
        assert held.tokens > 1
        await asyncio.sleep(10)
        told = world.gateways[0].check(one(rule), world.now())
        assert told is None
        await world.close()

    run(main())


def test_a_quota_that_is_used_up_says_when_it_begins_anew() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("q", Rate(100, 1, 100), calendar=Windows(3600, 0))
        await asyncio.sleep(3600 - world.wall() % 3600 + 100)
        told = [await world.ask(one(rule)) for _ in range(101)]
        assert [standings[0].remaining for standings in told if standings] == [*range(99, -1, -1), 0]
        assert len(world.passed) == 100
        assert world.refused[0].retry_after == pytest.approx(3500, abs=1)
        assert world.refused[0].reset == pytest.approx(3500, abs=1)
        await world.close()

    run(main())


def test_keys_are_bounded_and_the_one_idle_longest_goes_first() -> None:
    async def main() -> None:
        world = World(capacity=100)
        rule = Limit("r", Rate(1000, 1, 1000))
        for number in range(250):
            await world.ask(one(rule, b"%d" % number))
            await world.ask(one(rule, b"0"))
            assert len(world.gateways[0]) <= 100
        assert rule.prefix + b"0" in world.gateways[0]._table
        assert len(world.passed) == 500
        await world.close()

    run(main())


def test_a_key_that_somebody_waits_for_stays() -> None:
    async def main() -> None:
        world = World(capacity=100)
        rule = Limit("r", Rate(1000, 1, 1000))
        for number in range(100):
            await world.ask(one(rule, b"%d" % number))
        world.shared.calls = 0
        await asyncio.gather(*(world.ask(one(rule, b"new %d" % number)) for number in range(150)))
        assert world.shared.calls == 150
        assert len(world.passed) == 250
        await world.ask(one(rule, b"last"))
        assert len(world.gateways[0]) == 100
        await world.close()

    run(main())


def test_a_key_that_is_reset_is_asked_for_anew() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1, 3600, 2))
        for key in (b"a", b"b"):
            for _ in range(3):
                await world.ask(one(rule, key))
        assert len(world.passed) == 4
        await world.shared.forget(rule, None)
        assert world.gateways[0].forget(rule, b"a") == 1
        assert world.gateways[0].forget(rule, b"a") == 0
        for key in (b"a", b"b"):
            await world.ask(one(rule, key))
        assert len(world.passed) == 5  # b is still believed to be empty
        assert world.gateways[0].forget(rule, None) == 2
        await world.ask(one(rule, b"b"))
        assert len(world.passed) == 6
        await world.close()

    run(main())


@pytest.mark.parametrize("burst", [4, 400])
def test_what_is_given_back_is_there_again(burst: int) -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1, 3600, burst))
        for _ in range(3 * burst):
            assert (await world.ask(one(rule)) or [])[0].allowed
            world.gateways[0].give_back(one(rule))
            await asyncio.sleep(0.002)
        await asyncio.sleep(3 * burst * 0.05 + 0.1)  # what could have drained by the longest wait was not given back
        world.passed.clear()
        for _ in range(burst + 10):
            await world.ask(one(rule))
        assert len(world.passed) == burst
        await world.close()

    run(main())


@pytest.mark.parametrize("calendar", [None, Windows(86_400 * 365, 0)])
def test_what_is_given_back_to_a_hand_that_was_filled_again_is_not_lost(calendar: Windows | None) -> None:
    """As where another rule refuses after a while, and so often that more is taken ahead meanwhile."""

    async def main() -> None:
        world = World(gateways=3)
        rule = Limit("r", Rate(400, 400 * 3600, 400), calendar=calendar)
        for _ in range(40):
            for cost in (3, 2):
                assert (await world.ask(one(rule, cost=cost)) or [])[0].allowed
                await asyncio.sleep(0.002)
            world.gateways[0].give_back(one(rule, cost=5), 0.004)
        await asyncio.sleep(40 * 5 * 0.1)  # what may have drained while they were away was not given back
        world.passed.clear()
        for _ in range(410):
            await world.ask(one(rule))
        assert len(world.passed) == 400
        await world.close()

    run(main())


def test_a_new_rate_holds_from_the_next_request_on() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1000, 1, 1000))
        await world.load(one(rule), 500, 0.5, [0])
        [held] = world.gateways[0]._table.values()
        still = held.tokens
        assert still > 20
        world.passed.clear()
        slower = Limit("r", Rate(10, 1, 10))
        for _ in range(still):
            standings = await world.ask(one(slower))
            assert standings is not None
            assert standings[0].remaining >= 9  # nothing of the shared bucket's was needed
        await world.load(one(slower), 100, 2, [0])
        assert still + 10 < len(world.passed) <= still + 10 + 20
        await world.close()

    run(main())


def test_a_new_quota_holds_from_the_next_request_on() -> None:
    async def main() -> None:
        world = World()
        calendar = Windows(3600, 0)
        for _ in range(100):
            await world.ask(one(Limit("q", Rate(1000, 1, 1000), calendar=calendar)))
        for limit, remaining in [(500, 399), (2000, 1898), (50, 0)]:
            quota = Limit("q", Rate(limit, 1, limit), calendar=calendar)
            standings = await world.ask(one(quota))
            assert standings is not None
            assert standings[0].remaining == remaining
        weekly = Limit("q", Rate(1000, 1, 1000), calendar=Windows(7 * 86_400, 0))
        assert world.gateways[0].check(one(weekly), world.now()) is None
        await world.close()

    run(main())
