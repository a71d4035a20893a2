"""Leases of shared buckets, in virtual time: who passes, who waits for whom, and what is left behind."""

from __future__ import annotations

import asyncio
from math import ceil

import pytest

from gateway.rules.gcra import Rate
from gateway.state.ports import Charge, Limit, Spending, Spendings
from tests.state.virtual_time import run
from tests.state.world import World, one


def test_where_even_one_held_would_be_too_many_none_is() -> None:
    async def main() -> None:
        world = World(gateways=3)
        rule = Limit("r", Rate(1, 60, 5))
        for _ in range(3):
            await asyncio.gather(*(world.ask(one(rule), number % 3) for number in range(30)))
        assert len(world.passed) == 5
        assert all(held.tokens == 0 for leases in world.gateways for held in leases._table.values())
        await world.close()

    run(main())


def test_the_hot_path_asks_nobody() -> None:
    async def main() -> None:
        world = World(latency=0.002)
        rule = Limit("r", Rate(10_000, 1, 10_000))
        await world.load(one(rule), 1000, 1, [0])
        world.longest = calls = 0
        world.shared.calls = 0
        await world.load(one(rule), 1000, 10, [0])
        assert world.longest == 0
        calls = world.shared.calls
        assert calls < 100  # of 10,000 requests
        await world.close()

    run(main())


def test_spending_is_checking() -> None:
    """The quick way, for requests that pass by what is held, comes to the same as the way that tells everything."""

    async def main() -> None:
        whole, own = Limit("whole", Rate(1000, 1, 1000)), Limit("own", Rate(400, 1, 400))
        charges = [Charge(whole, b"*", 2), Charge(own, b"k", 1)]
        wanted = Spendings(
            [
                Spending(whole, 2, whole.prefix + b"*", str.encode),
                Spending(own, 1, None, lambda key: own.prefix + bytes(key)),
            ]
        )
        quick, slow = World(latency=0.002), World(latency=0.002)
        passed = 0
        for _ in range(300):
            now = quick.now()
            names: list[bytes] = []
            told = quick.gateways[0].spend(wanted, b"k", names, now)
            standings = slow.gateways[0].check(charges, now)
            if told is None:
                assert names == []
                for world in (quick, slow):
                    await world.ask(charges)
            else:
                passed += 1
                assert standings is not None
                assert told == [number for one in standings for number in (one.remaining, ceil(one.reset))]
                assert names == [limit.prefix + key for limit, key, _ in charges]
            await asyncio.sleep(0.005)
        assert passed > 200
        held = [{name: (one.tokens, one.tat) for name, one in w.gateways[0]._table.items()} for w in (quick, slow)]
        assert held[0] == held[1]
        for world in (quick, slow):
            await world.close()

    run(main())


def test_a_refusal_is_remembered_and_says_when_to_come_again() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(2, 1, 2))
        for _ in range(3):
            await world.ask(one(rule))
        calls = world.shared.calls
        for _ in range(20):
            told = world.gateways[0].check(one(rule), world.now())
            assert told is not None
            assert not told[0].allowed
            wait = told[0].retry_after
            assert 0.4 < wait <= 0.5
        assert world.shared.calls == calls
        await asyncio.sleep(wait)
        standings = await world.ask(one(rule))
        assert standings is not None
        assert standings[0].allowed
        await world.close()

    run(main())


def test_who_obeys_retry_after_is_not_refused() -> None:
    async def main() -> None:
        for limit, burst in [(7, 3), (50, 100), (5000, 100)]:
            world = World()
            rule = Limit("r", Rate(limit, 1, burst))
            for _ in range(20):
                standings = None
                while standings is None or standings[0].allowed:
                    standings = await world.ask(one(rule))
                    assert standings is not None
                await asyncio.sleep(standings[0].retry_after + 1e-6)
                standings = await world.ask(one(rule))
                assert standings is not None
                assert standings[0].allowed
            await world.close()

    run(main())


def test_no_rule_is_charged_for_a_request_that_another_refuses() -> None:
    async def main() -> None:
        world = World()
        for burst in (10, 1000):  # nothing held of the one, some of the other
            wide, narrow = Limit(f"w{burst}", Rate(burst, 3600, burst)), Limit(f"n{burst}", Rate(1, 3600, 1))
            both = [Charge(wide, b"k", 1), Charge(narrow, b"k", 1)]
            assert await world.ask(both) is not None
            for _ in range(5):
                world.passed.clear()
                await asyncio.gather(*(world.ask(both), world.ask(both)))
                assert world.passed == []
                await asyncio.sleep(1.1)
            for _ in range(burst - 1):
                await world.ask(one(wide))
            assert len(world.passed) == burst - 1
        await world.close()

    run(main())


def test_a_shadow_rule_refuses_nobody() -> None:
    async def main() -> None:
        world = World()
        shadow, real = Limit("s", Rate(1, 3600, 2), shadow=True), Limit("r", Rate(100, 3600, 100))
        told = [await world.ask([Charge(shadow, b"k", 1), Charge(real, b"k", 1)]) for _ in range(5)]
        assert [standings[0].allowed for standings in told if standings] == [True, True, False, False, False]
        assert len(world.passed) == 5
        await world.close()

    run(main())


def test_all_who_wait_share_one_answer_first_come_first_served() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1, 60, 20))
        tasks = [asyncio.create_task(world.ask(one(rule))) for _ in range(50)]
        told = [standings[0].allowed for standings in await asyncio.gather(*tasks) if standings]
        assert told == [True] * 20 + [False] * 30
        assert world.shared.calls == 1
        await world.close()

    run(main())


def test_no_more_wait_than_may_be_served() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1, 60, 10))
        for _ in range(4):
            await world.ask(one(rule))
        tasks = [asyncio.create_task(world.ask(one(rule))) for _ in range(50)]
        await asyncio.sleep(0)
        assert sum(task.done() for task in tasks) == len(world.refused) == 44
        assert all(0 < told.retry_after <= 60 * 6 for told in world.refused)
        await asyncio.wait(tasks)
        assert len(world.passed) == 10
        await world.close()

    run(main())


def test_costs_are_taken_whole() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1, 60, 1000))
        for cost, allowed in [(400, True), (400, True), (400, False), (200, True), (1, False), (1001, False)]:
            standings = await world.ask(one(rule, cost=cost))
            assert standings is not None
            assert standings[0].allowed is allowed, cost
        assert world.refused[-1].retry_after == -1
        await world.close()

    run(main())


def test_two_charges_on_one_key_both_count() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1, 60, 5))
        for _ in range(4):
            await world.ask([Charge(rule, b"k", 1), Charge(rule, b"k", 1)])
        assert len(world.passed) == 2
        await world.ask(one(rule))
        assert len(world.passed) == 3
        await world.close()

    run(main())


def test_the_fields_count_down_one_by_one() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(100, 3600, 100))
        told = [await world.ask(one(rule)) for _ in range(100)]
        assert [standings[0].remaining for standings in told if standings] == list(range(99, -1, -1))
        resets = [standings[0].reset for standings in told if standings]
        assert resets == pytest.approx([36 * (n + 1) for n in range(100)], abs=1)
        await world.close()

    run(main())


# ---- the shared state slow or gone


def test_no_answer_in_time_is_unavailable_in_time() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1000, 1, 1000))
        world.shared.latency = 30.0
        await asyncio.gather(*(world.ask(one(rule)) for _ in range(5)))
        assert world.unavailable == 5
        assert world.longest == pytest.approx(0.05)
        await world.gateways[0].close()

    run(main())


def test_what_is_held_can_be_spent_while_nobody_answers_and_afterwards_all_is_well() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1000, 1, 1000))
        await world.load(one(rule), 500, 1, [0])
        world.shared.down = True
        [held] = [held.tokens for held in world.gateways[0]._table.values()]
        assert held > 5
        world.passed.clear()
        for _ in range(held + 3):
            await world.ask(one(rule))
        assert len(world.passed) == held
        assert world.unavailable == 3
        world.shared.down = False
        assert await world.ask(one(rule)) is not None
        await world.close()

    run(main())


def test_only_so_many_wait() -> None:
    async def main() -> None:
        world = World(waiters=10)
        rule = Limit("r", Rate(1000, 1, 1000))
        await asyncio.gather(*(world.ask(one(rule)) for _ in range(25)))
        assert (len(world.passed), world.unavailable) == (10, 15)
        await world.close()

    run(main())


def test_clients_that_leave_while_they_wait_leave_no_more_than_may_be_held() -> None:
    async def main() -> None:
        world = World()
        rule = Limit("r", Rate(1, 60, 100))
        tasks = [asyncio.create_task(world.ask(one(rule))) for _ in range(50)]
        await asyncio.sleep(0.0005)
        for task in tasks[:-1]:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0.1)
        [held] = world.gateways[0]._table.values()
        assert (held.waiters, held.waiting, held.needed, held.refill) == (0, 0, 0, None)
        assert held.tokens <= 5
        for _ in range(150):
            await world.ask(one(rule))
        assert len(world.passed) == 100  # the others' have gone back
        await world.close()

    run(main())


def test_closing_ends_every_wait() -> None:
    async def main() -> None:
        world = World(latency=30.0)
        rule = Limit("r", Rate(1000, 1, 1000))
        waiting = asyncio.create_task(world.ask(one(rule)))
        await asyncio.sleep(0.01)
        await world.gateways[0].close()
        assert await waiting is None
        assert world.unavailable == 1

    run(main())
