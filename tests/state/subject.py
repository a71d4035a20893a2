"""What a memory of rate limits is tested with: it and its clock, and rules that no other test has."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Protocol

from gateway.rules.gcra import Rate, Standing
from gateway.state.ports import Charge, Limit, SharedBuckets

#: A sleep this much longer than needed is surely long enough, whatever a clock's grain is.
GRAIN = 0.002


class Subject(Protocol):
    """An implementation and its clock."""

    buckets: SharedBuckets

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> float:
        """Seconds since the epoch, by the clock that quotas go by."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Windows:
    """A calendar of equal windows, the first of which begins at `origin`."""

    def __init__(self, length: int, origin: int) -> None:
        self._length = length
        self._origin = origin

    def window(self, wall: float) -> tuple[float, float]:
        start = (wall - self._origin) // self._length * self._length + self._origin
        return start, start + self._length


def rule(limit: int, period: float, burst: int | None = None, **more: Any) -> Limit:
    """A rule with a name that no other test has."""
    return Limit(f"contract/{token_hex(8)}", Rate(limit, period, limit if burst is None else burst), **more)


async def one(subject: Subject, limit: Limit, cost: int = 1, key: bytes = b"k") -> Standing:
    [standing] = await subject.buckets.take([Charge(limit, key, cost)])
    return standing


async def left(subject: Subject, limit: Limit, key: bytes = b"k") -> int:
    """Tokens left, all of them where nothing is known."""
    standing = await subject.buckets.look(limit, key)
    return limit.rate.burst if standing is None else standing.remaining
