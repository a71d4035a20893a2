"""Which stored responses a purge means, and which purges an entry has not seen yet.

Purges are numbered. An entry bears the number of the last one before its request went out, so that one that was
fetched before a purge and stored after it is known for what it is; so is one in a shared tier that nobody searched.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple

#: Purges remembered by what they name exactly, and patterns, each of which is tried by itself.
MOST = 10_000
MOST_PATTERNS = 256
#: Bytes of a value that is remembered as it stands; of a longer one a digest is.
_LONGEST = 64


class Kind(Enum):
    """What a purge goes by."""

    #: A key's short name, as `GET cache/top` shows it: `name_of` the primary key.
    KEY = "key"
    #: A path and query.
    URL = "url"
    #: A tag of the route, or of the response.
    TAG = "tag"
    #: A path and query in which `*` stands for anything.
    PATTERN = "pattern"
    ALL = "all"


class Purge(NamedTuple):
    """What is to go, or with `soft` to turn stale."""

    kind: Kind
    value: bytes = b""
    #: As in Subject; None for any.
    host: bytes | None = None
    soft: bool = False


class Subject(NamedTuple):
    """By what a stored response is found when it is to go."""

    #: The primary key (rules/cache_key.py).
    key: bytes
    #: The host as the client called it, in lower case without a default port; then path and query.
    host: bytes
    target: bytes
    tags: frozenset[bytes] = frozenset()


class Effect(Enum):
    """What later purges make of an entry."""

    NONE = "none"
    #: It is stale.
    SOFT = "soft"
    #: It is gone.
    HARD = "hard"


def name_of(key: bytes) -> str:
    """A primary key's short name, 16 hexadecimal digits: keys may be long, and hold what is nobody's to read."""
    return blake2b(key, digest_size=8).hexdigest()


def means(purge: Purge, subject: Subject, name: str) -> bool:
    """Whether a purge means an entry; `name` is `name_of` its key."""
    if purge.host is not None and purge.host != subject.host:
        return False
    match purge.kind:
        case Kind.KEY:
            return purge.value == name.encode()
        case Kind.URL:
            return purge.value == subject.target
        case Kind.TAG:
            return purge.value in subject.tags
        case Kind.PATTERN:
            return Pattern(purge.value).matches(subject.target)
    return True


class Pattern:
    """Bytes in which `*` stands for any bytes, none too.

    What stands between two stars is looked for from where the one before it ended, and found at its first place: if
    any fits, that does. So nothing is tried twice, and it takes time in proportion to what it is matched against.
    """

    __slots__ = ("_first", "_last", "_least", "_middle", "_whole")

    def __init__(self, text: bytes) -> None:
        parts = text.split(b"*")
        self._whole = len(parts) == 1
        self._first = parts[0]
        self._last = parts[-1]
        self._middle = tuple(part for part in parts[1:-1] if part)
        self._least = len(text) - len(parts) + 1

    def matches(self, target: bytes) -> bool:
        """Whether all of it fits."""
        if self._whole:
            return target == self._first
        if len(target) < self._least or not target.startswith(self._first) or not target.endswith(self._last):
            return False
        at, end = len(self._first), len(target) - len(self._last)
        for part in self._middle:
            found = target.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


class PurgeLog:
    """The purges that entries from before them are to be held against, by their numbers. Bounded.

    What names something exactly is found by that; only patterns are tried one by one. Of equal purges the latest is
    kept. What is too many is forgotten, and all that is older than what was forgotten counts as purged.
    """

    __slots__ = ("_exact", "_floor", "_most", "_most_patterns", "_names", "_patterns", "_version")

    def __init__(self, most: int = MOST, most_patterns: int = MOST_PATTERNS) -> None:
        self._most = most
        self._most_patterns = most_patterns
        self._version = 0
        self._floor = 0
        #: The latest number of each, the one longest not repeated first.
        self._exact: OrderedDict[tuple[bool, Kind, bytes, bytes | None], int] = OrderedDict()
        self._patterns: OrderedDict[tuple[bool, bytes, bytes | None], tuple[int, Pattern]] = OrderedDict()
        #: How many of them go by a key's name, which has to be computed for them.
        self._names = 0

    def __len__(self) -> int:
        return len(self._exact) + len(self._patterns)

    @property
    def version(self) -> int:
        """The latest purge's number; 0 where there was none."""
        return self._version

    @property
    def floor(self) -> int:
        """The latest number of what was forgotten: what has not seen it counts as purged."""
        return self._floor

    def add(self, purge: Purge, number: int | None = None) -> int:
        """Remember a purge, and its number: the next one, or the one that it has already."""
        if number is None:
            number = self._version + 1
        self._version = max(self._version, number)
        if purge.kind is Kind.ALL and purge.host is None and not purge.soft:
            self._all(number)
        elif purge.kind is Kind.PATTERN:
            self._add_pattern(purge, number)
        else:
            self._add_exact(purge, number)
        return number

    def hit(self, subject: Subject, since: int) -> Effect:
        """What the purges after number `since` make of an entry that has seen those up to it."""
        if since >= self._version:
            return Effect.NONE
        if since < self._floor:
            return Effect.HARD
        places = self._places(subject)
        for soft, effect in ((False, Effect.HARD), (True, Effect.SOFT)):
            for kind, value in places:
                for host in (None, subject.host):
                    if self._exact.get((soft, kind, value, host), 0) > since:
                        return effect
            for (softly, _, host), (number, pattern) in self._patterns.items():
                held = softly is soft and number > since and host in (None, subject.host)
                if held and pattern.matches(subject.target):
                    return effect
        return Effect.NONE

    def _places(self, subject: Subject) -> list[tuple[Kind, bytes]]:
        """By what exact names an entry may be meant."""
        places = [(Kind.ALL, b""), (Kind.URL, _short(subject.target))]
        if self._names:
            places.append((Kind.KEY, name_of(subject.key).encode()))
        places += [(Kind.TAG, _short(tag)) for tag in subject.tags]
        return places

    def _all(self, number: int) -> None:
        """Nothing from before it is left to be held against anything."""
        self._floor = max(self._floor, number)
        for place in [place for place, older in self._exact.items() if older <= number]:
            self._forget(place)
        for pattern in [pattern for pattern, (older, _) in self._patterns.items() if older <= number]:
            del self._patterns[pattern]

    def _add_exact(self, purge: Purge, number: int) -> None:
        value = b"" if purge.kind is Kind.ALL else _short(purge.value)
        place = (purge.soft, purge.kind, value, purge.host)
        older = self._exact.get(place)
        if older is None and purge.kind is Kind.KEY:
            self._names += 1
        self._exact[place] = number if older is None else max(number, older)
        self._exact.move_to_end(place)
        if len(self._exact) > self._most:
            self._floor = max(self._floor, self._forget(next(iter(self._exact))))

    def _forget(self, place: tuple[bool, Kind, bytes, bytes | None]) -> int:
        self._names -= place[1] is Kind.KEY
        return self._exact.pop(place)

    def _add_pattern(self, purge: Purge, number: int) -> None:
        place = (purge.soft, purge.value, purge.host)
        older = self._patterns.get(place)
        self._patterns[place] = (number, Pattern(purge.value)) if older is None else (max(number, older[0]), older[1])
        self._patterns.move_to_end(place)
        if len(self._patterns) > self._most_patterns:
            _, (forgotten, _) = self._patterns.popitem(last=False)
            self._floor = max(self._floor, forgotten)


def _short(value: bytes) -> bytes:
    """A value as it is remembered; clients choose how long a path is that an unsafe method of theirs invalidates."""
    return value if len(value) <= _LONGEST else b"#" + blake2b(value, digest_size=32).digest()
