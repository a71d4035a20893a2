"""`correlation:` the field that carries the correlation id, and whether traces that begin here are sampled."""

from __future__ import annotations

import re
from typing import Annotated

from gateway.entropy import Entropy
from gateway.exchange import Exchange
from gateway.rules import correlation, trace_context
from gateway.settings.types import Section, Switch, Text

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")

# Fields that mean something else, or that do not travel end to end.
_TAKEN_NAMES = (
    "accept accept-encoding accept-language age allow authorization cache-control cache-status connection "
    "content-encoding content-language content-length content-location content-range content-type cookie date etag "
    "expect expires forwarded from host if-match if-modified-since if-none-match if-range if-unmodified-since "
    "keep-alive last-modified link location origin pragma proxy-authenticate proxy-authorization "
    "proxy-authentication-info proxy-connection proxy-status range ratelimit ratelimit-policy referer retry-after "
    "server set-cookie te traceparent tracestate trailer transfer-encoding upgrade user-agent vary via "
    "www-authenticate x-forwarded-for x-forwarded-host x-forwarded-proto"
)
_TAKEN = frozenset(_TAKEN_NAMES.split())


def field_name(text: str) -> str:
    """A header field's name that is free to carry an id (RFC 9110, section 5.1)."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("not the name of a header field")
    if text.lower() in _TAKEN:
        raise ValueError("this field has a meaning of its own and cannot carry the correlation id")
    return str(text)


_NONE: list[bytes] = []
#: So many ids are made at once.
_AT_ONCE = 32


class Correlation(Section):
    """How requests are told apart and traced."""

    header: Annotated[str, Text(read=field_name)] = "X-Correlation-ID"
    """The field that carries the id: from the client if well-formed, to the upstream, and on the response."""
    sampled: Annotated[bool, Switch()] = True
    """The sampled flag of traces that begin here (W3C Trace Context, section 3.2.2.5.1)."""


class Stamp:
    """Gives each exchange its correlation id and its place in a trace."""

    __slots__ = ("_entropy", "_header", "_length", "_name", "_ready", "_sampled", "_text")

    def __init__(self, settings: Correlation, entropy: Entropy) -> None:
        self._header = settings.header.encode("ascii")
        self._name = self._header.lower()
        self._text = f"{settings.header}: "
        #: Of the line with an id of our own.
        self._length = len(self._text) + 32 + 2
        self._sampled = settings.sampled
        self._entropy = entropy
        #: For requests that come with none of these fields, as most do: correlation and trace id, the response's line
        #: and the upstream's lines, each used once. Made some at a time, which takes half as long.
        self._ready: list[tuple[str, str, bytes, bytes]] = []

    def open(self, exchange: Exchange) -> None:
        """Set the exchange's ids, the response's line, and the lines that the upstream gets."""
        noted = exchange.head.noted
        if self._name not in noted and b"traceparent" not in noted:
            ready = self._ready
            if not ready:
                self._make_ready()
            exchange.correlation_id, exchange.trace_id, exchange.stamp, lines = ready.pop()
            exchange.added.append(lines)
            return
        random = self._entropy.take(40)
        exchange.correlation_id = chosen = (
            correlation.choose(noted[self._name], random[:16]) if self._name in noted else random[:16].hex()
        )
        exchange.stamp = line = b"%b: %b\r\n" % (self._header, chosen.encode("ascii"))
        trace = trace_context.join(
            noted.get(b"traceparent", _NONE), noted.get(b"tracestate", _NONE), random[16:], self._sampled
        )
        exchange.trace_id = trace.trace_id
        exchange.added.append(b"%btraceparent: %b\r\n" % (line, trace.traceparent))
        if trace.tracestate:
            exchange.added.append(b"tracestate: %b\r\n" % trace.tracestate)

    def _make_ready(self) -> None:
        ids = self._entropy.take(40 * _AT_ONCE).hex()
        for at in range(0, len(ids), 80):
            own = ids[at : at + 32]
            trace_id, traceparent = trace_context.fresh(ids[at + 32 : at + 80], sampled=self._sampled)
            lines = f"{self._text}{own}\r\ntraceparent: {traceparent}\r\n".encode("ascii")
            self._ready.append((own, trace_id, lines[: self._length], lines))
