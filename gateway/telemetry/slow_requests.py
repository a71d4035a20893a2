"""The requests that took longest: the latest of them, and the slowest of the last hour.

What is meant to last (event streams, tunnels) is kept apart, so that it does not push the others out. Of a request
only what an access line has is kept: never its query, a header field or a body.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from heapq import heappush, heappushpop
from typing import Literal, NamedTuple

from gateway.exchange import Exchange

#: Seconds from a request's first byte to its response's last, from which on it is slow.
SLOW = 1.0
#: So many of the latest are remembered, of both kinds, and so many of the slowest in each span.
LATEST, SLOWEST = 100, 100
#: The hour in which the slowest are sought: spans of so many seconds, and so many of them.
_SPAN, _SPANS = 600.0, 6
#: Characters of a path.
_PATH = 200

Kind = Literal["response", "event_stream", "tunnel"]


class SlowRequest(NamedTuple):
    """One of them. Times are seconds, `when` it was over those since 1970."""

    seconds: float
    when: float
    kind: Kind
    listener: str
    route: str
    method: str
    path: str
    status: int
    upstream: str
    upstream_seconds: float
    cache: str
    error: str
    client: str
    correlation_id: str


class SlowRequests:
    """Bounded. `clock` is the wall clock."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        #: Seen since the process began.
        self.total = 0
        self._latest: deque[SlowRequest] = deque(maxlen=LATEST)
        self._lasting: deque[SlowRequest] = deque(maxlen=LATEST)
        # The start of each span and a heap of its slowest.
        self._spans: deque[tuple[float, list[SlowRequest]]] = deque(maxlen=_SPANS)

    def note(self, exchange: Exchange, seconds: float) -> Kind:
        """Remember an exchange that is over and took at least SLOW; what it was."""
        kind = kind_of(exchange)
        now = self._clock()
        one = _told(exchange, kind, seconds, now)
        if kind != "response":
            self._lasting.append(one)
            return kind
        self.total += 1
        self._latest.append(one)
        spans = self._spans
        if not spans or not 0 <= now - spans[-1][0] < _SPAN:
            spans.append((now, []))
        heap = spans[-1][1]
        if len(heap) < SLOWEST:
            heappush(heap, one)
        else:
            heappushpop(heap, one)
        return kind

    def latest(self, most: int) -> list[SlowRequest]:
        """The latest first."""
        return list(reversed(self._latest))[:most]

    def lasting(self, most: int) -> list[SlowRequest]:
        """Event streams and tunnels, the latest first."""
        return list(reversed(self._lasting))[:most]

    def since(self, moment: float) -> int:
        """How many of the latest were over since then."""
        return sum(one.when >= moment for one in self._latest)

    def slowest(self, most: int) -> list[SlowRequest]:
        """The slowest of the last hour first."""
        since = self._clock() - _SPAN * _SPANS
        found = [one for _, heap in self._spans for one in heap if one.when > since]
        return sorted(found, reverse=True)[:most]


def kind_of(exchange: Exchange) -> Kind:
    """Whether it is meant to last."""
    if exchange.status == 101:
        return "tunnel"
    return "event_stream" if exchange.streams else "response"


def shown_path(path: bytes) -> str:
    """A path for people: no query, and not without end."""
    text = path.decode("latin-1")
    return text if len(text) <= _PATH else text[: _PATH - 1] + "…"


def _told(exchange: Exchange, kind: Kind, seconds: float, now: float) -> SlowRequest:
    return SlowRequest(
        seconds,
        now,
        kind,
        exchange.listener,
        "none" if exchange.route is None else exchange.route.name,
        exchange.method.decode("latin-1"),
        shown_path(exchange.head.path),
        exchange.status,
        exchange.upstream,
        exchange.upstream_seconds,
        exchange.cached,
        exchange.error,
        exchange.client,
        exchange.correlation_id,
    )
