"""The second tier, in a Redis that replicas share: `ports.SharedTier`, and the purges that reach all of them.

A resource's record is its response, or the lists of names by which its responses differ, which then are records of
their own. What is read is believed when it is whole, was asked for, and is of an epoch whose purges are known; then
those purges are held against it that came after it. Every key ends by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_bytes
from time import monotonic, time
from typing import Literal

from gateway.background import Background, Bug
from gateway.cache.codec import NAMES, Garbage, Record, decode_names, encode_names, seal
from gateway.cache.compression import Busy, Packing
from gateway.cache.entry import Entry, Values
from gateway.cache.places import MOST_LISTS, Places
from gateway.cache.purge_bus import PurgeBus
from gateway.cache.redis_backend import Backend
from gateway.cache.turns import RedisTurn, Turns
from gateway.rules import vary
from gateway.rules.purge import Effect, Purge, PurgeLog
from gateway.rules.vary import Names
from gateway.state.availability import Availability, Moved
from gateway.state.keeper import Keeper
from gateway.state.ports import Unavailable
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import RedisUrl

#: Seconds that anything stays there at most. What nobody renews in a week is no loss.
LONGEST = 7 * 24 * 3600
#: Seconds that a response with a validator stays when it may no longer be used: as long again as it was fresh, but
#: so long at least, and at most.
_VALIDATED = (3600, 24 * 3600)
#: Entries, and bytes of them, that wait to be written or are; and how many are at once.
_QUEUE, _QUEUE_BYTES, _WRITERS = 1000, 32 * 1024 * 1024, 4
#: Bytes of a value; a larger one would take longer to come than anybody waits.
_LARGEST = 4 * 1024 * 1024
#: Seconds that leaving may take.
_LEAVE = 0.5


@dataclass(slots=True)
class Counts:
    """What became of questions and writings."""

    hits: int = 0
    misses: int = 0
    #: Not answered in time, or not at all.
    failed: int = 0
    #: Damaged, or of another format.
    garbage: int = 0
    #: Gone by a purge that came after it.
    purged: int = 0
    stored: int = 0
    #: Not stored: too much waited, too large, or the server would not.
    dropped: int = 0


class RedisTier:
    """See `ports.SharedTier`. `start` it and `close` it on one event loop."""

    def __init__(
        self,
        url: RedisUrl,
        tls: RedisTls,
        name: str,
        timeout: float,
        failures: int,
        reset: float,
        log: PurgeLog,
        apply: Callable[[Purge], object],
        moved: Moved,
        bug: Bug,
        *,
        compress_over: int | None = 100 * 1024,
        took: Callable[[float], None] | None = None,
    ) -> None:
        """Times are seconds. `name` is what all replicas of a gateway have in common.

        `log` is this process's purges, `apply` is given those of others for its memory, `moved` is told when the
        server goes and when it is back, `took` how long each question took.

        Raises OSError when a certificate file cannot be read.
        """
        self.counts = Counts()
        self._took = took
        self._availability = Availability(failures, reset, self._changed)
        self._backend = Backend(url, tls, timeout, self._availability)
        self._packing = Packing(compress_over)
        self._places = Places(name)
        self._work = Background("cache.shared_tier", bug)
        self._turns = Turns(self._backend.run, lambda: self.up, self._work.spawn)
        self._log = log
        self._bus = PurgeBus(self._places.prefix, log, apply)
        self._keeper = Keeper("cache.keeper", self._backend, self._bus, self._availability, bug)
        self._moved = moved
        #: The last writing of a resource that is not over.
        self._writing: dict[bytes, asyncio.Task[None]] = {}
        self._waiting = self._waiting_bytes = 0
        self._writers = asyncio.Semaphore(_WRITERS)

    @property
    def up(self) -> bool:
        """Whether it is worth asking."""
        return self._availability.up

    def health(self) -> tuple[Literal["healthy", "degraded"], str]:
        """For /health."""
        if self.up:
            return "healthy", ""
        waiting = f"; purges waiting for it: {self._bus.waiting}" if self._bus.waiting else ""
        return (
            "degraded",
            f"redis cannot be asked ({self._availability.why}); each replica fetches for itself{waiting}",
        )

    async def start(self) -> None:
        """Connect; return when it is up, or after up to 3 s when it is not there."""
        await self._keeper.start()

    async def close(self) -> None:
        """End: what waits is written and turns are given back, if that takes no time to speak of."""
        await self._keeper.close()
        for turn in list(self._turns.held):
            self._work.spawn(turn.stop())
        await self._work.close(_LEAVE)
        self._bus.close()
        self._packing.close()
        await self._backend.close()

    # ---- SharedTier

    async def find(self, key: bytes, values: Values) -> Entry | None:
        """See `ports.SharedTier.find`."""
        if not self.up:
            return None
        began = monotonic()
        try:
            _, entry = await self._find(key, values)
        except (Unavailable, Busy):
            self.counts.failed += 1
            return None
        finally:
            if self._took is not None:
                self._took(monotonic() - began)
        if entry is None:
            self.counts.misses += 1
        else:
            self.counts.hits += 1
        return entry

    async def turn(self, key: bytes, values: Values, longest: float) -> Entry | RedisTurn | None:
        """See `ports.SharedTier.turn`."""
        if not self.up:
            return None

        async def look() -> tuple[bytes | None, Entry | None]:
            try:
                return await self._find(key, values)
            except (Unavailable, Busy):
                return None, None

        async def stored() -> None:
            if (task := self._writing.get(key)) is not None:
                await asyncio.wait([task])

        return await self._turns.take(self._places.turn(key, values), look, stored, longest)

    def put(self, entry: Entry, values: Values) -> None:  # noqa: ARG002 - the entry holds what was in them
        """See `ports.SharedTier.put`."""
        version = self._bus.there(entry.version)
        ttl = lasts(entry, time())
        if not self.up or version is None or ttl <= 0:
            return
        if len(entry.body) > _LARGEST or self._waiting >= _QUEUE or self._waiting_bytes + entry.size > _QUEUE_BYTES:
            self.counts.dropped += 1
            return
        self._waiting += 1
        self._waiting_bytes += entry.size
        key = entry.subject.key
        task = self._work.spawn(self._write(entry, version, ttl, self._writing.get(key)))
        self._writing[key] = task
        task.add_done_callback(lambda done: self._written(entry, done))

    # ---- purges

    def tell(self, purge: Purge) -> bool:
        """Number a purge in this process's log and have the other replicas told at once; whether the server is there.

        Where it is not, they are told when it is. This process's memory is the caller's to purge.
        """
        self._bus.publish(purge)
        return self.up

    async def told(self, within: float) -> bool:
        """Wait until the others have been told of all purges, so many seconds at most; whether they have."""
        return await self._bus.settled(within)

    @property
    def purges_waiting(self) -> int:
        """Purges that the other replicas have not been told of."""
        return self._bus.waiting

    # ---- reading

    async def _find(self, key: bytes, values: Values) -> tuple[bytes | None, Entry | None]:
        """What is there for a request, and by which writing."""
        data = await self._backend.get(self._places.record(key))
        if data is None:
            return None, None
        try:
            record, entry = await self._packing.unpack(data)
            lists = decode_names(record.payload)[:MOST_LISTS] if record.kind == NAMES else []
        except Garbage:
            self.counts.garbage += 1
            return None, None
        self._places.see(key, lists)
        if entry is not None:
            return record.epoch + record.stamp, self._believed(record, entry, key, values)
        return await self._find_variant(key, lists, values)

    async def _find_variant(
        self, key: bytes, lists: list[Names], values: Values
    ) -> tuple[bytes | None, Entry | None]:
        places = self._places.variants(key, lists, values)
        several = len(places) > 1
        found = await self._backend.get_several(places) if several else [await self._backend.get(places[0])]
        for data in found:
            if data is not None:
                try:
                    record, entry = await self._packing.unpack(data)
                except Garbage:
                    self.counts.garbage += 1
                    continue
                if entry is not None and (entry := self._believed(record, entry, key, values)) is not None:
                    return record.epoch + record.stamp, entry
        return None, None

    def _believed(self, record: Record, entry: Entry, key: bytes, values: Values) -> Entry | None:
        """The entry with the purges held against it that came after it; None: it is not for this request."""
        if (
            entry.subject.key != key
            or record.epoch != self._bus.epoch
            or entry.secondary != vary.secondary(entry.nominated, values)
        ):
            return None
        since = self._bus.here(entry.version)
        effect = Effect.HARD if since is None else self._log.hit(entry.subject, since)
        if effect is Effect.HARD:
            self.counts.purged += 1
            return None
        freshness = entry.freshness.aged(entry.freshness.received) if effect is Effect.SOFT else entry.freshness
        return entry.renewed(entry.kept, entry.said, freshness, entry.validators, self._log.version)

    # ---- writing

    async def _write(self, entry: Entry, version: int, ttl: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._writers:
            try:
                await self._store(entry, version, ttl)
            except (Unavailable, Busy):
                self.counts.dropped += 1
            else:
                self.counts.stored += 1

    async def _store(self, entry: Entry, version: int, ttl: int) -> None:
        key, epoch = entry.subject.key, self._bus.epoch
        data = await self._packing.pack(entry, version, epoch, token_bytes(8))
        if not entry.nominated:
            await self._backend.put(self._places.record(key), data, ttl)
            return
        await self._backend.put(self._places.variant(key, entry.nominated, entry.secondary), data, ttl)
        lists = await self._lists(key, entry.nominated)
        self._places.see(key, lists)
        names = seal(Record(NAMES, epoch, token_bytes(8), encode_names(lists)))
        await self._backend.put(self._places.record(key), names, LONGEST)

    async def _lists(self, key: bytes, latest: Names) -> list[Names]:
        """The names by which a resource's responses differ, with the latest."""
        lists: list[Names] = []
        data = await self._backend.get(self._places.record(key))
        if data is not None and len(data) < 65_536:
            try:
                record, _ = await self._packing.unpack(data)
                lists = decode_names(record.payload) if record.kind == NAMES else []
            except Garbage:
                pass
        return [latest, *(one for one in lists if one != latest)][:MOST_LISTS]

    def _written(self, entry: Entry, task: asyncio.Task[None]) -> None:
        self._waiting -= 1
        self._waiting_bytes -= entry.size
        if self._writing.get(entry.subject.key) is task:
            del self._writing[entry.subject.key]

    def _changed(self, up: bool, why: str) -> None:
        self._keeper.look()
        self._moved(up, why)


def lasts(entry: Entry, now: float) -> int:
    """For how many seconds an entry may be of use to anybody."""
    times = entry.freshness
    grace = max(times.stale_while_revalidate, times.stale_if_error, times.stale_if_unreachable)
    left = times.left(now) + grace
    if entry.validators.etag is not None or entry.validators.last_modified is not None:
        least, most = _VALIDATED
        left = max(left, 0.0) + min(max(times.lifetime, least), most)
    return int(min(left, LONGEST))
