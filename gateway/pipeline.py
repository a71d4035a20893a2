"""A request's way, in order, on one page.

1  open       correlation id and trace; the client's address; what the listener could not read is refused
2  route      the first whose path and method fit, and whose flags are as they must: 404, 405; one that flags hide is
              as none at all
3  gates      flags, headers, guards, rate limits, in-flight caps, in the order of POLICIES; a refusal ends it here
4  cache      a stored answer, or a share in somebody's fetch (cache/shelf.py), or one of our own (flags/ofrep.py)
5  forward    breaker, connection, request, response (upstreams/forward.py)
6  reply      what the gateway itself has to say, if nobody has said anything
7  finish     give back what was taken, count, log

`begin` goes as far as it can without waiting: a refusal and a stored answer need no task. `serve` goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from time import monotonic
from typing import Protocol

from gateway.errors import (
    BreakerOpen,
    GatewayError,
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NoRoute,
    Refused,
    problem,
)
from gateway.exchange import Exchange
from gateway.gate import WAIT, Gate, Met
from gateway.policies.correlation import Stamp
from gateway.policies.trusted_proxies import ClientAddress
from gateway.rules.routing import NOWHERE, Found, Router
from gateway.upstreams import relay
from gateway.upstreams.forward import Way, forward

#: The status of a client that left before it was answered (nginx's); for the log and the metrics only.
CLIENT_LEFT = 499
_NO_RETRY = (b"x-should-retry", b"false")
_ANY_METHOD = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class RouteMetrics(Protocol):
    """Where a route's requests are counted."""

    def begin(self) -> None:
        """A request begins."""

    def end(self, method: bytes, status: int, seconds: float) -> None:
        """It is over."""


class Shelf(Protocol):
    """A route's cache, or what answers for the gateway itself where a route has no way to an upstream."""

    def answer(self, exchange: Exchange) -> bool:
        """Answer from memory where that can be done at once; False leaves the exchange to `serve`."""

    async def serve(self, exchange: Exchange) -> GatewayError | None:
        """Have the exchange answered, by whatever is stored or by the upstream. As `forward`."""


class Route:
    """A route, compiled."""

    __slots__ = ("edits", "egress", "gates", "metrics", "name", "require", "shelf", "way", "when")

    def __init__(
        self,
        name: str,
        way: Way | None,
        metrics: RouteMetrics,
        gates: Sequence[Gate] = (),
        *,
        shelf: Shelf | None = None,
        egress: bool = False,
        edits: Gate | None = None,
        when: Met | None = None,
        require: Met | None = None,
    ) -> None:
        self.name = name
        self.way = way
        self.metrics = metrics
        self.gates = tuple(gates)
        self.shelf = shelf
        self.egress = egress
        #: Changes of header fields for responses to what no gate has seen.
        self.edits = edits
        #: Whether it takes an exchange; None for always.
        self.when = when
        #: Whether an exchange that it takes may know of it; None for always.
        self.require = require


class Snapshot:
    """What one listener's requests meet; replaced whole by a reload, between two requests."""

    __slots__ = ("address", "no_route", "router", "routes", "stamp")

    def __init__(
        self,
        *,
        stamp: Stamp,
        address: ClientAddress,
        router: Router,
        routes: list[Route],
        no_route: Route,
    ) -> None:
        self.stamp = stamp
        self.address = address
        self.router = router
        self.routes = routes
        #: What takes the requests that no route takes: its gates are those of the whole listener.
        self.no_route = no_route

    def find(self, exchange: Exchange) -> Found:
        """The route that takes an exchange."""
        found = self.router.find(exchange.head.match_path, exchange.head.method)
        if found.choices:
            found = self.choose(exchange, found)
        if found.place >= 0:
            require = self.routes[found.place].require
            if require is not None and not require(exchange):
                return NOWHERE
        return found

    def choose(self, exchange: Exchange, found: Found) -> Found:
        """The same, where that depends on flags."""

        def there(place: int) -> bool:
            when = self.routes[place].when
            return when is None or when(exchange)

        def shows(place: int) -> bool:
            require = self.routes[place].require
            return require is None or require(exchange)

        return self.router.choose(found.choices, there, shows)


class Observer(Protocol):
    """Who is told of what has happened, off the request's way."""

    def finished(self, exchange: Exchange, now: float) -> None:
        """An exchange is over: its access line."""

    def malformed(self, exchange: Exchange, error: GatewayError, now: float) -> None:
        """What was no request has been refused: counted, and logged once in a while."""

    def bug(self, where: str, error: BaseException) -> None:
        """Something of ours failed."""


class Pipeline:
    """Serves exchanges by the snapshot of the moment at which each begins."""

    __slots__ = ("_observer", "snapshot")

    def __init__(self, snapshot: Snapshot, observer: Observer) -> None:
        self.snapshot = snapshot
        self._observer = observer

    def begin(self, exchange: Exchange) -> bool:
        """Take an exchange as far as it goes without waiting. True when it is over; else `serve` must follow."""
        route, error = self._open(exchange, self.snapshot)
        route.metrics.begin()
        try:
            if route.gates and (error is None or isinstance(error, (NoRoute, MethodNotAllowed))):
                verdict = _ask(exchange, route.gates, 0)
                if isinstance(verdict, int):
                    exchange.failure, exchange.waits_at = error, verdict
                    return False
                error = verdict or error
            if error is not None:
                _refuse(exchange, error)
            elif route.shelf is None or not route.shelf.answer(exchange):
                return False
        except Exception as bug:  # noqa: BLE001 - the last line of defence: one request fails, not its connection
            error = self._failed(exchange, bug)
        exchange.failure = error
        if exchange.client_side.write_paused:
            return False
        self._finish(exchange)
        return True

    async def serve(self, exchange: Exchange) -> None:
        """Take an exchange that `begin` left to its end. Raises only CancelledError: its client left, or was cut."""
        try:
            await self._go_on(exchange)
            if exchange.client_side.write_paused:
                await exchange.client_side.drained()
        except asyncio.CancelledError as gone:
            exchange.failure = error = exchange.body.error
            if error is None:
                exchange.status, exchange.error = CLIENT_LEFT, gone.args[0] if gone.args else "client-left"
                raise
            _uncancel()
            _refuse(exchange, error)
            await exchange.client_side.drained()
        except Exception as bug:  # noqa: BLE001 - as in `begin`
            exchange.failure = self._failed(exchange, bug)
        finally:
            self._finish(exchange)

    def abandon(self, exchange: Exchange) -> None:
        """The client has left before `serve` could go on where `begin` had stopped."""
        exchange.status, exchange.error = CLIENT_LEFT, "client-left"
        self._finish(exchange)

    async def _go_on(self, exchange: Exchange) -> None:
        if exchange.responded:
            return
        route: Route = exchange.route
        error = exchange.failure or exchange.body.error
        if exchange.waits_at >= 0:
            error = await _wait(exchange, route.gates, exchange.waits_at) or error
        if error is None:
            if route.shelf is not None:
                if exchange.waits_at < 0 or not route.shelf.answer(exchange):
                    error = await route.shelf.serve(exchange)
            elif route.way is not None:
                error = await forward(exchange, route.way)
        if error is not None:
            exchange.failure = error
            _refuse(exchange, error)

    def _failed(self, exchange: Exchange, bug: Exception) -> GatewayError:
        """Tell of a bug, and answer for it."""
        self._observer.bug("pipeline", bug)
        error = InternalError()
        _refuse(exchange, error)
        return error

    def _finish(self, exchange: Exchange) -> None:
        """The exchange is over: give back, count, log."""
        try:
            exchange.end()
        finally:
            now = monotonic()
            exchange.route.metrics.end(exchange.head.method, exchange.status, now - exchange.started)
            # Its traceback knows the exchange: nothing is left in a circle.
            error, exchange.failure = exchange.failure, None
            if error is not None and isinstance(error, MalformedRequest):
                self._observer.malformed(exchange, error, now)
            else:
                self._observer.finished(exchange, now)

    def _open(self, exchange: Exchange, snapshot: Snapshot) -> tuple[Route, GatewayError | None]:
        """Stamp the exchange and find its route, or why it has none."""
        route = exchange.route = snapshot.no_route
        try:
            snapshot.stamp.open(exchange)
            error = exchange.refused or exchange.body.error
            if error is not None:
                return route, error
            snapshot.address.open(exchange)
            if exchange.head.method == b"CONNECT":
                return route, MethodNotAllowed(_ANY_METHOD)
            found = snapshot.router.find(exchange.head.match_path, exchange.head.method)
            if found.place < 0:
                if found.choices:
                    found = snapshot.choose(exchange, found)
                if found.place < 0:
                    return route, MethodNotAllowed(found.allowed) if found.allowed else NoRoute()
            route = snapshot.routes[found.place]
            if route.require is not None and not route.require(exchange):
                return snapshot.no_route, NoRoute()
        except Exception as bug:  # noqa: BLE001 - as above
            self._observer.bug("pipeline", bug)
            return snapshot.no_route, InternalError()
        exchange.route = route
        return route, None


def _ask(exchange: Exchange, gates: Sequence[Gate], first: int) -> GatewayError | int | None:
    """Ask the gates in turn: the first refusal, or the place of the first that has to wait."""
    now = monotonic()
    for place in range(first, len(gates)):
        verdict = gates[place].check(exchange, now)
        if verdict is not None:
            return place if verdict is WAIT else verdict
    return None


async def _wait(exchange: Exchange, gates: Sequence[Gate], place: int) -> GatewayError | None:
    """Wait for a gate, and ask those behind it."""
    while True:
        error = await gates[place].wait(exchange)
        if error is not None:
            return error
        verdict = _ask(exchange, gates, place + 1)
        if not isinstance(verdict, int):
            return verdict
        place = verdict


def _refuse(exchange: Exchange, error: GatewayError) -> None:
    """Say what is wrong, or cut the connection when the client has been told another story already."""
    exchange.error = error.slug
    if exchange.refund is not None and isinstance(error, Refused):
        exchange.refund()
    if exchange.responded:
        relay.break_off(exchange)
        return
    route: Route = exchange.route
    if route.edits is not None and exchange.edit is None:
        route.edits.check(exchange, exchange.started)
    answer = problem(error, exchange.correlation_id)
    if route.egress and isinstance(error, BreakerOpen):
        answer.headers.append(_NO_RETRY)
    relay.reply(exchange, answer, HTTPStatus(answer.status).phrase.encode("ascii"))


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
