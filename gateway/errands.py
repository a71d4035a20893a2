"""Requests of the gateway's own, to the caches of a listener's routes: what is to be there before anybody asks.

They are made as a client's would be, so that they have the same keys: of the URL as clients call it, with the route's
changes of fields, with what flags say of nobody, and with the correlation id and forwarding fields that every request
gets. No rate limit counts them; caps do, for those count fetches. None goes to an upstream that has not come up yet,
whose breaker would have opened before its first client. Assembly alone knows this.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from gateway.cache.fetch import NOBODY
from gateway.cache.shelf import Shelf
from gateway.cache.warm_list import Headers
from gateway.cache.warming import Fetched
from gateway.cache.watch import Watch
from gateway.errors import MalformedRequest, NoRoute, NotStarted, UpstreamError
from gateway.exchange import NO_BODY, Exchange
from gateway.flags.gates import Strip, Tell
from gateway.pipeline import Snapshot
from gateway.policies.headers import HeadersGate
from gateway.rules import request_head
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.request_head import Interest, Noted
from gateway.upstreams.pool import Pool

_HERE = "127.0.0.1"
#: Seconds in which an upstream that has started accepts a connection.
_LOOK = 1.0
#: What no request of our own goes without, for the cache would know it by another key.
_AS_FOR_CLIENTS = (HeadersGate, Strip, Tell)


class Errands:
    """Fetches URLs by way of a listener's routes."""

    def __init__(self, listener: str, serving: Callable[[], tuple[Snapshot, Interest] | None]) -> None:
        """`serving` gives what the listener serves by now; None while it does not."""
        self._listener = listener
        self._serving = serving

    async def fetch(self, url: bytes, headers: Headers, most: int) -> Fetched:
        """See `warming.Fetch`. Raises GatewayError; NotStarted where the upstream has never been there yet."""
        serving = self._serving()
        if serving is None:
            raise NoRoute
        snapshot, interest = serving
        exchange = self._exchange(url, headers, interest)
        snapshot.stamp.open(exchange)
        snapshot.address.open(exchange)
        exchange.proto = url.partition(b":")[0].lower()
        found = snapshot.find(exchange)
        if found.place < 0:
            raise NoRoute
        route = exchange.route = snapshot.routes[found.place]
        shelf = route.shelf
        if not isinstance(shelf, (Shelf, Watch)) or (isinstance(shelf, Watch) and not most):
            return Fetched(0, stored=False, why="no-cache")
        if route.way is not None:
            await _there(route.way.upstream.pool)
        for gate in route.gates:
            if isinstance(gate, _AS_FOR_CLIENTS):
                error = gate.check(exchange, exchange.started)
                if error is not None:
                    raise error
        if isinstance(shelf, Watch):
            status, content = await shelf.fetch(exchange, most)
            return Fetched(status, stored=False, why="no-cache", body=content)
        return Fetched(*await shelf.fetch(exchange, most))

    def _exchange(self, url: bytes, headers: Headers, interest: Interest) -> Exchange:
        kept: Pieces = []
        noted: Noted = {}
        authority = url.partition(b"://")[2].partition(b"/")[0]
        for name, value in [(b"Host", authority), *headers]:
            lower = name.lower()
            if lower in interest.noted:
                noted.setdefault(lower, []).append(value)
            if lower not in interest.noted or lower in interest.passed_on:
                kept += (name, COLON, value, END)
        target = b"/" + url.partition(b"://")[2].partition(b"/")[2]
        try:
            head = request_head.read(b"GET", target, "1.1", kept, noted)
        except request_head.Malformed as malformed:
            raise MalformedRequest(f"Not a URL that could be asked for: {malformed}.") from None
        return Exchange(self._listener, head, NO_BODY, NOBODY, _HERE, monotonic())


async def _there(pool: Pool) -> None:
    if not pool.accepted:
        try:
            await pool.reach(_LOOK)
        except UpstreamError:
            raise NotStarted from None
