"""A shared state in this process, for several replicas in it: as slow, as gone and as broken as a test wants it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import count

from gateway.state.ports import Unavailable


class Shelf:
    """See `ports.SharedSlots`; what it promises, no more."""

    def __init__(self) -> None:
        self.leases: defaultdict[tuple[str, bytes], set[bytes]] = defaultdict(set)
        self.asked = 0
        self.gone = False
        self.broken = False
        #: Cleared, answers do not come, though what was asked has happened.
        self.answers = asyncio.Event()
        self.answers.set()
        self._numbers = count(1)

    async def acquire(self, cap: str, key: bytes, limit: int) -> bytes | None:
        self.asked += 1
        self._check()
        taken = self.leases[cap, key]
        lease = None
        if len(taken) < limit:
            lease = b"%d" % next(self._numbers)
            taken.add(lease)
        await asyncio.sleep(0)
        await self.answers.wait()
        return lease

    async def release(self, cap: str, key: bytes, lease: bytes) -> None:
        await asyncio.sleep(0)
        self._check()
        self.leases[cap, key].discard(lease)

    async def in_use(self, cap: str, key: bytes) -> int:
        self._check()
        return len(self.leases[cap, key])

    def _check(self) -> None:
        if self.broken:
            raise ValueError("a bug")
        if self.gone:
            raise Unavailable

    @property
    def taken(self) -> int:
        return sum(map(len, self.leases.values()))
