"""Random bytes for ids, drawn from the system in batches: a system call a request would cost more than the id."""

from __future__ import annotations

import os

_BATCH = 8192


class Entropy:
    """Gives out each random byte once. Not for keys: what is not used yet lies in memory."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """`count` random bytes, at most a batch."""
        at = self._at
        end = at + count
        if end > len(self._bytes):
            self._bytes = os.urandom(_BATCH)
            at, end = 0, count
        self._at = end
        return self._bytes[at:end]
