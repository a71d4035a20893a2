"""Stored responses as operators see them."""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.cache.entry import Entry
from gateway.rules.purge import name_of

#: Characters of a path and of the names of parameters that are shown.
_LONGEST = 200

_unseen = re.compile(r"[^\x21-\x7e]")


class Ranked(NamedTuple):
    """A stored response."""

    #: The key's short name, by which it can be purged.
    name: str
    host: str
    #: Path, and the names of the query's parameters: their values may be secrets.
    target: str
    route: str
    #: How often it was found since it was stored; what replaces it counts on.
    hits: int
    #: Bytes in memory.
    size: int
    #: Seconds; the ttl of what is stale is negative.
    age: float
    ttl: float


def ranked(entry: Entry, hits: int, size: int, now: float) -> Ranked:
    """An entry that has been found so often."""
    subject, times = entry.subject, entry.freshness
    host = _unseen.sub("?", subject.host.decode("latin-1"))
    return Ranked(
        name_of(subject.key),
        host,
        shown(subject.target),
        entry.route,
        hits,
        size,
        times.age(now),
        times.left(now),
    )


def shown(target: bytes) -> str:
    """A path and query without the values of its parameters."""
    path, mark, query = target.partition(b"?")
    text = _cut(path)
    if mark:
        # What has no name is a value.
        names = [name for name, equals, _ in (pair.partition(b"=") for pair in re.split(rb"[&;]", query)) if equals]
        text += "?" + _cut(b"&".join(names) or b"...")
    return text


def _cut(text: bytes) -> str:
    shortened = text if len(text) <= _LONGEST else text[:_LONGEST] + b"..."
    return _unseen.sub("?", shortened.decode("latin-1"))
