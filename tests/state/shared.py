"""Shared buckets in this process's memory: what replicas share in tests that have a clock of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.rules.gcra import Standing
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit, Unavailable


class SharedMemory:
    """`ports.SharedBuckets` round MemoryBuckets: each call decides half of `latency` after it was made."""

    def __init__(self, buckets: MemoryBuckets, clock: Callable[[], float], latency: float = 0.0) -> None:
        self._buckets = buckets
        self._clock = clock
        self.latency = latency
        self.down = False
        self.calls = 0

    async def take(self, charges: Sequence[Charge]) -> list[Standing]:
        await self._way()
        standings = self._buckets.take(charges, self._clock())
        await self._way_back()
        return standings

    async def take_some(self, limit: Limit, key: bytes, wanted: int, at_least: int) -> tuple[int, Standing]:
        await self._way()
        now = self._clock()
        seen = self._buckets.look(limit, key, now)
        all_of_it = limit.rate.burst if limit.calendar is None else limit.rate.limit
        there = all_of_it if seen is None else seen.remaining
        taken = min(wanted, there) if there >= at_least else 0
        [standing] = self._buckets.take([Charge(limit, key, taken or at_least)], now)
        assert standing.allowed == bool(taken)
        await self._way_back()
        return taken, standing

    async def give_back(self, charges: Sequence[Charge], age: float = 0.0) -> None:
        await self._way()
        self._buckets.give_back(charges, self._clock(), age)
        await self._way_back()

    async def force(self, charge: Charge) -> None:
        await self._way()
        self._buckets.force(charge, self._clock())
        await self._way_back()

    async def look(self, limit: Limit, key: bytes) -> Standing | None:
        await self._way()
        standing = self._buckets.look(limit, key, self._clock())
        await self._way_back()
        return standing

    async def forget(self, limit: Limit, key: bytes | None) -> int:
        await self._way()
        count = self._buckets.forget(limit, key)
        await self._way_back()
        return count

    async def _way(self) -> None:
        self.calls += 1
        if self.latency:
            await asyncio.sleep(self.latency / 2)
        if self.down:
            raise Unavailable

    async def _way_back(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency / 2)
