"""Vary: which request fields choose among the stored responses of one resource (RFC 9111, section 4.1).

Requests match when the nominated fields match after what the section allows: space taken out or put in where the
syntax lets it, lines of one name joined, and for known fields what means the same written in one way.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Generic, TypeVar

Values = Callable[[bytes], Sequence[bytes]]
#: Lower-case names, sorted.
Names = tuple[bytes, ...]

#: Nominated fields; more than any real response has. With more, none can match.
MOST_NAMES = 32
#: Stored responses of one primary key, and different Vary fields among them.
MOST_VARIANTS = 64
_MOST_LISTS = 8
#: Bytes of a secondary key; a longer one is digested.
_LONGEST = 256
#: Bytes of a field that is still taken apart; a longer one counts as it stands.
_LONGEST_PARSED = 4096

_is_token = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]{1,256}+").fullmatch
_preference = re.compile(
    rb"([!#$%&'*+.^_`|~0-9a-z-]++)(?:[ \t]*+;[ \t]*+q=(0(?:\.[0-9]{0,3}+)?|1(?:\.0{0,3}+)?))?"
).fullmatch

# Fields that are no lists, in which a comma is a character as any other.
_WHOLE = frozenset(
    {
        b"authorization",
        b"cookie",
        b"date",
        b"from",
        b"host",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"origin",
        b"proxy-authorization",
        b"referer",
        b"user-agent",
    }
)
_ALIASES = {b"x-gzip": b"gzip", b"x-compress": b"compress"}  # RFC 9110, section 8.4.1

_Entry = TypeVar("_Entry")


def names(values: Sequence[bytes]) -> Names | None:
    """The fields that Vary fields nominate; none where there is no Vary.

    None where no other request can match: `*` among them, something that is no field's name, or too many.
    """
    if not values:
        return ()
    found = {item.strip(b" \t") for item in b",".join(values).lower().split(b",")} - {b""}
    if b"*" in found or len(found) > MOST_NAMES or not all(map(_is_token, found)):
        return None
    return tuple(sorted(found))


def normal(name: bytes, values: Sequence[bytes]) -> bytes | None:
    """A request field so that equal ones match; None where it is absent, which matches only absence."""
    if not values:
        return None
    if name in _WHOLE:
        joined = (b"; " if name == b"cookie" else b", ").join(values)
        return joined.strip(b" \t")
    value = values[0] if len(values) == 1 else b",".join(values)
    if len(value) > _LONGEST_PARSED:
        return value
    # Clients of a kind send the same values; long ones are not worth remembering, nor safe to.
    return _remembered(name, value) if len(value) <= 256 else _meaning(name, value)


def secondary(nominated: Names, values: Values) -> bytes:
    """A request's key among the variants that these names tell apart; different requests never have the same."""
    parts: list[bytes] = []
    for name in nominated:
        value = normal(name, values(name))
        parts.append(b"%d:%b-" % (len(name), name) if value is None else _present(name, value))
    key = b"".join(parts)
    return key if len(key) <= _LONGEST else b"#" + blake2b(key, digest_size=32).digest()


class Variants(Generic[_Entry]):
    """The stored responses of one primary key, at most `most`; the one longest unused gives way."""

    __slots__ = ("_entries", "_lists", "_most", "_stored")

    def __init__(self, most: int = MOST_VARIANTS) -> None:
        self._most = most
        #: By the names and the request's secondary key: when it was stored, counting, and what.
        self._entries: OrderedDict[tuple[Names, bytes], tuple[int, _Entry]] = OrderedDict()
        #: How many entries each list of names has, the latest last.
        self._lists: OrderedDict[Names, int] = OrderedDict()
        self._stored = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, values: Values) -> _Entry | None:
        """The response for a request: the latest stored of those that match, one with a Vary before one without."""
        best: tuple[bool, int, tuple[Names, bytes]] | None = None
        for nominated in self._lists:
            place = (nominated, secondary(nominated, values))
            entry = self._entries.get(place)
            if entry is not None and (best is None or (bool(nominated), entry[0]) > best[:2]):
                best = (bool(nominated), entry[0], place)
        if best is None:
            return None
        self._entries.move_to_end(best[2])
        return self._entries[best[2]][1]

    def put(self, nominated: Names, values: Values, entry: _Entry) -> list[_Entry]:
        """Store the response to a request; the result is what it replaces and what had to give way to it."""
        place = (nominated, secondary(nominated, values))
        gone = [self._take(place)] if place in self._entries else []
        self._stored += 1
        self._entries[place] = (self._stored, entry)
        self._lists[nominated] = self._lists.get(nominated, 0) + 1
        self._lists.move_to_end(nominated)
        while len(self._entries) > self._most:
            gone.append(self._take(next(iter(self._entries))))
        while len(self._lists) > _MOST_LISTS:
            oldest = next(iter(self._lists))
            gone += [self._take(place) for place in list(self._entries) if place[0] == oldest]
        return gone

    def remove(self, entry: _Entry) -> bool:
        """Forget this very one; False where it is not there."""
        for place, (_, stored) in self._entries.items():
            if stored is entry:
                self._take(place)
                return True
        return False

    def get(self, nominated: Names, values: Values) -> _Entry | None:
        """What `put` would replace; it counts for nothing."""
        found = self._entries.get((nominated, secondary(nominated, values)))
        return None if found is None else found[1]

    def all(self) -> list[_Entry]:
        """Every one, the latest used last."""
        return [entry for _, entry in self._entries.values()]

    def latest(self) -> Names:
        """The names that came with what was stored last."""
        return next(reversed(self._lists), ())

    def _take(self, place: tuple[Names, bytes]) -> _Entry:
        _, entry = self._entries.pop(place)
        self._lists[place[0]] -= 1
        if not self._lists[place[0]]:
            del self._lists[place[0]]
        return entry


def _meaning(name: bytes, value: bytes) -> bytes:
    read = (
        _codings(value) if name == b"accept-encoding" else _languages(value) if name == b"accept-language" else None
    )
    return read or _spaced(value)


_remembered = lru_cache(1024)(_meaning)


def _present(name: bytes, value: bytes) -> bytes:
    return b"%d:%b%d:%b" % (len(name), name, len(value), value)


def _spaced(value: bytes) -> bytes:
    """Without space round the commas and the ends. Not where there are quotes, in which a comma is a character."""
    value = value.strip(b" \t")
    if b'"' in value or b"," not in value:
        return value
    return b",".join([item.strip(b" \t") for item in value.split(b",")])


def _preferences(value: bytes) -> list[tuple[bytes, float]] | None:
    """The members of a weighted list in lower case (RFC 9110, section 12.4.2); None where it is none."""
    found: list[tuple[bytes, float]] = []
    for item in value.lower().split(b","):
        member = item.strip(b" \t")
        if not member:
            continue
        read = _preference(member)
        if read is None:
            return None
        found.append((read[1], 1.0 if read[2] is None else float(read[2])))
    return found


def _written(members: list[tuple[bytes, float]]) -> bytes:
    return b",".join(name if weight == 1 else b"%b;q=%.3f" % (name, weight) for name, weight in members)


def _codings(value: bytes) -> bytes | None:
    """Accept-Encoding, in which order means nothing (RFC 9110, section 12.5.3); None where it cannot be read so."""
    members = _preferences(value)
    if members is None:
        return None
    known = sorted({(_ALIASES.get(name, name), weight) for name, weight in members})
    # One coding with two weights means what the reader makes of it, and that may depend on the order.
    return _written(known) if len({name for name, _ in known}) == len(known) else None


def _languages(value: bytes) -> bytes | None:
    """Accept-Language by falling weight; None where it cannot be read so.

    Among equal weights the order stays. It should mean nothing, but for many servers the first one wins (RFC 9110,
    section 12.5.4), and a page in the other language would be the wrong one.
    """
    members = _preferences(value)
    return None if members is None else _written(sorted(members, key=lambda member: -member[1]))
