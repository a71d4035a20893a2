"""Which header and trailer fields end at this hop (RFC 9110, sections 6.5.1 and 7.6.1).

All names here are lower-case bytes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# Section 7.6.1, and two more. Proxy-Authorization holds credentials for a proxy, and the upstream is none (11.7.2).
# HTTP2-Settings means something only beside an h2c upgrade, which is not tunnelled.
# Not here: Trailer, since trailers are passed on; Proxy-Authenticate, which is no hop-by-hop field since RFC 7230
# and without which an upstream's 407, passed untouched, would be malformed (15.5.8).
NAMES = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)

# Connection may name any field, so a client could have those removed on which the app decides who it talks to or
# what the message says. Section 7.6.1 forbids nominating a field meant for all recipients; such nominations are
# ignored for these.
_END_TO_END = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expect",
        b"forwarded",
        b"host",
        b"location",
        b"range",
        b"set-cookie",
        b"traceparent",
        b"tracestate",
        b"trailer",
        b"vary",
        b"www-authenticate",
        b"x-real-ip",
    }
)
_FORWARDED_PREFIX = b"x-forwarded-"

#: What nearly every Connection field says, and what nominates nothing that is not in NAMES.
_COMMON = frozenset({b"keep-alive", b"Keep-Alive", b"close", b"Close", b"upgrade", b"Upgrade"})
_OPTIONS = NAMES | {b"close"}
_NOTHING: frozenset[bytes] = frozenset()
#: A head has at most so many fields to nominate; the rest of a longer list is not looked at.
_MAX_OPTIONS = 256

# Section 6.5.1: fields for framing, routing, request control, authentication, response control, and those that say
# how to read the content; plus what a server might take for the proxy's word if it merges trailers into the header.
_NOT_IN_TRAILERS = (
    NAMES
    | _END_TO_END
    | {
        b"age",
        b"authentication-info",
        b"content-location",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"max-forwards",
        b"pragma",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"retry-after",
        b"warning",
    }
)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch


def listed(connection_values: list[bytes], correlation_header: bytes = b"x-correlation-id") -> frozenset[bytes]:
    """The fields that these Connection values nominate for removal, beside those of NAMES, which go anyway.

    Nominations of fields that must reach the other end are ignored, `correlation_header` (lower-case) among them.
    """
    if len(connection_values) == 1 and connection_values[0] in _COMMON:
        return _NOTHING
    options = b",".join(connection_values).lower().split(b",", _MAX_OPTIONS)[:_MAX_OPTIONS]
    names = {option.strip(b" \t") for option in options} - _OPTIONS - _END_TO_END
    return frozenset(
        name
        for name in names
        if name != correlation_header and not name.startswith(_FORWARDED_PREFIX) and _TOKEN(name)
    )


class Options(NamedTuple):
    """What Connection says: its options in lower case, and the fields that it nominates for removal."""

    said: frozenset[bytes]
    listed: frozenset[bytes]


def options(connection_values: list[bytes]) -> Options:
    """What these Connection values say, taken together."""
    value = connection_values[0] if len(connection_values) == 1 else b",".join(connection_values)
    return _remembered(value) if len(value) <= 64 else _options(value)


def _options(value: bytes) -> Options:
    said = frozenset(option.strip(b" \t") for option in value.lower().split(b",", _MAX_OPTIONS)[:_MAX_OPTIONS])
    return Options(said, listed([value]))


_remembered = lru_cache(256)(_options)


def trailer_allowed(name: bytes) -> bool:
    """Whether a trailer field (lower-case name) may be passed on; the rest are dropped.

    `_` is taken for `-`, since a CGI-style app cannot tell them apart.
    """
    name = name.replace(b"_", b"-")
    return name not in _NOT_IN_TRAILERS and not name.startswith(_FORWARDED_PREFIX)
