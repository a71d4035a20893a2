"""Gateways that lease tokens of one shared memory, in virtual time, and what passed them when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.rules.gcra import Standing
from gateway.state.leases import Leases
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit, Unavailable
from tests.state.shared import SharedMemory


class World:
    """A shared memory, gateways, and what passed when."""

    def __init__(self, gateways: int = 1, latency: float = 0.001, **more: int) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.wall = lambda: 1_790_000_000.0 + loop.time()
        self.shared = SharedMemory(MemoryBuckets(wall=self.wall), self.now, latency)
        self.gateways = [Leases(self.shared, lambda: gateways, clock=self.now, **more) for _ in range(gateways)]
        self.passed: list[float] = []
        self.refused: list[Standing] = []
        self.unavailable = 0
        self.longest = 0.0

    async def ask(self, charges: Sequence[Charge], gateway: int = 0) -> list[Standing] | None:
        leases, begun = self.gateways[gateway], self.now()
        standings = leases.check(charges, begun)
        if standings is None:
            try:
                standings = await leases.wait(charges)
            except Unavailable:
                self.unavailable += 1
                return None
            finally:
                self.longest = max(self.longest, self.now() - begun)
        if all(s.allowed or one.limit.shadow for s, one in zip(standings, charges, strict=True)):
            self.passed.append(self.now())
        else:
            self.refused.append(next(s for s in standings if not s.allowed))
        return standings

    async def load(self, charges: Sequence[Charge], a_second: float, seconds: float, over: Sequence[int]) -> None:
        """Requests at a steady rate, to the gateways in turn."""
        start = self.now()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(a_second * seconds)):
                await asyncio.sleep(start + number / a_second - self.now())
                leases = self.gateways[over[number % len(over)]]
                standings = leases.check(charges, self.now())
                if standings is None:
                    tasks.create_task(self.ask(charges, over[number % len(over)]))
                elif all(s.allowed for s in standings):
                    self.passed.append(self.now())

    def most_over(self, limit: Limit) -> float:
        """The most, in tokens, by which any window's passing exceeds what its length allows without a burst."""
        worst = 0.0
        least = 0.0
        for count, time in enumerate(self.passed):
            behind = count - limit.rate.limit / limit.rate.period * time
            least = behind if count == 0 else min(least, behind)
            worst = max(worst, behind + 1 - least)
        return worst

    async def close(self) -> None:
        await asyncio.sleep(1)
        for leases in self.gateways:
            await leases.close()


def one(limit: Limit, key: bytes = b"k", cost: int = 1) -> list[Charge]:
    return [Charge(limit, key, cost)]
