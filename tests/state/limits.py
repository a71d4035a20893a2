"""Stand-ins for a shared state whose fate a test decides. What they count with is a real memory."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.rules.gcra import Rate, Standing
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit, Unavailable
from gateway.state.rate_rules import Counts, RunningRule, Way


class SharedMemory:
    """A `Shared` in this process: it is up or down, and answers or fails, as a test says."""

    def __init__(self, *, replicas: int = 1) -> None:
        self.up = True
        self.replicas = replicas
        self.failing = False
        self.calls = 0
        self.now = 1000.0
        self.buckets = MemoryBuckets()

    def _asked(self) -> MemoryBuckets:
        self.calls += 1
        if self.failing:
            raise Unavailable("failing")
        return self.buckets

    async def take(self, charges: Sequence[Charge]) -> list[Standing]:
        return self._asked().take(charges, self.now)

    async def take_some(self, limit: Limit, key: bytes, wanted: int, at_least: int) -> tuple[int, Standing]:
        standing = self._asked().look(limit, key, self.now)
        left = limit.rate.burst if standing is None else standing.remaining
        taken = min(wanted, left) if left >= at_least else 0
        return taken, self._asked().take([Charge(limit, key, taken or at_least)], self.now)[0]

    async def give_back(self, charges: Sequence[Charge], age: float = 0.0) -> None:
        self._asked().give_back(charges, self.now, age)

    async def force(self, charge: Charge) -> None:
        self._asked().force(charge, self.now)

    async def look(self, limit: Limit, key: bytes) -> Standing | None:
        return self._asked().look(limit, key, self.now)

    async def forget(self, limit: Limit, key: bytes | None) -> int:
        return self._asked().forget(limit, key)


def rule(
    name: str = "one", limit: int = 10, *, burst: int | None = None, way: Way = Way.LOCAL, shadow: bool = False
) -> RunningRule:
    """A rule of so many a second on ingress' route r."""
    rate = Rate(limit, 1.0, limit if burst is None else burst)
    return RunningRule(Limit(f"ingress/r/{name}", rate, shadow=shadow), Counts("r", name), way, route="r")
