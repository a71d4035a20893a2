"""Forwarding: breaker, connection, request, response. One visible loop; no second try once a byte has gone out.

caps ── full ──> InFlightFull
  │
admit ── refused ──> BreakerOpen
  │
take an idle connection, or open one <──────────────────────┐
  │                                                         │ an idle connection turned out stale, nothing of a
send, wait for the final head ── broken ────────────────────┘ response had come, and the request may be repeated
  │
relay to the last byte, or tunnel
  │
record, give the connection back
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic

from gateway.errors import (
    BadResponse,
    BreakerOpen,
    ConnectionBroken,
    GatewayError,
    Refused,
    TotalTimeout,
    UpstreamError,
)
from gateway.exchange import Exchange
from gateway.gate import WAIT
from gateway.policies.timeout import Timeouts
from gateway.rules.breaker import FAILED, NEITHER, OK, OPEN, Permit
from gateway.rules.response_head import ResponseHead
from gateway.upstreams import relay, request_lines
from gateway.upstreams.breaker import Breaker
from gateway.upstreams.connection import NEVER, UpstreamConnection
from gateway.upstreams.tunnel import Tunnel
from gateway.upstreams.upstream import Upstream

#: Methods that may be sent twice (RFC 9110, section 9.2.2).
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"QUERY", b"PROPFIND", b"REPORT"})

SUCCESS = "success"
FAILURE_STATUS = "failure-status"
CANCELLED = "cancelled"
_LEFT_ALONE = "The upstream fails; it is being left alone for a while."


class Way:
    """How a route's requests go to its upstream. Limits in seconds, NEVER for none."""

    __slots__ = (
        "connect",
        "headers",
        "idle",
        "own_host",
        "strip_prefix",
        "total",
        "total_on_route",
        "tunnel",
        "upstream",
        "waits",
    )

    def __init__(self, upstream: Upstream, timeouts: Timeouts, strip_prefix: bytes, *, own_host: bool) -> None:
        self.upstream = upstream
        self.strip_prefix = strip_prefix
        self.own_host = own_host
        #: Whether its requests wait for an upstream that is still starting: those to the app.
        self.waits = not own_host
        self.connect = _limit(timeouts.connect)
        self.headers = _limit(timeouts.headers)
        self.idle = _limit(timeouts.idle)
        self.total = _limit(timeouts.total)
        self.tunnel = _limit(timeouts.tunnel)
        self.total_on_route = timeouts.total_on_route


#: Takes an upstream's response to its last byte. Raises UpstreamError when it breaks off.
Respond = Callable[[Exchange, ResponseHead, UpstreamConnection], Awaitable[None]]


async def forward(exchange: Exchange, way: Way, respond: Respond = relay.respond) -> GatewayError | None:
    """Have the exchange answered by its upstream. An error is returned only while nothing has gone to the client."""
    upstream = way.upstream
    exchange.upstream = upstream.name
    breaker = upstream.breaker if upstream.breaker_when is None else upstream.breaker_for(exchange)
    began = monotonic()
    if upstream.caps:
        full = await _enter(exchange, way, breaker, began)
        if full is not None:
            upstream.metrics.refuse(full.slug)
            return full
        began = monotonic()
    permit = breaker.admit(began) if breaker is not None else 0
    if breaker is not None and permit is None:
        upstream.metrics.refuse(BreakerOpen.slug)
        return BreakerOpen(_LEFT_ALONE, breaker.retry_after(began))
    upstream.metrics.begin()
    verdict, outcome = NEITHER, CANCELLED
    connection: UpstreamConnection | None = None
    try:
        connection, response = await _ask(exchange, way, began)
        if breaker is not None and permit is not None and _failed(breaker, permit, response.status):
            permit, outcome = None, FAILURE_STATUS
        if response.status == 101:
            await _tunnel(exchange, way, connection, response)
        else:
            await respond(exchange, response, connection)
        verdict, outcome = OK, outcome if permit is None else SUCCESS
    except Refused as error:
        outcome = error.slug
        return error
    except UpstreamError as error:
        outcome = error.slug
        verdict = NEITHER if _is_the_clients_doing(exchange, error, way.total) else FAILED
        if not exchange.responded:
            return error
        exchange.error = error.slug
        relay.break_off(exchange)
    finally:
        ended = monotonic()
        exchange.upstream_seconds = ended - began
        if breaker is not None and permit is not None:
            breaker.record(permit, verdict, ended)
        upstream.metrics.end(outcome, ended - began)
        if connection is not None:
            upstream.pool.give_back(connection, ended)
    return None


async def _enter(exchange: Exchange, way: Way, breaker: Breaker | None, now: float) -> GatewayError | None:
    """Take a slot of each of the upstream's caps; nobody waits for one of an upstream that is left alone anyway."""
    if breaker is not None and breaker.state(now) == OPEN:
        return BreakerOpen(_LEFT_ALONE, breaker.retry_after(now))
    for cap in way.upstream.caps:
        verdict = cap.enter(exchange, now)
        if verdict is WAIT:
            verdict = await cap.queue_up(exchange, exchange.started + way.total)
            now = monotonic()
        if verdict is not None:
            return verdict
    return None


def _failed(breaker: Breaker, permit: Permit, status: int) -> bool:
    """Tell the breaker that the final head has come: whether the answer itself is the failure, whatever its body."""
    now = monotonic()
    if status in breaker.statuses:
        breaker.record(permit, FAILED, now)
        return True
    breaker.answered(permit, now)
    return False


async def _ask(exchange: Exchange, way: Way, now: float) -> tuple[UpstreamConnection, ResponseHead]:
    """Send the request on some connection; the connection and the final head of its response."""
    pool = way.upstream.pool
    head, body = exchange.head, exchange.body
    total = exchange.started + way.total
    repeatable = head.method in _IDEMPOTENT and not head.upgrade
    lines = request_lines.build(exchange, way.upstream, way.strip_prefix, own_host=way.own_host)
    connection = pool.take(now, repeatable=repeatable)
    while True:
        if connection is None:
            connection = await _obtain(exchange, way, now, total)
            now = monotonic()
        repeatable_here = repeatable and connection.used > 0
        try:
            if connection.closed:
                raise ConnectionBroken("The upstream closed the connection.")
            waiter = connection.send(lines, now, exchange, way.headers, way.idle, total)
            if body.source is not None:
                if repeatable_here:
                    body.keep_copy()
                body.attach(connection)
            await waiter
            response = connection.final_head()
            if response.status == 101 and not (head.upgrade and b"upgrade" in response.noted):
                raise BadResponse("The upstream changed protocols unasked.")
        except ConnectionBroken:
            answered = connection.answered
            pool.give_back(connection, monotonic())
            if not repeatable_here or answered or not body.rewind():
                raise
            connection = None
        except BaseException:
            pool.give_back(connection, monotonic())
            raise
        else:
            exchange.streams = response.endless
            if response.endless and not way.total_on_route:
                connection.lift_total()
            return connection, response


async def _obtain(exchange: Exchange, way: Way, now: float, total: float) -> UpstreamConnection:
    """A connection that is not there yet: perhaps the whole upstream is not."""
    startup = way.upstream.startup
    if startup is None or not way.waits:
        return await way.upstream.pool.obtain(now, way.connect, total)
    exchange.early = True
    return await startup.obtain(now, way.connect, total)


def _limit(seconds: float | None) -> float:
    return NEVER if seconds is None else seconds


async def _tunnel(exchange: Exchange, way: Way, connection: UpstreamConnection, response: ResponseHead) -> None:
    """Carry an upgraded connection's bytes until it ends."""
    if connection.closed:
        raise ConnectionBroken("The upstream closed the connection.")
    total = exchange.started + way.total if way.total_on_route else NEVER
    relay.switching(exchange, response)
    exchange.keep_alive = False
    transport, owner, early = exchange.client_side.into_tunnel()
    tunnel = Tunnel(
        (transport, owner),
        (connection.into_tunnel(), connection),
        way.tunnel,
        total,
    )
    exchange.tunnel = tunnel
    try:
        await tunnel.run(early, connection.reader.tunnel_early)
    finally:
        exchange.tunnel = None
        exchange.tunnelled_in = tunnel.bytes_in
        exchange.bytes_out += tunnel.bytes_out


def _is_the_clients_doing(exchange: Exchange, error: UpstreamError, total: float) -> bool:
    """Whether time ran out because the client was slow to send (the upstream had the lesser part) or read."""
    return isinstance(error, TotalTimeout) and (error.waited < total / 2 or exchange.client_side.write_paused)
