"""A request's way, in order, on one page.

1  open       correlation id and trace; the client's address; what the listener could not read is refused
2  route      the first whose path and method fit: 404, 405
3  gates      headers, guards, rate limits, in-flight caps, in the order of POLICIES; a refusal ends it here
4  cache      will stand here
5  forward    breaker, connection, request, response (upstreams/forward.py)
6  reply      what the gateway itself has to say, if nobody has said anything
7  finish     give back what was taken, count, log
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
from gateway.gate import WAIT, Gate
from gateway.policies.correlation import Stamp
from gateway.policies.trusted_proxies import ClientAddress
from gateway.rules.routing import Router
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


class Route:
    """A route, compiled."""

    __slots__ = ("gates", "metrics", "name", "way")

    def __init__(self, name: str, way: Way | None, metrics: RouteMetrics, gates: Sequence[Gate] = ()) -> None:
        self.name = name
        self.way = way
        self.metrics = metrics
        self.gates = tuple(gates)


class Snapshot:
    """What one listener's requests meet; replaced whole by a reload, between two requests."""

    __slots__ = ("address", "edits", "egress", "no_route", "router", "routes", "stamp")

    def __init__(
        self,
        *,
        egress: bool,
        stamp: Stamp,
        address: ClientAddress,
        router: Router,
        routes: list[Route],
        no_route: Route,
        edits: Gate | None = None,
    ) -> None:
        self.egress = egress
        self.stamp = stamp
        self.address = address
        self.router = router
        self.routes = routes
        #: What takes the requests that no route takes: its gates are those of the whole listener.
        self.no_route = no_route
        #: The listener's changes of header fields, for responses to what no gate has seen.
        self.edits = edits


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

    async def serve(self, exchange: Exchange) -> None:
        """Take an exchange to its end. Raises only CancelledError, when the client has left."""
        snapshot = self.snapshot
        route, error = self._open(exchange, snapshot)
        route.metrics.begin()
        try:
            if route.gates and (error is None or isinstance(error, (NoRoute, MethodNotAllowed))):
                verdict = _ask(exchange, route.gates, 0)
                error = (
                    await _wait(exchange, route.gates, verdict) if isinstance(verdict, int) else verdict
                ) or error
            if error is None and route.way is not None:
                error = await forward(exchange, route.way)
            if error is not None:
                await _refuse(exchange, error, snapshot)
        except asyncio.CancelledError:
            error = exchange.body.error
            if error is None:
                exchange.status, exchange.error = CLIENT_LEFT, "client-left"
                raise
            _uncancel()
            await _refuse(exchange, error, snapshot)
        except Exception as bug:  # noqa: BLE001 - the last line of defence: one request fails, not its connection's task
            self._observer.bug("pipeline", bug)
            await _refuse(exchange, InternalError(), snapshot)
        finally:
            exchange.end()
            now = monotonic()
            route.metrics.end(exchange.head.method, exchange.status, now - exchange.started)
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
                return route, MethodNotAllowed(found.allowed) if found.allowed else NoRoute()
        except Exception as bug:  # noqa: BLE001 - as above
            self._observer.bug("pipeline", bug)
            return route, InternalError()
        route = exchange.route = snapshot.routes[found.place]
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


async def _refuse(exchange: Exchange, error: GatewayError, snapshot: Snapshot) -> None:
    """Say what is wrong, or cut the connection when the client has been told another story already."""
    exchange.error = error.slug
    if exchange.refund is not None and isinstance(error, Refused):
        exchange.refund()
    if exchange.responded:
        relay.break_off(exchange)
        return
    if snapshot.edits is not None and exchange.edit is None and exchange.route is snapshot.no_route:
        snapshot.edits.check(exchange, exchange.started)
    answer = problem(error, exchange.correlation_id)
    if snapshot.egress and isinstance(error, BreakerOpen):
        answer.headers.append(_NO_RETRY)
    await relay.reply(exchange, answer, HTTPStatus(answer.status).phrase.encode("ascii"))


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
