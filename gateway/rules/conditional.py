"""Conditional requests at a cache: what a stored response answers, and how the cache asks about its own.

RFC 9110, section 13, and RFC 9111, sections 4.3.1 and 4.3.2. Dates are seconds since the epoch.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gateway.rules import field_lines, http_date
from gateway.rules.field_lines import Pieces

#: A request's or response's fields: the values of a lower-case name, none where it is absent.
Values = Callable[[bytes], Sequence[bytes]]

#: Fields by which a client makes its request conditional, and those that ask for a part.
CONDITIONS = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"}
)

#: How many entity tags go into one If-None-Match, and how many bytes of them; what does not fit is not asked about.
MOST_TAGS = 64
_MOST_BYTES = 4096

_is_tag = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"').fullmatch
_tags = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"').findall
# What stands between a list's entity tags.
_is_list = re.compile(rb'[ \t,]*+(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"[ \t]*+(?:,[ \t,]*+|$))*+').fullmatch

# What describes content that a 304 does not have (RFC 9110, section 15.4.5, last paragraph), and its framing.
_NOT_IN_304 = frozenset(
    {
        b"content-digest",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-md5",
        b"content-range",
        b"content-type",
        b"digest",
        b"repr-digest",
        b"trailer",
        b"transfer-encoding",
    }
)
_NOT_BESIDE_A_TAG = _NOT_IN_304 | {b"last-modified"}


class Verdict(enum.Enum):
    """What a request's preconditions make of its answer."""

    #: The stored response, all of it; a Range field is to be ignored.
    WHOLE = enum.auto()
    #: The stored response, or the part of it that Range asks for.
    PART = enum.auto()
    #: A 304.
    NOT_MODIFIED = enum.auto()
    #: Only the origin can evaluate them.
    FORWARD = enum.auto()


class Validators(NamedTuple):
    """By what a stored response is told from others of its resource.

    `etag` and `last_modified` are as they came, None where there is none that is usable; `modified` is the latter's
    time, `date` that of the Date field, and `received` when the response came.
    """

    status: int
    etag: bytes | None
    last_modified: bytes | None
    modified: int | None
    date: int | None
    received: int

    @property
    def dated_strongly(self) -> bool:
        """Whether Last-Modified is a strong validator (RFC 9110, section 8.8.2.2): Date is a second later or more."""
        return self.modified is not None and self.date is not None and self.date > self.modified


def validators(status: int, values: Values, received: int) -> Validators:
    """The validators of a response that came at `received`. One that comes twice is none: whose word would it be?"""
    etags, dates, modifieds = values(b"etag"), values(b"date"), values(b"last-modified")
    etag = (etags[0].strip(b" \t") or None) if len(etags) == 1 else None
    modified = http_date.parse(modifieds[0], received) if len(modifieds) == 1 else None
    date = http_date.parse(dates[0], received) if len(dates) == 1 else None
    return Validators(status, etag, modifieds[0] if modified is not None else None, modified, date, received)


def evaluate(method: bytes, values: Values, stored: Validators, now: float) -> Verdict:
    """What a stored response answers to a request that it could be chosen for (RFC 9110, section 13.2.2).

    If-Match and If-Unmodified-Since are for the origin, which alone knows the current state (RFC 9111, 4.3.2); a date
    that is none, or one beside If-Match, does not count, as everywhere. What is no success is answered as it stands
    (RFC 9110, section 13.2.1).
    """
    if values(b"if-match") or _date(values(b"if-unmodified-since"), now) is not None:
        return Verdict.FORWARD
    if method not in (b"GET", b"HEAD") or not 200 <= stored.status < 300:
        return Verdict.WHOLE
    tags = values(b"if-none-match")
    if tags:
        if matches(tags, stored.etag):
            return Verdict.NOT_MODIFIED
    elif _unmodified(_date(values(b"if-modified-since"), now), stored):
        return Verdict.NOT_MODIFIED
    if method != b"GET" or stored.status != 200 or not values(b"range"):
        return Verdict.WHOLE
    condition = values(b"if-range")
    return Verdict.PART if not condition or _in_range(condition, stored, now) else Verdict.WHOLE


def opaque(etag: bytes) -> bytes:
    """An entity tag without its weakness."""
    return etag[2:] if etag.startswith(b"W/") else etag


def strong(etag: bytes | None) -> bool:
    """Whether this is an entity tag, and a strong one (RFC 9110, section 8.8.3)."""
    return etag is not None and etag.startswith(b'"') and _is_tag(etag) is not None


def matches(listed: Sequence[bytes], etag: bytes | None) -> bool:
    """If-None-Match by weak comparison (RFC 9110, sections 8.8.3.2 and 13.1.2): whether the stored one is among them.

    An origin's malformed tag matches where a client repeats it byte for byte and alone; a malformed list, nothing.
    """
    value = (listed[0] if len(listed) == 1 else b",".join(listed)).strip(b" \t")
    if value == b"*":
        return True
    if etag is None:
        return False
    if value == etag:
        return True
    if not _is_tag(etag) or not _is_list(value):
        return False
    wanted = opaque(etag)
    return any(opaque(tag) == wanted for tag in _tags(value))


def not_modified(stored: Pieces) -> Pieces:
    """The fields of a 304 made of a stored response's (RFC 9110, section 15.4.5): less what describes its content.

    Last-Modified stays where it is the only validator, so that the client's cache knows which one is meant.
    """
    dropped = _NOT_BESIDE_A_TAG if b"etag" in field_lines.names(stored) else _NOT_IN_304
    return field_lines.without(stored, dropped)


def unconditional(request: Pieces) -> Pieces:
    """A request's fields without its preconditions and its Range, to fetch what may be stored whole."""
    return field_lines.without(request, CONDITIONS)


def asking(request: Pieces, stored: Sequence[Validators]) -> Pieces:
    """A request's fields that validate these stored responses (RFC 9111, section 4.3.1), first the one to be used.

    The client's own preconditions give way, and are evaluated afterwards against what then is stored. The entity tag
    of every one goes along; its date does where it is the only one, because dates could not tell several apart.
    """
    fields = unconditional(request)
    tags = b", ".join(_fitting(one.etag for one in stored if one.etag is not None))
    if tags:
        field_lines.keep(fields, b"If-None-Match", tags)
    if len(stored) == 1 and stored[0].last_modified is not None:
        field_lines.keep(fields, b"If-Modified-Since", stored[0].last_modified)
    return fields


def can_ask(stored: Validators) -> bool:
    """Whether a stored response has a validator to ask about."""
    return stored.etag is not None or stored.last_modified is not None


def _fitting(etags: Iterable[bytes]) -> list[bytes]:
    """Tags without repetition. A malformed one is sent only alone, for in a list it could be anything."""
    found = list(dict.fromkeys(etags))
    if len(found) == 1:
        return found
    fitting: list[bytes] = []
    size = 0
    for etag in found:
        size += len(etag) + 2
        if size <= _MOST_BYTES and len(fitting) < MOST_TAGS and _is_tag(etag):
            fitting.append(etag)
    return fitting


def _date(values: Sequence[bytes], now: float) -> int | None:
    """A precondition's date; None where it is to be ignored: none, several, or not a date (RFC 9110, 13.1.3)."""
    return http_date.parse(values[0], now) if len(values) == 1 else None


def _unmodified(since: int | None, stored: Validators) -> bool:
    """If-Modified-Since. Without a Last-Modified, Date counts, or when the response came (RFC 9111, 4.3.2)."""
    if since is None:
        return False
    if stored.modified is not None:
        return stored.modified <= since
    return (stored.received if stored.date is None else stored.date) <= since


def _in_range(condition: Sequence[bytes], stored: Validators, now: float) -> bool:
    """If-Range: a strong tag that is the stored one, or exactly its date if that is strong (RFC 9110, 13.1.5)."""
    if len(condition) != 1:
        return False
    value = condition[0].strip(b" \t")
    if value[:1] == b'"' or value[:2] == b"W/":
        return value == stored.etag and strong(value)
    date = http_date.parse(value, now)
    return date is not None and date == stored.modified and stored.dated_strongly
