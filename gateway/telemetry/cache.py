"""What is counted of the cache, and the families that dashboards read.

A route's requests and a tier's look-ups are plain integers that their users add to; sizes are asked for at a scrape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from gateway.telemetry.histogram import Histogram
from gateway.telemetry.metrics import Family, HistogramFamily

MEMORY, REDIS = "memory", "redis"

#: What becomes of a request of a route with a cache, by the words that `result` has.
RESULTS = ("hit", "stale", "revalidated", "miss", "collapsed", "bypass", "error")

#: Reasons that one route counts apart; there are fewer, so past this something uses a label for free text.
REASONS = 32
_OTHER = "other"

#: Upper bounds in seconds: a look-up in memory takes a microsecond, a slow Redis as long as it is given.
BOUNDS = (
    0.000001, 0.0000025, 0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
    0.025, 0.05, 0.1, 0.25,
)  # fmt: skip


class RouteCounts:
    """One route's requests. Each result is an attribute to add to; `reasons` are those of what was not stored."""

    __slots__ = (
        "bypass",
        "collapsed",
        "error",
        "hit",
        "listener",
        "miss",
        "reasons",
        "revalidated",
        "route",
        "stale",
    )

    def __init__(self, listener: str, route: str) -> None:
        self.listener = listener
        self.route = route
        self.hit = self.stale = self.revalidated = self.miss = self.collapsed = self.bypass = self.error = 0
        self.reasons: dict[str, int] = {}

    def not_stored(self, why: Enum | str) -> None:
        """Count something that was not stored, or did not ask the cache, by one of our own short words."""
        reasons = self.reasons
        reason = why if isinstance(why, str) else str(why.value)
        if reason not in reasons and len(reasons) >= REASONS:
            reason = _OTHER
        reasons[reason] = reasons.get(reason, 0) + 1

    def results(self) -> dict[str, int]:
        """The counts by result."""
        return {result: getattr(self, result) for result in RESULTS}


class LookUps:
    """One tier's look-ups. Who counts them times some of them, and tells `observe`."""

    __slots__ = ("histogram", "hits", "misses", "observe")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.histogram = Histogram(BOUNDS)
        #: Count one duration, in seconds.
        self.observe: Callable[[float], None] = self.histogram.observe

    @property
    def mean(self) -> float | None:
        """Seconds that a look-up took, of those that were timed; None where none was."""
        timed = sum(self.histogram.counts)
        return self.histogram.total / timed if timed else None


class Size(Protocol):
    """How much a tier holds."""

    def __len__(self) -> int:
        """Stored responses."""

    @property
    def size(self) -> int:
        """Bytes that they take."""

    @property
    def evictions(self) -> int:
        """Those that had to make room, since the process began."""


class Found(Protocol):
    """What a tier has found so far."""

    hits: int
    misses: int


class Tier(NamedTuple):
    """One tier, as it is watched."""

    name: str
    #: The times of look-ups.
    times: LookUps
    found: Found
    #: None where nobody counts what it holds.
    size: Size | None
    up: Callable[[], bool]


class CacheMetrics:
    """All counters of the cache. Asking twice for a route gives the same counts, so they survive a reload."""

    def __init__(self) -> None:
        self.memory = LookUps()
        self.redis = LookUps()
        #: Asked for the fetches under way.
        self.flights: Callable[[], int] = int
        self._routes: dict[tuple[str, str], RouteCounts] = {}
        self._tiers: dict[str, Tier] = {}

    def route(self, listener: str, route: str) -> RouteCounts:
        """The counts of one route."""
        return self._routes.setdefault((listener, route), RouteCounts(listener, route))

    def forget_route(self, listener: str, route: str) -> None:
        """Let a removed route's counts vanish."""
        self._routes.pop((listener, route), None)

    def watch_memory(self, size: Size) -> None:
        """Ask the first tier's store how much it holds."""
        self._tiers[MEMORY] = Tier(MEMORY, self.memory, self.memory, size, lambda: True)

    def watch_redis(self, found: Found, up: Callable[[], bool]) -> None:
        """Read what the second tier has found, and whether it is up. What it holds, only the server knows."""
        self._tiers[REDIS] = Tier(REDIS, self.redis, found, None, up)

    def forget_redis(self) -> None:
        """There is no second tier any more."""
        self._tiers.pop(REDIS, None)

    def routes(self) -> Sequence[RouteCounts]:
        """Each route's counts."""
        return list(self._routes.values())

    def answers(self) -> tuple[int, int]:
        """Requests of all routes that needed no fetch of their own, and those that did."""
        results = Counter[str]()
        for counts in self._routes.values():
            results.update(counts.results())
        without = sum(results[name] for name in ("hit", "stale", "revalidated", "collapsed"))
        return without, results["miss"] + results["error"]

    def tiers(self) -> Sequence[Tier]:
        """Each tier, the first one first."""
        return [self._tiers[name] for name in (MEMORY, REDIS) if name in self._tiers]

    def families(self) -> Iterator[Family | HistogramFamily]:
        """Everything as it stands. Two listeners may have routes of one name: their counts are added."""
        yield from self._of_routes()
        yield from self._of_sizes()
        tiers = self.tiers()
        yield Family(
            "counter",
            "gateway_cache_look_ups_total",
            "Look-ups in a tier, by whether it had something.",
            ("tier", "result"),
            [
                sample
                for tier in tiers
                for sample in (((tier.name, "hit"), tier.found.hits), ((tier.name, "miss"), tier.found.misses))
            ],
        )
        yield HistogramFamily(
            "gateway_cache_seconds",
            "Look-ups in a tier; in memory some of them.",
            ("tier",),
            [((tier.name,), tier.times.histogram.snapshot()) for tier in tiers],
            BOUNDS,
        )
        yield Family("gauge", "gateway_cache_flights", "Fetches for the cache under way.", (), [((), self.flights())])

    def _of_routes(self) -> Iterator[Family]:
        results: Counter[tuple[str, ...]] = Counter()
        reasons: Counter[tuple[str, ...]] = Counter()
        for counts in self._routes.values():
            for result in RESULTS:
                results[counts.route, result] += getattr(counts, result)
            for reason, count in counts.reasons.items():
                reasons[counts.route, reason] += count
        yield Family(
            "counter",
            "gateway_cache_requests_total",
            "Requests of routes with a cache, by what became of them.",
            ("route", "result"),
            list(results.items()),
        )
        yield Family(
            "counter",
            "gateway_cache_not_stored_total",
            "Responses that were not stored, by why.",
            ("route", "reason"),
            list(reasons.items()),
        )

    def _of_sizes(self) -> Iterator[Family]:
        sizes = [(tier.name, tier.size) for tier in self.tiers() if tier.size is not None]
        yield Family(
            "gauge",
            "gateway_cache_entries",
            "Responses that a tier holds.",
            ("tier",),
            [((name,), len(size)) for name, size in sizes],
        )
        yield Family(
            "gauge",
            "gateway_cache_bytes",
            "Bytes that they take.",
            ("tier",),
            [((name,), size.size) for name, size in sizes],
        )
        yield Family(
            "counter",
            "gateway_cache_evictions_total",
            "Responses that had to make room for others.",
            ("tier",),
            [((name,), size.evictions) for name, size in sizes],
        )
