"""Live values in this process's memory, where the config names neither a Redis nor a file: a restart forgets them."""

from __future__ import annotations

import time
from collections import deque

from gateway.flags.merging import NOTHING, later, merged, nobody
from gateway.flags.ports import MOST_CHANGES, Change, State


class MemoryStore:
    """See `ports.Store`."""

    kept = "memory"
    known = True

    def __init__(self) -> None:
        self.live = NOTHING
        self._changes = 0
        self._history: dict[str, deque[Change]] = {}
        self.learned = nobody

    @property
    def mark(self) -> bytes:
        """See `ports.Store`."""
        return b"%d" % self._changes

    async def start(self) -> None:
        """See `ports.Store`."""

    async def close(self) -> None:
        """See `ports.Store`."""

    async def put(self, change: Change, upon: bytes) -> bool:
        """See `ports.Store`."""
        if upon != self.mark:
            return False
        before = self.live.get(change.flag)
        kept = change._replace(when=later(time.time(), before))
        self._changes += 1
        self._history.setdefault(change.flag, deque(maxlen=MOST_CHANGES)).append(kept)
        self.live = merged(self.live, [kept])
        self.learned()
        return True

    async def history(self, flag: str, most: int) -> list[Change]:
        """See `ports.Store`."""
        return list(self._history.get(flag, ()))[: -most - 1 : -1]

    def health(self) -> State:
        """See `ports.Store`."""
        return "healthy", ""
