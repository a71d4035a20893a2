"""Cache-Control of requests and responses, and the CDN-Cache-Control that takes its place (RFC 9111, 5.2; RFC 9213).

Reading never fails. Unknown directives are passed over, an argument may be a token or a quoted string (section 5.2).
Of a directive that comes twice the first counts, and a time that is no number of seconds is none: 0, which makes a
response stale (section 4.2.1). Directives that conflict all stand; who decides by them lets the strictest win.

What is read never changes, so short lines, which nearly all responses share with others, are read once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from gateway.rules import structured_dictionary

#: The longest time, in seconds; more is this (RFC 9111, section 1.2.2). Also what `max-stale` without a number means.
LONGEST = 2**31

#: One directive: its name, and its argument if it has one. A quoted string that never ends is read as a token, so
#: that it hides nothing behind it. Possessive, so linear in the line's length.
_DIRECTIVE = re.compile(rb'([^\s,="]++)(\s*+=(?:\s*+("(?:[^"\\]|\\.)*+")|([^,]*+)))?+[^,]*+', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SECONDS = re.compile(rb"[0-9]++")
_FIELD_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]++")
_NO_CACHE = re.compile(rb"(?:^|,)\s*no-cache\s*(?:,|$)", re.IGNORECASE)

#: Bytes of a line that is worth remembering, and how many lines are.
_SHORT = 100
_REMEMBERED = 512

_NO_FIELDS: frozenset[bytes] = frozenset()


class ResponseDirectives(NamedTuple):
    """What a response says of its storing. Times are seconds; None where it says nothing."""

    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    no_store: bool = False
    #: Of the whole response; where it names fields they are in `no_cache_fields` instead, in lower case.
    no_cache: bool = False
    no_cache_fields: frozenset[bytes] = _NO_FIELDS
    #: Of the whole response; where it names fields they are in `private_fields` instead, in lower case.
    private: bool = False
    private_fields: frozenset[bytes] = _NO_FIELDS
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    immutable: bool = False
    no_transform: bool = False


class RequestDirectives(NamedTuple):
    """What a request says of the answer that it wants. Times are seconds; None where it says nothing."""

    max_age: int | None = None
    #: LONGEST for any.
    max_stale: int | None = None
    min_fresh: int | None = None
    stale_if_error: int | None = None
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    no_transform: bool = False


#: A response, and a request, that says nothing.
SILENT = ResponseDirectives()
ANYTHING = RequestDirectives()

_RESPONSE_TIMES = {
    b"max-age": "max_age",
    b"s-maxage": "s_maxage",
    b"stale-while-revalidate": "stale_while_revalidate",
    b"stale-if-error": "stale_if_error",
}
_RESPONSE_FLAGS = {
    b"no-store": "no_store",
    b"public": "public",
    b"must-revalidate": "must_revalidate",
    b"proxy-revalidate": "proxy_revalidate",
    b"must-understand": "must_understand",
    b"immutable": "immutable",
    b"no-transform": "no_transform",
}
#: Those that may be of some fields only.
_OF_FIELDS = {b"no-cache": "no_cache", b"private": "private"}
_REQUEST_TIMES = {
    b"max-age": "max_age",
    b"max-stale": "max_stale",
    b"min-fresh": "min_fresh",
    b"stale-if-error": "stale_if_error",
}
_REQUEST_FLAGS = {
    b"no-cache": "no_cache",
    b"no-store": "no_store",
    b"only-if-cached": "only_if_cached",
    b"no-transform": "no_transform",
}


def response(lines: Sequence[bytes]) -> ResponseDirectives:
    """The directives of a response's Cache-Control lines (RFC 9111, section 5.2.2)."""
    if not lines:
        return SILENT
    if len(lines) == 1 and len(lines[0]) <= _SHORT:
        return _remembered_response(lines[0])
    return _response(lines)


def request(lines: Sequence[bytes], pragma: Sequence[bytes] = ()) -> RequestDirectives:
    """The directives of a request's Cache-Control lines (RFC 9111, section 5.2.1).

    `pragma` are the Pragma lines where they are to count, as those of HTTP/1.0 do: its `no-cache` stands in for a
    Cache-Control that is not there (section 5.4).
    """
    if lines:
        if len(lines) == 1 and len(lines[0]) <= _SHORT:
            return _remembered_request(lines[0])
        return _request(lines)
    if pragma and any(_NO_CACHE.search(line) for line in pragma):
        return RequestDirectives(no_cache=True)
    return ANYTHING


def targeted(lines: Sequence[bytes]) -> ResponseDirectives | None:
    """The directives of CDN-Cache-Control, which then stand in for Cache-Control and Expires; None to go by those.

    It is a dictionary of structured fields; one that is empty or not well-formed counts as not there, parameters do
    not count, and of a directive that comes twice the last does (RFC 9213, section 2.1; RFC 8941, section 3.2).
    """
    members = structured_dictionary.parse(lines) if lines else None
    if not members:
        return None
    found: dict[str, Any] = {}
    for name, value in members.items():
        if value is False:
            continue
        if name in _RESPONSE_TIMES:
            whole = isinstance(value, int) and value is not True
            found[_RESPONSE_TIMES[name]] = max(0, min(int(value or 0), LONGEST)) if whole else 0
        elif name in _RESPONSE_FLAGS:
            found[_RESPONSE_FLAGS[name]] = True
        elif name in _OF_FIELDS:
            _of_fields(found, _OF_FIELDS[name], value.lower() if isinstance(value, bytes) else None)
    return ResponseDirectives(**found)


def _response(lines: Sequence[bytes]) -> ResponseDirectives:
    found: dict[str, Any] = {}
    for line in lines:
        for name, argument, quoted, token in _DIRECTIVE.findall(line.lower()):
            key = _RESPONSE_TIMES.get(name)
            if key is not None:
                if key not in found:
                    found[key] = _seconds(argument, quoted, token)
            elif name in _RESPONSE_FLAGS:
                found[_RESPONSE_FLAGS[name]] = True
            elif name in _OF_FIELDS:
                _of_fields(found, _OF_FIELDS[name], _unquoted(quoted) if quoted else token if argument else None)
    return ResponseDirectives(**found)


def _request(lines: Sequence[bytes]) -> RequestDirectives:
    found: dict[str, Any] = {}
    for line in lines:
        for name, argument, quoted, token in _DIRECTIVE.findall(line.lower()):
            key = _REQUEST_TIMES.get(name)
            if key is not None:
                if key not in found:
                    any_age = name == b"max-stale" and not argument
                    found[key] = LONGEST if any_age else _seconds(argument, quoted, token)
            elif name in _REQUEST_FLAGS:
                found[_REQUEST_FLAGS[name]] = True
    return RequestDirectives(**found)


def _line(read: Callable[[Sequence[bytes]], Any]) -> Callable[[bytes], Any]:
    return lru_cache(_REMEMBERED)(lambda line: read((line,)))


_remembered_response: Callable[[bytes], ResponseDirectives] = _line(_response)
_remembered_request: Callable[[bytes], RequestDirectives] = _line(_request)


def delta_seconds(text: bytes) -> int | None:
    """Seconds as a field says them, LONGEST at most; None for what is no number (RFC 9111, section 1.2.2)."""
    if not _SECONDS.fullmatch(text):
        return None
    digits = text.lstrip(b"0")  # int() refuses thousands of digits
    return LONGEST if len(digits) > 10 else min(int(digits or b"0"), LONGEST)


def _seconds(argument: bytes, quoted: bytes, token: bytes) -> int:
    if argument[:1] != b"=":  # there is none, or a space before it
        return 0
    return delta_seconds(_unquoted(quoted) if quoted else token.rstrip(b" \t")) or 0


def _unquoted(quoted: bytes) -> bytes:
    return _ESCAPED.sub(rb"\1", quoted[1:-1])


def _of_fields(found: dict[str, Any], key: str, argument: bytes | None) -> None:
    """Note which fields a directive names; without one, or with what cannot be one, it is of all of them."""
    names = frozenset() if argument is None else frozenset(name.strip(b" \t") for name in argument.split(b","))
    if names and all(map(_FIELD_NAME.fullmatch, names)):
        found[f"{key}_fields"] = found.get(f"{key}_fields", _NO_FIELDS) | names
    else:
        found[key] = True
