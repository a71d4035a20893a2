"""How much passes gateways that share a limit in leased mode: a twentieth more or less than promised at most."""

from __future__ import annotations

import asyncio

import pytest

from gateway.rules.gcra import Rate
from gateway.state.ports import Limit
from tests.state.virtual_time import run
from tests.state.world import World, one

#: Limit, period, burst, and for how many seconds.
RATES = [
    (1000, 1.0, 500, 2.0),
    (10_000, 1.0, 1000, 0.2),
    (100, 1.0, 100, 8.0),
    (600, 60.0, 200, 60.0),
    (20, 1.0, 3, 15.0),
]


@pytest.mark.parametrize(("limit", "period", "burst", "seconds"), RATES)
@pytest.mark.parametrize("over", [[0, 1, 2], [0], [0, 0, 0, 0, 1]], ids=["even", "one", "uneven"])
def test_under_three_times_the_load_as_many_pass_as_may(
    limit: int, period: float, burst: int, seconds: float, over: list[int]
) -> None:
    async def main() -> None:
        world = World(gateways=3)
        rule = Limit("r", Rate(limit, period, burst))
        start = world.now()
        await world.load(one(rule), 3 * limit / period, seconds, over)
        promised = burst + limit / period * (world.now() - start)
        assert promised * 0.95 <= len(world.passed) <= promised * 1.05
        assert world.most_over(rule) <= burst * 1.05 + 1
        assert world.unavailable == 0
        assert world.longest <= 0.01
        await world.close()

    run(main())


@pytest.mark.parametrize(("limit", "period", "burst", "seconds"), RATES)
def test_under_nine_tenths_of_the_load_all_pass(limit: int, period: float, burst: int, seconds: float) -> None:
    async def main() -> None:
        world = World(gateways=3)
        await world.load(one(Limit("r", Rate(limit, period, burst))), 0.9 * limit / period, seconds, [0, 1, 2])
        assert len(world.passed) == int(0.9 * limit / period * seconds)
        await world.close()

    run(main())


def test_a_burst_after_a_rest_exceeds_its_size_by_a_twentieth_at_most() -> None:
    async def main() -> None:
        world = World(gateways=3)
        rule = Limit("r", Rate(1000, 100, 1000))
        await world.load(one(rule), 900, 1, [0, 1, 2])  # so that all hold something
        world.passed.clear()
        await asyncio.sleep(99)
        await asyncio.gather(*(world.ask(one(rule), number % 3) for number in range(3000)))
        assert 1000 <= len(world.passed) <= 1050
        await world.close()

    run(main())
