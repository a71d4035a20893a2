"""What all routes' caches share in a process: the store, the tier behind it, the flights, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter, time
from typing import Any

from gateway.cache.entry import Entry, Values
from gateway.cache.flight import Budget, Flight
from gateway.cache.memory import Memory
from gateway.cache.ports import LookUps, SharedTier, Store
from gateway.errors import GatewayError
from gateway.rules.purge import Effect, Purge, PurgeLog, Subject
from gateway.rules.vary import Names

#: Seconds for which requests for a key that cannot be shared go each its own way, and after an error of the upstream.
LET_GO = 30.0
LET_GO_AFTER_ERROR = 1.0
#: Seconds for which an error answers for the fetch that would meet it again.
ERROR = 1.0
#: Seconds for which the names of a Vary help to tell flights apart.
VARY = 600.0
#: Of so many look-ups one is timed.
TIMED = 64
#: Fetches that nobody waits for, at once; past it what is stale stays so a little longer.
_BACKGROUND = 256


class Commons:
    """The parts, and what two of them need."""

    def __init__(
        self,
        store: Store,
        purges: PurgeLog,
        flying: int,
        log_bug: Callable[[str, BaseException], None],
        look_ups: LookUps,
        shared: SharedTier | None = None,
    ) -> None:
        """`flying` is how many bytes of content flights hold together while they are to be stored."""
        self.store = store
        self._look_ups = look_ups
        self._untimed = TIMED
        self.purges = purges
        self.shared = shared
        self.budget = Budget(flying)
        self.flights: dict[bytes, Flight] = {}
        #: Keys whose answers are not shared; whether they are not stored either, so that no validation is shared.
        self.let_go: Memory[bool] = Memory()
        self.errors: Memory[GatewayError] = Memory()
        self.varies: Memory[Names] = Memory()
        #: Keys whose last fetch has failed while something stale was there; whether nobody could be reached.
        self.rests: Memory[bool] = Memory()
        #: Takes a purge that began here into `purges` and tells the other replicas; whether they can be told now.
        self.tell: Callable[[Purge], bool] | None = None
        self.background = 0
        self._log_bug = log_bug
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, key: bytes, values: Values) -> Entry | None:
        """What the first tier has, counted; one look-up in `TIMED` is timed, for taking the time costs as much."""
        look_ups = self._look_ups
        self._untimed -= 1
        if self._untimed:
            entry = self.store.find(key, values)
        else:
            self._untimed = TIMED
            began = perf_counter()
            entry = self.store.find(key, values)
            look_ups.observe(perf_counter() - began)
        if entry is None:
            look_ups.misses += 1
        else:
            look_ups.hits += 1
        return entry

    def flying(self) -> int:
        """Fetches under way."""
        return len(self._tasks)

    def start(self, fetch: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a fetch as a task of the gateway's own."""
        task = asyncio.get_running_loop().create_task(fetch)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def may_start(self) -> bool:
        """Whether there is room for one more fetch that nobody waits for."""
        return self.background < _BACKGROUND

    def seen(self, subject: Subject, version: int) -> Effect:
        """What purges since that version mean for what was asked for before them."""
        return Effect.NONE if self.purges.version == version else self.purges.hit(subject, version)

    def keep(self, entry: Entry, values: Values) -> Entry | None:
        """Store an entry unless it was purged meanwhile; what is stored.

        One that a soft purge has made stale is no better than what was fetched after that purge; and none is better
        than what came later and is fresh (RFC 9111, section 4, the last paragraph).
        """
        if self.superseded(entry, entry.freshness.received):
            return None
        effect = self.seen(entry.subject, entry.version)
        if effect is Effect.HARD:
            return None
        if effect is Effect.SOFT:
            if any(
                stored.version > entry.version and stored.secondary == entry.secondary
                for stored in self.store.variants(entry.subject.key)
            ):
                return None
            entry = entry.with_freshness(entry.freshness.aged(entry.freshness.received))
        self.store.put(entry, values)
        return entry

    def superseded(self, entry: Entry, since: float) -> bool:
        """Whether another response to the same, that came after `since` (since 1970), is stored and fresh."""
        now = time()
        return any(
            stored.freshness.received > since and stored.fresh_until > now
            for stored in self.store.variants(entry.subject.key)
            if (stored.nominated, stored.secondary) == (entry.nominated, entry.secondary)
        )

    def purge(self, purge: Purge) -> tuple[int, bool]:
        """Remove what it means, here and in the other replicas: how many here, and whether the others are told."""
        if self.tell is None:
            self.purges.add(purge)
            told = False
        else:
            told = self.tell(purge)
        return self.store.purge(purge), told

    def invalidate(self, purge: Purge) -> None:
        """Remove what an unsafe method has changed: as `purge`, but leaves no trace where nobody could need one."""
        if self.tell is None and not self.flights and not self._tasks:
            self.store.purge(purge)
        else:
            self.purge(purge)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log_bug("cache", task.exception() or RuntimeError())
