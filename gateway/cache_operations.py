"""The running cache as the admin API asks for it, and its warmer's plan. Only assembly imports this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, cast

from gateway.admin import ports
from gateway.cache.commons import Commons
from gateway.cache.memory_store import MemoryStore
from gateway.cache.ranking import Ranked
from gateway.cache.warm_list import Plan, Progress, Wanted
from gateway.cache.warming import Warmer
from gateway.rules import cache_key, request_target
from gateway.rules.purge import Kind, Purge
from gateway.settings import Settings
from gateway.telemetry.cache import REDIS, CacheMetrics, Tier

#: Seconds for which a purge's answer waits for the other replicas to be told.
_TELL = 1.0


class Replicas(Protocol):
    """The way to the other replicas' caches."""

    @property
    def purges_waiting(self) -> int:
        """Purges that they have not been told of."""

    async def told(self, within: float) -> bool:
        """Wait until they have, so many seconds at most; whether they have."""


class Cache:
    """The cache, its counts and its warmer. `replicas` gives None where this process is alone."""

    def __init__(
        self,
        commons: Commons,
        store: MemoryStore,
        metrics: CacheMetrics,
        warmer: Warmer,
        replicas: Callable[[], Replicas | None],
        settings: Callable[[], Settings],
    ) -> None:
        self._commons = commons
        self._store = store
        self._metrics = metrics
        self._warmer = warmer
        self._replicas = replicas
        self._settings = settings

    def stats(self) -> ports.CacheStats:
        """See ports."""
        routes = self._metrics.routes()
        replicas = self._replicas()
        return {
            "hit_ratio": _ratio(counts.results() for counts in routes),
            "flights": self._commons.flying(),
            "tiers": [self._tier(tier) for tier in self._metrics.tiers()],
            "routes": [
                {
                    "listener": counts.listener,
                    "route": counts.route,
                    "hit_ratio": _ratio([counts.results()]),
                    "results": cast("ports.CacheResults", counts.results()),
                    "not_stored": [
                        {"reason": reason, "count": count} for reason, count in sorted(counts.reasons.items())
                    ],
                }
                for counts in routes
            ],
            "purges": {
                "seen": self._commons.purges.version,
                "waiting": 0 if replicas is None else replicas.purges_waiting,
            },
            "warming": self.warming(),
        }

    def top(self, number: int) -> ports.CacheTop:
        """See ports."""
        return {
            "hottest": [_key(ranked) for ranked in self._store.top(number)],
            "coldest": [_key(ranked) for ranked in self._store.coldest(number)],
        }

    async def purge(self, by: ports.PurgeBy, value: str, *, soft: bool) -> ports.Purged:
        """See ports."""
        host, wanted = _target(value) if by == "url" else (None, value.encode())
        purged, _ = self._commons.purge(Purge(Kind(by), wanted, host, soft))
        replicas = self._replicas()
        told = None if replicas is None else await replicas.told(_TELL)
        return {"purged": purged, "soft": soft, "replicas_told": told}

    def warming(self) -> ports.Warming:
        """See ports."""
        return _warming(self._warmer.progress())

    def warm(self, urls: list[str]) -> ports.Warming:
        """See ports. A URL that the config lists is asked for with the fields that it has there."""
        plan = self._warmer.plan
        if not urls and not plan.urls and plan.sitemap is None:
            raise ports.Conflict("The config lists nothing to warm; name URLs.")
        if not urls:
            return _warming(self._warmer.warm())
        warm = self._settings().cache.warm
        origin = "" if warm is None or warm.origin is None else str(warm.origin)
        if not origin and any(url.startswith("/") for url in urls):
            raise ports.Conflict(
                "A path needs cache.warm.origin in the config; without it, URLs need scheme and host."
            )
        wanted: list[Wanted] = []
        for url in urls:
            whole = (origin + url if url.startswith("/") else url).encode("ascii")
            wanted += [one for one in plan.urls if one.url == whole] or [Wanted(whole)]
        return _warming(self._warmer.warm(wanted))

    def _tier(self, tier: Tier) -> ports.CacheTier:
        bounds = self._settings().cache
        size = tier.size
        return {
            "tier": "redis" if tier.name == REDIS else "memory",
            "up": tier.up(),
            "entries": None if size is None else len(size),
            "max_entries": None if size is None else bounds.entries,
            "bytes": None if size is None else size.size,
            "max_bytes": None if size is None else bounds.max_bytes,
            "evictions": None if size is None else size.evictions,
            "hits": tier.found.hits,
            "misses": tier.found.misses,
            "seconds": tier.times.mean,
        }


def warming_plan(settings: Settings) -> Plan:
    """What `cache.warm` says, as the warmer takes it."""
    warm = settings.cache.warm
    if warm is None:
        return Plan()
    origin = "" if warm.origin is None else str(warm.origin)

    def whole(url: str) -> bytes:
        return (origin + url if url.startswith("/") else url).encode("ascii")

    return Plan(
        tuple(
            Wanted(
                whole(one.url),
                one.priority,
                one.critical,
                tuple((name.encode(), value.get_secret_value().encode()) for name, value in one.headers.items()),
            )
            for one in warm.urls
        ),
        None if warm.sitemap is None else whole(warm.sitemap),
        warm.concurrency,
        warm.retries,
        warm.timeout,
        warm.max_urls,
        warm.critical_wait,
    )


def _target(url: str) -> tuple[bytes | None, bytes]:
    """Host, as stored responses are found by it, and path with query."""
    target = request_target.take_apart(b"GET", url.encode("ascii"))
    if target is None:
        raise ports.Conflict("This is no URL.")
    if target.authority is None:
        return None, target.path + target.query
    scheme = url.partition(":")[0].lower().encode("ascii")
    return cache_key.origin(scheme, target.authority).partition(b"://")[2], target.path + target.query


def _ratio(counts: Iterable[Mapping[str, int]]) -> float | None:
    """The share of requests that needed no fetch of their own, of all but those that did not ask."""
    without = others = 0
    for results in counts:
        without += results["hit"] + results["stale"] + results["revalidated"] + results["collapsed"]
        others += results["miss"] + results["error"]
    return without / (without + others) if without or others else None


def _key(ranked: Ranked) -> ports.CachedKey:
    return {
        "key": ranked.name,
        "url": ranked.host + ranked.target,
        "route": ranked.route,
        "hits": ranked.hits,
        "bytes": ranked.size,
        "age": ranked.age,
        "fresh_for": ranked.ttl,
    }


def _warming(progress: Progress) -> ports.Warming:
    return {
        "state": progress.state,
        "total": progress.total,
        "done": progress.done,
        "failed": progress.failed,
        "left": progress.left,
        "dropped": progress.dropped,
        "seconds": progress.seconds,
        "estimate": progress.estimate,
        "failures": [{"url": failure.url, "why": failure.why} for failure in progress.failures],
    }
