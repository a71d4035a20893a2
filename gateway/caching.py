"""The cache of a process: made once, its parts for each config, and what is seen of it. Assembly owns it.

What is stored belongs to keys, so it outlives reloads; a route whose key is made in another way finds none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.cache.asked import FIELDS, Reading
from gateway.cache.commons import Commons
from gateway.cache.landing import Terms
from gateway.cache.memory_store import MemoryStore
from gateway.cache.shared_tier import RedisTier
from gateway.cache.shelf import Shelf
from gateway.cache.under_flags import FlaggedReading, ShelfWhen
from gateway.cache.warm_list import Progress
from gateway.cache.warming import Fetch, Warmer
from gateway.cache.watch import Watch
from gateway.cache_operations import Cache as Operations
from gateway.cache_operations import warming_plan
from gateway.exchange import Exchange
from gateway.faults import about
from gateway.flags.gates import Flagged
from gateway.gate import Gate, Met
from gateway.pipeline import Shelf as AnyShelf
from gateway.policies import cache, coalesce
from gateway.policies.cache import Cache
from gateway.rules.purge import PurgeLog
from gateway.settings import Listener, Route, Settings
from gateway.settings.cache import CacheStore
from gateway.settings.state import State
from gateway.settings.wanted import Wanted
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from gateway.telemetry.cache import CacheMetrics, RouteCounts
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.upstreams.forward import Way

#: Gives what flags say to a request.
Said = Callable[[Exchange], bytes]

#: What flights may hold, of what the store may, and at least.
_FLYING, _LEAST_FLYING = 4, 8 << 20
#: Seconds between two lines about what could not be warmed.
_TELL_AGAIN = 10.0
_TIER_DOWN = (
    "upstreams are asked more often, and purges reach the other replicas late; it is tried again by itself: see that "
    "the Redis of `state.redis` is there and answers within `state.timeout`"
)
#: The terms on which requests share a fetch where nothing is stored.
_SHARES = Cache()


@dataclass(slots=True)
class _Tier:
    """The second tier of one config; None where it has none."""

    state: State
    settings: CacheStore
    #: Whether any route stores anything.
    used: bool = False
    tier: RedisTier | None = None

    def same(self, state: State, settings: CacheStore, *, used: bool) -> bool:
        """Whether another config has the same."""
        return self.state == state and (self.used, self.settings.shared, self.settings.compress_over) == (
            used,
            settings.shared,
            settings.compress_over,
        )


class Caching:
    """The parts, and the way from settings to them."""

    def __init__(self, metrics: Metrics, health: Health, log: Log, fetch: Fetch) -> None:
        """`fetch` fetches for the cache what nobody has asked for yet."""
        self.metrics = CacheMetrics()
        self._health = health
        self._log = log
        self.purges = PurgeLog()
        self.store = MemoryStore()
        self.commons = Commons(self.store, self.purges, _LEAST_FLYING, log.bug, self.metrics.memory)
        self.metrics.watch_memory(self.store)
        self.metrics.flights = self.commons.flying
        metrics.watch("cache", self.metrics.families)
        self.warmer = Warmer(fetch, self, log.bug)
        self._tier = _Tier(State(), CacheStore())

    # ---- the second tier

    async def prepare(self, settings: Settings) -> _Tier:
        """Connect to the second tier of a new config, where it is another. Raises OSError as Protection.prepare."""
        state, store, used = settings.state, settings.cache, self._is_used(settings)
        if self._tier.same(state, store, used=used):
            return self._tier
        made = _Tier(state, store, used)
        if state.redis is not None and store.shared and used:
            with about("state.tls"):
                made.tier = RedisTier(
                    parse_redis_url(state.redis.get_secret_value()),
                    RedisTls(**state.tls.model_dump()),
                    state.name,
                    state.timeout,
                    state.breaker.failures,
                    state.breaker.reset,
                    self.purges,
                    self.store.purge,
                    self._moved,
                    self._log.bug,
                    compress_over=store.compress_over if store.compress_over is not None else 1 << 62,
                    took=self.metrics.redis.observe,
                )
            await made.tier.start()
        return made

    async def settle(self, made: _Tier, settings: Settings) -> None:
        """Go on with this one, and let go of the other."""
        bounds = settings.cache
        self.store.resize(bounds.entries, bounds.max_bytes)
        self.commons.budget.limit = max(_LEAST_FLYING, bounds.max_bytes // _FLYING)
        self.warmer.plan = warming_plan(settings)
        self._forget_routes(settings)
        before, self._tier = self._tier, made
        if before is made:
            return
        self.commons.shared = made.tier
        self.commons.tell = None if made.tier is None else made.tier.tell
        if made.tier is None:
            self._health.forget("cache")
            self.metrics.forget_redis()
        else:
            self._health.part("cache", made.tier.health, _TIER_DOWN)
            self.metrics.watch_redis(made.tier.counts, partial(getattr, made.tier, "up"))
        if before.tier is not None:
            await before.tier.close()

    async def abandon(self, made: _Tier) -> None:
        """The config that wanted this one could not be applied."""
        if made is not self._tier and made.tier is not None:
            await made.tier.close()

    async def warm(self, settings: Settings) -> None:
        """Fetch ahead what the config lists, at the start; comes back when the critical ones are there, or late."""
        warm = settings.cache.warm
        if warm is None or not warm.at_start:
            return
        self.warmer.warm()
        if not await self.warmer.critical():
            self._log.warning("cache_not_warm", hint="ready all the same: critical_wait is over, or some have failed")

    def operations(self, settings: Callable[[], Settings]) -> Operations:
        """The cache as the admin API asks for it."""
        return Operations(self.commons, self.store, self.metrics, self.warmer, lambda: self._tier.tier, settings)

    async def close(self) -> None:
        """End everything that runs."""
        await self.warmer.stop()
        await self.commons.close()
        if self._tier.tier is not None:
            await self._tier.tier.close()

    def _forget_routes(self, settings: Settings) -> None:
        listeners = {"ingress": settings.ingress, "egress": settings.egress}
        kept = {(name, route.name) for name, one in listeners.items() if one is not None for route in one.routes}
        for counts in self.metrics.routes():
            if (counts.listener, counts.route) not in kept:
                self.metrics.forget_route(counts.listener, counts.route)

    # ---- what warming tells

    def not_warmed(self, url: str, why: str) -> None:
        """A URL has failed for good."""
        self._log.limited("not_warmed", _TELL_AGAIN).warning("cache_not_warmed", url=url, reason=why)

    def warmed(self, progress: Progress) -> None:
        """A warming has come to its end."""
        self._log.info("cache_warmed", done=progress.done, failed=progress.failed, seconds=round(progress.seconds, 3))

    def _moved(self, up: bool, why: str) -> None:
        if up:
            self._log.info("cache_tier_up")
        else:
            self._log.warning("cache_tier_down", reason=why, hint="each replica has its own cache meanwhile")

    @staticmethod
    def _is_used(settings: Settings) -> bool:
        """Whether any route stores anything."""
        listeners = [one for one in (settings.ingress, settings.egress) if one is not None]
        return any(cache.resolve(one, route) is not None for one in listeners for route in one.routes)

    # ---- from settings to shelves

    def shelves(
        self,
        name: str,
        listener: Listener,
        ways: Sequence[Way],
        caps: Sequence[Sequence[Gate]],
        flagged: Flagged | None,
        under: Callable[[Sequence[Wanted]], Met | None],
    ) -> list[AnyShelf | None]:
        """The caches of a listener's routes; None for all where none has any.

        `flagged` is what the routes have of flags, `under` makes of what a cache wants of them whether it is there.
        """
        said = [None if flagged is None else flagged.routes[place].said for place in range(len(ways))]
        found = [
            self._shelf(name, listener, place, way, caps[place], said[place], under) for place, way in enumerate(ways)
        ]
        if all(shelf is None for shelf in found):
            return list(found)
        return [
            shelf or Watch(way, self.commons, self._carrier(name, listener, place, way, caps[place], said[place]))
            for place, (shelf, way) in enumerate(zip(found, ways, strict=True))
        ]

    def fields_read(self, listener: Listener) -> frozenset[bytes]:
        """The request fields that a listener's caches read."""
        settings = [cache.resolve(listener, route) for route in listener.routes]
        found = frozenset[bytes]().union(*(one.fields_read for one in settings if one is not None))
        shares = any(
            coalesce.resolve(listener, route, one) for route, one in zip(listener.routes, settings, strict=True)
        )
        return found | FIELDS if shares or any(settings) else found

    def _shelf(
        self,
        name: str,
        listener: Listener,
        place: int,
        way: Way,
        caps: Sequence[Gate],
        said: Said | None,
        under: Callable[[Sequence[Wanted]], Met | None],
    ) -> Shelf | None:
        route = listener.routes[place]
        settings = cache.resolve(listener, route)
        coalesces = coalesce.resolve(listener, route, settings)
        if settings is None and not coalesces:
            return None
        counts = self.metrics.route(name, route.name)
        met = None if settings is None else under(settings.when)
        return self._made(name, route, way, caps, settings, counts, said, met, coalesces=coalesces)

    def _carrier(
        self, name: str, listener: Listener, place: int, way: Way, caps: Sequence[Gate], said: Said | None
    ) -> Shelf:
        """What fetches through a route without a cache for the gateway itself; nobody counts it."""
        route = listener.routes[place]
        return self._made(name, route, way, caps, None, RouteCounts(name, route.name), said, None, coalesces=True)

    def _made(
        self,
        name: str,
        route: Route,
        way: Way,
        caps: Sequence[Gate],
        settings: Cache | None,
        counts: RouteCounts,
        flags: Said | None,
        met: Met | None,
        *,
        coalesces: bool,
    ) -> Shelf:
        said = settings or _SHARES
        tags = frozenset(tag.encode() for tag in said.tags)
        key = said.cache_key(f"{name}/{route.name}".encode())
        if flags is None:
            reading = Reading(key, said.sharing(), tags, said.body, said.credentials)
        else:
            reading = FlaggedReading(key, said.sharing(), tags, said.body, said.credentials, flags)
        terms = Terms(reading.sharing, said.leeway(), settings is not None, route.name)
        if met is None:
            return Shelf(reading, terms, way, caps, self.commons, counts, coalesces=coalesces)
        return ShelfWhen(met, reading, terms, way, caps, self.commons, counts, coalesces=coalesces)
