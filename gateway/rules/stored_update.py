"""What later responses do to stored ones: a 304 or a HEAD updates them, an unsafe method invalidates them.

RFC 9111, sections 3.2, 4.3.4, 4.3.5 and 4.4.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from itertools import chain

from gateway.rules import cache_key, field_lines, hop_by_hop, request_target
from gateway.rules.conditional import Validators, opaque, strong
from gateway.rules.field_lines import Pieces

# Section 3.1: fields that are not stored, and so do not update either.
NOT_STORED = hop_by_hop.NAMES | {b"proxy-authenticate", b"proxy-authentication-info"}

# Section 3.2: Content-Length, which must not; Content-Range, which is of one message; and what the stored bytes
# depend on: their coding, and the digests of them.
_NOT_UPDATED = NOT_STORED | {
    b"content-digest",
    b"content-encoding",
    b"content-length",
    b"content-md5",
    b"content-range",
}

# Methods that the IANA registry has as safe. One that is unknown may not be (section 4.4).
_SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PRI", b"PROPFIND", b"QUERY", b"REPORT", b"SEARCH", b"TRACE"})

#: Bytes of a Location that is still looked at.
_LONGEST = 8192
_parts = re.compile(rb"(?:([A-Za-z][A-Za-z0-9+.-]*+):)?+(?://([^/?#]*+))?+([^?#]*+)(\?[^#]*+)?+(?:#.*+)?+", re.DOTALL)
_plain = re.compile(rb"[\x21-\x7e\x80-\xff]*+").fullmatch


class HeadEffect(enum.Enum):
    """What a HEAD's response does to a stored response of GET."""

    UPDATE = enum.auto()
    STALE = enum.auto()
    NOTHING = enum.auto()


def selected(new: Validators, asked: Sequence[Validators], *, trust_the_answer: bool = False) -> list[int]:
    """Which of the stored responses that the cache asked about a 304 updates (section 4.3.4), by their places.

    None means that the 304 says nothing of what is stored: it may not be used, and the request goes out again without
    conditions. A tag counts before a date, which could be that of another representation. A 304 without validators
    speaks of the only one that was asked about, for it answers that condition (RFC 9110, section 15.4.5).

    With `trust_the_answer` so does one whose strong tag is another than the only one that was asked about. The
    section forbids that update; origins that make a new tag for every message need it.
    """
    if strong(new.etag):
        found = [place for place, one in enumerate(asked) if one.etag == new.etag]
        return found or ([0] if trust_the_answer and len(asked) == 1 else [])
    candidates = range(len(asked))
    if new.etag is not None:
        return _latest([place for place in candidates if _weakly(asked[place].etag, new.etag)], asked)
    if new.modified is not None:
        dated = [place for place in candidates if asked[place].modified == new.modified]
        return dated if new.dated_strongly else _latest(dated, asked)
    return [0] if len(asked) == 1 else []


def updated(stored: Pieces, new: Pieces, excepted: frozenset[bytes] = frozenset()) -> Pieces:
    """A stored response's fields after an update (section 3.2): each of the new one's replaces those of its name.

    `excepted` are further names (lower-case) that are not stored: those of a qualified `no-cache` or `private`.
    A stored ETag stays, since the bytes stay; a stored Age goes, since without one the new response is the origin's
    own word (section 5.1).
    """
    nominated = hop_by_hop.listed([value for name, value in field_lines.pairs(new) if name.lower() == b"connection"])
    barred = _NOT_UPDATED | nominated | excepted
    if b"etag" in field_lines.names(stored):
        barred |= {b"etag"}
    lines: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for name, value in field_lines.pairs(new):
        lower = name.lower()
        if lower not in barred:
            lines.setdefault(lower, []).append((name, value))
    lines.setdefault(b"age", [])
    fields: list[tuple[bytes, bytes]] = []
    placed: set[bytes] = set()
    for name, value in field_lines.pairs(stored):
        lower = name.lower()
        if lower not in lines:
            fields.append((name, value))
        elif lower not in placed:
            placed.add(lower)
            fields += lines[lower]
    return field_lines.of(chain(fields, *(found for lower, found in lines.items() if lower not in placed)))


def after_head(
    status: int, new: Validators, new_length: int | None, stored: Validators, stored_length: int | None
) -> HeadEffect:
    """What a HEAD's response does to a stored response of GET that could have been chosen for it (section 4.3.5).

    Every validator that came has to be the stored one, and Content-Length too. Only a 200 tells.
    """
    if status != 200 or stored.status != 200:
        return HeadEffect.NOTHING
    same = (
        (new.etag is None or new.etag == stored.etag)
        and (new.modified is None or new.modified == stored.modified)
        and (new_length is None or new_length == stored_length)
    )
    return HeadEffect.UPDATE if same else HeadEffect.STALE


def unsafe(method: bytes) -> bool:
    """Whether a method may change what is stored."""
    return method not in _SAFE


def invalidated(
    method: bytes,
    status: int,
    scheme: bytes,
    authority: bytes,
    path: bytes,
    query: bytes,
    locations: Sequence[bytes] = (),
) -> list[tuple[bytes, bytes]]:
    """The paths and queries (with their question mark) of this origin that a response invalidates (section 4.4).

    That is the target's, and those of `locations`, the values of Location and Content-Location, which are of the same
    origin; others cannot be, or anyone could empty anyone's cache.
    """
    if not unsafe(method) or not 200 <= status < 400:
        return []
    found = {(path, query): None}
    for location in locations[:8]:
        target = _resolved(location.strip(b" \t"), scheme, authority, path, query)
        if target is not None:
            found[target] = None
    return list(found)


def _resolved(
    reference: bytes, scheme: bytes, authority: bytes, path: bytes, query: bytes
) -> tuple[bytes, bytes] | None:
    """A reference's path and query (RFC 3986, section 5.2.2); None where its origin is another, or it is none."""
    split = _parts.fullmatch(reference) if len(reference) <= _LONGEST and _plain(reference) else None
    if split is None:
        return None
    its_scheme, its_authority, its_path, its_query = split.groups()
    if its_scheme is not None and its_authority is None:
        return None
    if its_authority is not None:
        if cache_key.origin(its_scheme or scheme, its_authority) != cache_key.origin(scheme, authority):
            return None
        its_path = its_path or b"/"
    elif not its_path:
        return path, query if its_query is None else its_query
    elif not its_path.startswith(b"/"):
        its_path = path[: path.rfind(b"/") + 1] + its_path
    return request_target.read(its_path).forward if its_path.startswith(b"/") else its_path, its_query or b""


def _weakly(one: bytes | None, other: bytes) -> bool:
    return one is not None and opaque(one) == opaque(other)


def _latest(places: list[int], asked: Sequence[Validators]) -> list[int]:
    """The most recent of several; dates first, and then when they came."""
    if len(places) < 2:
        return places
    return [max(places, key=lambda place: (asked[place].date or asked[place].received, asked[place].received))]
