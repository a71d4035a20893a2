"""What goes to the scripts in `lua/` and comes back, as bytes: the other half of what their heads describe."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from hashlib import blake2b
from time import time

from gateway.rules.gcra import Standing
from gateway.state.ports import Calendar, Charge, Limit

TAKE, SOME, GIVE, FORCE, LOOK, RAISE = range(1, 7)
ACQUIRE, RELEASE, RENEW, COUNT = range(1, 5)

_QUOTA, _SHADOW = 1, 2
_US = 1e6  # picoseconds in a microsecond, and microseconds in a second
#: A longer key is sent as its hash, so that no client makes ours long.
_LONGEST = 64
#: Calendars whose windows are kept.
_CALENDARS = 64

_HEAD = struct.Struct("<BH")
_RATE = struct.Struct("<HBddd")
_BOUNDS = struct.Struct("<dddd")
_NUMBER = struct.Struct("<d")
_STANDING = struct.Struct("<Bddd")
_SLOT = struct.Struct("<BHd")

_new = tuple.__new__  # as in memory.py: this is on a request's way


class Keys:
    """The keys of one call, each once, and their indexes as Lua counts them."""

    __slots__ = ("indexes",)

    def __init__(self) -> None:
        self.indexes: dict[bytes, int] = {}

    def index(self, name: bytes) -> int:
        """A key's index, from 1."""
        indexes = self.indexes
        return indexes.setdefault(name, len(indexes) + 1)


class Codec:
    """Packs requests for a gateway of this name. `wall` gives seconds since the epoch, for quotas.

    All keys have one hash tag, so that a Cluster keeps them on one node, where one script can see them all.
    """

    def __init__(self, name: str, wall: Callable[[], float] = time) -> None:
        self.tag = b"{%b}:" % name.encode()
        # Apart, as one rule may have been the one and then the other.
        self._rates = self.tag + b"rate:"
        self._quotas = self.tag + b"quota:"
        self._slots = self.tag + b"slots:"
        #: Who is alive.
        self.replicas = self.tag + b"replicas"
        self._wall = wall
        self._windows: dict[Calendar, tuple[float, float, bytes]] = {}

    def bucket(self, limit: Limit, key: bytes) -> bytes:
        """The name of a rule's bucket for a key."""
        return (self._rates if limit.calendar is None else self._quotas) + limit.prefix + _short(key)

    def buckets(self, limit: Limit) -> bytes:
        """A pattern for all of a rule's buckets."""
        return _literal((self._rates if limit.calendar is None else self._quotas) + limit.prefix) + b"*"

    def slots(self, cap: str, key: bytes) -> bytes:
        """The name of a cap's leases for a key."""
        return self._slots + cap.encode() + b"\x00" + _short(key)

    def charges(self, operation: int, charges: Sequence[Charge], tail: float | None, keys: Keys) -> bytes:
        """One request about buckets. `tail` is a SOME's least, a GIVE's age in seconds."""
        packed = [_HEAD.pack(operation, len(charges))]
        for limit, key, cost in charges:
            rate = limit.rate
            kind = _SHADOW if limit.shadow else 0
            if limit.calendar is None:
                index = keys.index(self._rates + limit.prefix + _short(key))
                packed.append(_RATE.pack(index, kind, cost, rate.interval / _US, rate.capacity / _US))
            else:
                index = keys.index(self._quotas + limit.prefix + _short(key))
                packed.append(_RATE.pack(index, kind + _QUOTA, cost, 1.0, rate.limit))
                packed.append(self._bounds(limit.calendar))
        if tail is not None:
            packed.append(_NUMBER.pack(tail))
        return b"".join(packed)

    def level(self, limit: Limit, key: bytes, level: float, keys: Keys) -> bytes:
        """A RAISE: seconds of level, or what was used of a quota."""
        packed = [_HEAD.pack(RAISE, 1)]
        if limit.calendar is None:
            index = keys.index(self._rates + limit.prefix + _short(key))
            packed.append(_RATE.pack(index, 0, level * _US, 1.0, limit.rate.capacity / _US))
        else:
            index = keys.index(self._quotas + limit.prefix + _short(key))
            packed.append(_RATE.pack(index, _QUOTA, level, 1.0, level))
            packed.append(self._bounds(limit.calendar))
        return b"".join(packed)

    def _bounds(self, calendar: Calendar) -> bytes:
        """The windows around now."""
        wall = self._wall()
        known = self._windows.get(calendar)
        if known is None or not known[0] <= wall < known[1]:
            start, end = calendar.window(wall)
            bounds = _BOUNDS.pack(calendar.window(start - 1)[0], start, end, calendar.window(end)[1])
            if len(self._windows) >= _CALENDARS:
                self._windows.clear()
            known = self._windows[calendar] = (start, end, bounds)
        return known[2]


def slot(operation: int, name: bytes, limit: int, lease: bytes, keys: Keys) -> bytes:
    """One request about slots."""
    return _SLOT.pack(operation, keys.index(name), limit) + lease


def standings(answer: bytes) -> list[Standing]:
    """What a TAKE or a LOOK came to."""
    return [
        _new(Standing, (allowed == 1, int(left), reset / _US, wait / _US if wait > 0 else wait))
        for allowed, left, reset, wait in _STANDING.iter_unpack(answer)
    ]


def some(answer: bytes) -> tuple[int, Standing]:
    """What a SOME came to."""
    return int(_NUMBER.unpack_from(answer)[0]), standings(answer[_NUMBER.size :])[0]


def _short(key: bytes) -> bytes:
    """A key as it is, or its hash; the first byte keeps the two apart."""
    if len(key) <= _LONGEST:
        return b"=" + key
    return b"#" + blake2b(key, digest_size=24).digest()


def _literal(name: bytes) -> bytes:
    """A name as a pattern that matches only itself."""
    for special in (b"\\", b"*", b"?", b"[", b"]"):
        name = name.replace(special, b"\\" + special)
    return name
