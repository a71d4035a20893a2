"""Rate limits in this process's memory: one number a key, in a table that never grows past its capacity.

A key's number says when it will have drained, whatever its rule's rate becomes meanwhile. Under a quota it says how
much was used before which window's end: a picosecond a token, counted from that end by the wall clock. A wall clock
set forward begins the next window early. Set back, keys used in the window that it left wait until that comes again;
where it had been more than a window ahead, they begin anew.

A full table lets go the key that was idle longest. If it has not drained, a sketch remembers it, and a key that is
not in the table begins with what the sketch knows of it, at most an empty bucket. So no eviction gives tokens away
(but for a debt past the bucket, which `force` can make), and rarely does a key begin with less than it should:
when it shares all four cells with others (rules/evicted.py). Rates share one sketch; each calendar has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from time import time
from typing import Any

from gateway.rules import gcra
from gateway.rules.evicted import Evicted
from gateway.rules.gcra import SECOND, Rate, Standing
from gateway.state.ports import Calendar, Charge, Limit, Spendings

_PS = 1e12  # picoseconds in a second, for a float
_NS = 1000  # picoseconds in a nanosecond: what the sketch counts in, for 64 bits to last for 292 years
_standing = tuple.__new__  # a third of the cost of Standing(…), which is on every request's way

#: A full table lets this part of its keys go at once, at most so many: to find the oldest costs more than each.
_SHARE, _MOST = 256, 256


class MemoryBuckets:
    """`ports.Buckets` for at most `capacity` keys of all rules together. Not for several threads.

    `wall` gives seconds since the epoch, for quotas.
    """

    def __init__(self, capacity: int = 100_000, wall: Callable[[], float] = time) -> None:
        self._capacity = capacity
        self._half = capacity // 2
        self._spare = min(capacity // _SHARE, _MOST)
        self._wall = wall
        #: In the order of last use. (An OrderedDict would know the oldest at once, and take twice as long for all
        #: else.) Until it is half full none will have to go soon, and `spend` leaves the order as it is.
        self._tats: dict[bytes, int] = {}
        #: The rules that keys in the table are of, by their prefix.
        self._limits: dict[bytes, Limit] = {}
        self._evicted = Evicted()
        self._evicted_used: dict[Calendar, _Used] = {}
        #: Sets the keys of a rule that was reset apart from the sketch's memory of them, by prefix.
        self._salts: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._tats)

    def take(self, charges: Sequence[Charge], now: float) -> list[Standing]:
        """See `ports.Buckets.take`."""
        at = int(now * _PS)
        tats = self._tats
        standings: list[Standing] = []
        for limit, key, cost in charges:
            name = limit.prefix + key
            tat = tats.get(name)
            if limit.calendar is not None:
                standing = self._take_quota(limit, limit.calendar, name, tat, cost)
                if not standing.allowed and not limit.shadow:
                    return self._refuse(charges, standings, at)
                standings.append(standing)
                continue
            if tat is None:
                tat = self._begin(limit, name, at)
            if tat < at:  # noqa: PLR1730 - max() would take three times as long
                tat = at
            rate = limit.rate
            tat += cost * rate.interval
            level = tat - at
            if level <= rate.capacity:
                standings.append(
                    _standing(Standing, (True, (rate.capacity - level) // rate.interval, level / SECOND, 0.0))
                )
            elif limit.shadow:
                tat -= cost * rate.interval
                standings.append(gcra.standing(rate, tat, at, cost, allowed=False))
            else:
                return self._refuse(charges, standings, at)
            tats.pop(name, None)
            tats[name] = tat
        if len(tats) > self._capacity:
            self._evict(at)
        return standings

    def spend(self, wanted: Spendings, asked: Any, names: list[bytes], now: float) -> list[int] | None:
        """See `ports.Buckets.spend`."""
        at = int(now * _PS)
        tats = self._tats
        ordered = len(tats) > self._half
        fresh = True
        for one in wanted.each:
            name = one.name
            if name is None:
                name = one.read(asked)
            tat = tats.get(name)
            if tat is None:
                tat = self._begin(one.limit, name, at)
            if tat <= at:
                tat = at + one.need
            else:
                tat += one.need
                if tat - at > one.capacity:
                    self._unspend(wanted, names, at)
                    return None
                fresh = False
            if ordered:
                tats.pop(name, None)
            tats[name] = tat
            names.append(name)
        if ordered and len(tats) > self._capacity:
            self._evict(at)
        if fresh:
            return wanted.fresh
        told: list[int] = []
        for one, name in zip(wanted.each, names, strict=True):
            level = tats[name] - at
            told += ((one.capacity - level) // one.interval, -(-level // SECOND))
        return told

    def give_back(self, charges: Sequence[Charge], now: float, age: float = 0.0) -> None:  # noqa: ARG002
        """See `ports.Buckets.give_back`."""
        for limit, key, cost in charges:
            name = limit.prefix + key
            tat = self._tats.get(name)
            if tat is None:
                continue  # evicted, or reset
            if limit.calendar is None:
                self._tats[name] = gcra.give_back(limit.rate, tat, cost, int(age * _PS))
            else:
                wall = self._wall()
                start, end = limit.calendar.window(wall)
                if wall - age >= start:
                    self._tats[name] = max(tat - cost, int(end) * SECOND)

    def force(self, charge: Charge, now: float) -> None:
        """See `ports.Buckets.force`."""
        limit, key, cost = charge
        name = limit.prefix + key
        at = int(now * _PS)
        rate, base, tat, _ = self._find(limit, name, at)
        self._put(name, max(tat, base) + cost * rate.interval)
        self._limits[limit.prefix] = limit
        self._evict(at)

    def look(self, limit: Limit, key: bytes, now: float) -> Standing | None:
        """See `ports.Buckets.look`."""
        rate, base, tat, until = self._find(limit, limit.prefix + key, int(now * _PS))
        if tat == 0:
            return None
        return _shown(rate, base, tat, 1, until)

    def forget(self, limit: Limit, key: bytes | None) -> int:
        """See `ports.Buckets.forget`."""
        if key is not None:
            name = limit.prefix + key
            known = name in self._tats
            if self._remembered(limit, name):
                self._tats[name] = 0  # stands before what the sketch says
                return 1
            self._tats.pop(name, None)
            return int(known)
        names = [name for name in self._tats if name.startswith(limit.prefix)]
        for name in names:
            del self._tats[name]
        self._limits.pop(limit.prefix, None)
        self._salts[limit.prefix] = hash((limit.prefix, self._salts.get(limit.prefix, 0)))
        return len(names)

    # ---- in the place of a shared state, while that is gone

    def note(self, charges: Sequence[Charge], standings: Sequence[Standing], replicas: int, now: float) -> None:
        """Have keys stand as they do in a state shared by so many: this replica's share of each is as far used up."""
        at = int(now * _PS)
        for (limit, key, _), standing in zip(charges, standings, strict=True):
            if limit.calendar is None:
                tat = at + int(standing.reset * _PS)  # a share's tokens are fewer, and take as much longer each
            else:
                used = limit.rate.limit - standing.remaining
                end = int(limit.calendar.window(self._wall())[1]) * SECOND
                tat = end - -used // replicas
            self._limits[limit.prefix] = limit
            self._put(limit.prefix + key, tat)
        self._evict(at)

    def levels(self, now: float) -> Iterator[tuple[Limit, bytes, float]]:
        """Every key that has not drained: its rule (or a share of it), and its level in seconds, or a quota's count.

        Others may use the table meanwhile.
        """
        at = int(now * _PS)
        for name in list(self._tats):
            tat = self._tats.get(name, 0)
            limit = self._limits.get(name[: name.index(0) + 1])
            if limit is None:
                continue
            key = name[len(limit.prefix) :]
            if limit.calendar is None:
                if tat > at:
                    yield limit, key, (tat - at) / SECOND
            else:
                end = int(limit.calendar.window(self._wall())[1]) * SECOND
                if tat > end:
                    yield limit, key, float(tat - end)

    # ---- inside

    def _take_quota(self, limit: Limit, calendar: Calendar, name: bytes, tat: int | None, cost: int) -> Standing:
        """Take one quota's charge if it fits."""
        wall = self._wall()
        window_end = calendar.window(wall)[1]
        end = int(window_end) * SECOND
        if tat is None:
            tat = self._begin_quota(limit, calendar, name, end)
        elif tat > end + limit.rate.limit:
            tat = _after_a_step_back(calendar, tat, window_end)
        used = tat - end if tat > end else 0
        left = limit.rate.limit - used - cost
        if left < 0:
            return _shown(gcra.quota(limit.rate.limit), end, tat, cost, window_end - wall)
        self._put(name, end + used + cost)
        return Standing(True, left, window_end - wall if used + cost else 0.0, 0.0)

    def _refuse(self, charges: Sequence[Charge], taken: list[Standing], at: int) -> list[Standing]:
        """Undo what has been taken of these charges, and say how each stands without."""
        tats = self._tats
        for (limit, key, cost), standing in zip(charges, taken, strict=False):
            if standing.allowed:
                tats[limit.prefix + key] -= cost * (limit.rate.interval if limit.calendar is None else 1)
        standings = []
        costs: dict[bytes, int] = {}
        for limit, key, cost in charges:
            name = limit.prefix + key
            rate, base, tat, until = self._find(limit, name, at)
            together = costs.get(name, 0) + cost
            standing = _shown(rate, base, tat, together, until)
            if standing.allowed:
                costs[name] = together
            standings.append(standing)
            if name in tats:
                self._put(name, tats[name])
        self._evict(at)
        return standings

    def _unspend(self, wanted: Spendings, names: list[bytes], at: int) -> None:
        """Undo what has been spent on the first of these."""
        for one, name in zip(wanted.each, names, strict=False):
            self._tats[name] -= one.need
        names.clear()
        self._evict(at)

    def _put(self, name: bytes, tat: int) -> None:
        """Set a key's number, as one just used."""
        self._tats.pop(name, None)
        self._tats[name] = tat

    def _find(self, limit: Limit, name: bytes, at: int) -> tuple[Rate, int, int, float]:
        """A key's rate, what its level counts from, its number (0: nothing is known), seconds to its window's end."""
        tat = self._tats.get(name)
        calendar = limit.calendar
        if calendar is None:
            return limit.rate, at, self._seen(limit, name, at) if tat is None else tat, -1.0
        wall = self._wall()
        window_end = calendar.window(wall)[1]
        end = int(window_end) * SECOND
        if tat is None:
            tat = self._used_before(limit, calendar, name, end)
        elif tat > end + limit.rate.limit:
            tat = _after_a_step_back(calendar, tat, window_end)
        return gcra.quota(limit.rate.limit), end, tat, window_end - wall

    # ---- the table's edge

    def _begin(self, limit: Limit, name: bytes, at: int) -> int:
        """The number of a key that is not in the table, but will be."""
        self._limits[limit.prefix] = limit
        return self._seen(limit, name, at)

    def _begin_quota(self, limit: Limit, calendar: Calendar, name: bytes, end: int) -> int:
        self._limits[limit.prefix] = limit
        return self._used_before(limit, calendar, name, end)

    def _hash(self, limit: Limit, name: bytes) -> int:
        # Python's hash of bytes is SipHash with a random key of this process (PYTHONHASHSEED must not be set to 0).
        return hash(name) ^ self._salts.get(limit.prefix, 0)

    def _seen(self, limit: Limit, name: bytes, at: int) -> int:
        """What the sketch says of a rate's key; 0 when nothing, or when it has drained."""
        tat = self._evicted.value(self._hash(limit, name)) * _NS
        return 0 if tat <= at else min(tat, at + limit.rate.capacity)

    def _used_before(self, limit: Limit, calendar: Calendar, name: bytes, end: int) -> int:
        """What the sketch says of a quota's key; 0 when nothing, or of another window."""
        memory = self._evicted_used.get(calendar)
        used = 0 if memory is None or memory.end != end else memory.sketch.value(self._hash(limit, name))
        return end + min(used, limit.rate.limit) if used else 0

    def _remembered(self, limit: Limit, name: bytes) -> bool:
        value = self._hash(limit, name)
        sketches = [self._evicted, *(memory.sketch for memory in self._evicted_used.values())]
        return any(sketch.value(value) for sketch in sketches)

    def _evict(self, at: int) -> None:
        """Let the keys go that were idle longest, where there are too many, and a few more for those to come."""
        tats = self._tats
        over = len(tats) - self._capacity
        if over <= 0:
            return
        for name in list(islice(tats, over + self._spare)):
            tat = tats.pop(name)
            limit = self._limits.get(name[: name.index(0) + 1])
            if limit is None:
                continue
            if limit.calendar is None:
                if tat > at:
                    self._evicted.note(self._hash(limit, name), -(-tat // _NS))
                continue
            end = int(limit.calendar.window(self._wall())[1]) * SECOND
            if tat > end:
                memory = self._evicted_used.get(limit.calendar)
                if memory is None or memory.end != end:
                    memory = self._evicted_used[limit.calendar] = _Used(end)
                memory.sketch.note(self._hash(limit, name), tat - end)


class _Used:
    """What evicted keys had used of a calendar's quotas before one window's end, picoseconds since the epoch."""

    __slots__ = ("end", "sketch")

    def __init__(self, end: int) -> None:
        self.end = end
        self.sketch = Evicted()


def _shown(rate: Rate, base: int, tat: int, cost: int, until: float) -> Standing:
    """How a key stands before a charge; `until` is the time to its window's end, negative where it has none."""
    fits = gcra.charge(rate, tat, base, cost) is not None
    standing = gcra.standing(rate, tat, base, cost, allowed=fits)
    if until < 0:
        return standing
    wait = until if standing.retry_after > 0 else standing.retry_after
    return standing._replace(reset=until if standing.reset else 0.0, retry_after=wait)


def _after_a_step_back(calendar: Calendar, tat: int, window_end: float) -> int:
    """The number of a key used in a later window than the clock now shows: as it is if that is the next one."""
    return tat if tat < int(calendar.window(window_end)[1] + 1) * SECOND else 0
