"""The first tier: this process's memory, bounded by entries and by bytes.

What is found is found by its primary key, and most keys have one response without a Vary: that one lies right under
its key, where finding it is one look-up and one addition. Only a second response, or one with a Vary, makes a table
of variants of it. What leaves when it is full is decided by rules/s3_fifo.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest, nsmallest
from time import time

from gateway.cache.entry import Entry, Values
from gateway.cache.index import Index
from gateway.cache.ranking import Ranked, ranked
from gateway.rules.conditional import can_ask
from gateway.rules.purge import Kind, Pattern, Purge, name_of
from gateway.rules.s3_fifo import Kept, S3Fifo
from gateway.rules.vary import Names, Variants

ENTRIES = 1000
MAX_BYTES = 64 << 20
#: One response has at most this part of the room, one in so many: or a few would drive out all others.
_SHARE = 8
#: Bytes that a place in a table of variants takes; the first ones of a table take more.
_VARIED = 500
_NEVER = float("inf")


class _Held(Kept):
    """An entry, and what the queues know of it."""

    __slots__ = ("entry",)

    def __init__(self, entry: Entry) -> None:
        super().__init__(hash((entry.subject.key, entry.secondary)), _size(entry), _hopeless(entry))
        self.entry = entry


class MemoryStore:
    """The port `Store`. `now` gives seconds since 1970."""

    def __init__(self, entries: int = ENTRIES, max_bytes: int = MAX_BYTES, now: Callable[[], float] = time) -> None:
        self._now = now
        self._max_bytes = max_bytes
        self._keys: dict[bytes, _Held | Variants[_Held]] = {}
        self._queues: S3Fifo[_Held] = S3Fifo(entries, max_bytes)
        self._names: Index[_Held] = Index()
        self._targets: Index[_Held] = Index()
        self._tags: Index[_Held] = Index()
        #: Since the process began: what had to make room, what was of no use any more, and what was too large.
        self.evictions = 0
        self.expired = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def size(self) -> int:
        """Bytes that all entries take in memory, about."""
        return self._queues.size

    def resize(self, entries: int, max_bytes: int) -> None:
        """Have other bounds, at once."""
        self._max_bytes = max_bytes
        self._queues.resize(entries, max_bytes)
        for held in [held for held in self._all() if held.size * _SHARE > max_bytes]:
            self._drop(held)
            self.evictions += 1
        self._make_room(0, 0)

    # ---- the port

    def find(self, key: bytes, values: Values) -> Entry | None:
        """What is stored for a request, fresh or stale; the asking counts for what stays."""
        found = self._keys.get(key)
        if isinstance(found, _Held):
            if found.expires > self._now():
                found.hits += 1
                return found.entry
            self._expire(found)
            return None
        return None if found is None else self._find_variant(found, values)

    def variants(self, key: bytes) -> Sequence[Entry]:
        """Everything stored under a primary key, the latest used last."""
        return [held.entry for held in self._under(key)]

    def varies(self, key: bytes) -> Names:
        """The fields named by the Vary of what was stored last under a primary key; none where nothing is."""
        found = self._keys.get(key)
        return found.latest() if isinstance(found, Variants) else ()

    def put(self, entry: Entry, values: Values) -> None:
        """Store the response to the request with these fields, in the place of what it had."""
        held = self._at(entry, values)
        if self._too_large(entry):
            # What is older than this one must not stay and answer as if nothing had come since.
            self.refused += 1
            if held is not None:
                self._drop(held)
            return
        if held is not None:
            self._change(held, entry)
            found = self._keys[entry.subject.key]
            if isinstance(found, Variants):
                found.put(entry.nominated, values, held)  # the latest of them from now on
            self._make_room(0, 0)
            return
        held = _Held(entry)
        self._make_room(1, held.size)
        self._queues.add(held)
        self._index(held)
        self._place(held, values)

    def replace(self, old: Entry, new: Entry) -> bool:
        """Put another entry in the place of this one; False where it is there no more.

        The new one is for the same requests: of one key and one Vary.
        """
        if (old.subject.key, old.nominated, old.secondary) != (new.subject.key, new.nominated, new.secondary):
            raise ValueError("an entry for other requests")
        held = next((held for held in self._under(old.subject.key) if held.entry is old), None)
        if held is None:
            return False
        if self._too_large(new):
            self.refused += 1
            self._drop(held)
        else:
            self._change(held, new)
            self._make_room(0, 0)
        return True

    def purge(self, purge: Purge) -> int:
        """Remove what it means, or make it stale where it is soft; how many."""
        if purge.kind is Kind.ALL and purge.host is None and not purge.soft:
            return self._clear()
        meant = self._meant(purge)
        now = self._now()
        for held in meant:
            if purge.soft:
                self._change(held, held.entry.with_freshness(held.entry.freshness.aged(now)))
            else:
                self._drop(held)
        return len(meant)

    # ---- for operators

    def top(self, most: int = 20) -> list[Ranked]:
        """What has been found most often, the hottest first. It looks at every entry there is."""
        return [self._ranked(held) for held in nlargest(most, self._all(), key=_hits)]

    def coldest(self, most: int = 20) -> list[Ranked]:
        """What has been found least often, the coldest and oldest first. It looks at every entry there is."""
        return [self._ranked(held) for held in nsmallest(most, self._all(), key=_cold)]

    # ---- inside

    def _clear(self) -> int:
        gone = len(self)
        for table in (self._keys, self._queues, self._names, self._targets, self._tags):
            table.clear()
        return gone

    def _find_variant(self, variants: Variants[_Held], values: Values) -> Entry | None:
        now = self._now()
        while (held := variants.find(values)) is not None:
            if held.expires > now:
                held.hits += 1
                return held.entry
            self._expire(held)
        return None

    def _all(self) -> Iterable[_Held]:
        for found in self._keys.values():
            if isinstance(found, Variants):
                yield from found.all()
            else:
                yield found

    def _under(self, key: bytes) -> list[_Held]:
        found = self._keys.get(key)
        return [] if found is None else found.all() if isinstance(found, Variants) else [found]

    def _at(self, entry: Entry, values: Values) -> _Held | None:
        """What an entry would replace."""
        found = self._keys.get(entry.subject.key)
        if isinstance(found, Variants):
            return found.get(entry.nominated, values)
        return None if entry.nominated else found

    def _place(self, held: _Held, values: Values) -> None:
        key, nominated = held.entry.subject.key, held.entry.nominated
        found = self._keys.get(key)
        if found is None and not nominated:
            self._keys[key] = held
            return
        if not isinstance(found, Variants):
            variants: Variants[_Held] = Variants()
            if found is not None:
                variants.put((), values, found)
            found = self._keys[key] = variants
        for gone in found.put(nominated, values, held):
            self._unlist(gone)
            self.evictions += 1

    def _make_room(self, entries: int, size: int) -> None:
        while self._queues.over(entries, size):
            held = self._queues.evict(self._now())
            self._displace(held)
            self._unindex(held)
            self.evictions += 1

    def _change(self, held: _Held, entry: Entry) -> None:
        if entry.subject != held.entry.subject:
            self._unindex(held)
            held.entry = entry
            self._index(held)
        else:
            held.entry = entry
        self._queues.change(held, _size(entry), _hopeless(entry))

    def _expire(self, held: _Held) -> None:
        self._drop(held)
        self.expired += 1

    def _drop(self, held: _Held) -> None:
        self._displace(held)
        self._unlist(held)

    def _displace(self, held: _Held) -> None:
        """Have it no longer found by its key."""
        key = held.entry.subject.key
        found = self._keys[key]
        if isinstance(found, Variants):
            found.remove(held)
            if found:
                return
        del self._keys[key]

    def _unlist(self, held: _Held) -> None:
        self._queues.remove(held)
        self._unindex(held)

    def _index(self, held: _Held) -> None:
        subject = held.entry.subject
        self._names.add(name_of(subject.key).encode(), held)
        self._targets.add(subject.target, held)
        for tag in subject.tags:
            self._tags.add(tag, held)

    def _unindex(self, held: _Held) -> None:
        subject = held.entry.subject
        self._names.remove(name_of(subject.key).encode(), held)
        self._targets.remove(subject.target, held)
        for tag in subject.tags:
            self._tags.remove(tag, held)

    def _too_large(self, entry: Entry) -> bool:
        return _size(entry) * _SHARE > self._max_bytes

    def _meant(self, purge: Purge) -> list[_Held]:
        if purge.kind is Kind.KEY:
            found: Iterable[_Held] = self._names.find(purge.value)
        elif purge.kind is Kind.URL:
            found = self._targets.find(purge.value)
        elif purge.kind is Kind.TAG:
            found = self._tags.find(purge.value)
        elif purge.kind is Kind.PATTERN:
            pattern = Pattern(purge.value)
            found = [held for held in self._all() if pattern.matches(held.entry.subject.target)]
        else:
            found = self._all()
        return [held for held in found if purge.host is None or purge.host == held.entry.subject.host]

    def _ranked(self, held: _Held) -> Ranked:
        return ranked(held.entry, held.hits, held.size, self._now())


def _size(entry: Entry) -> int:
    return entry.size + _VARIED if entry.nominated else entry.size


def _hopeless(entry: Entry) -> float:
    """From when on it answers nobody and there is nothing to validate it by."""
    if can_ask(entry.validators):
        return _NEVER
    times = entry.freshness
    if times.validate:
        return entry.born
    grace = max(times.stale_while_revalidate, times.stale_if_error, times.stale_if_unreachable)
    return entry.born + times.lifetime + grace


def _hits(held: _Held) -> int:
    return held.hits


def _cold(held: _Held) -> tuple[int, float]:
    return held.hits, held.entry.born
