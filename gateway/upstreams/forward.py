"""Forwarding: breaker, connection, request, response. One visible loop; no second try once a byte has gone out.

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

from dataclasses import dataclass
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
from gateway.exchange import Exchange, Fields
from gateway.policies.timeout import Timeouts
from gateway.rules.breaker import FAILED, NEITHER, OK
from gateway.rules.response_head import ResponseHead
from gateway.upstreams import relay, request_lines
from gateway.upstreams.connection import NEVER, Deadlines, UpstreamConnection
from gateway.upstreams.tunnel import Tunnel
from gateway.upstreams.upstream import Upstream

#: Methods that may be sent twice (RFC 9110, section 9.2.2).
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"QUERY", b"PROPFIND", b"REPORT"})

SUCCESS = "success"
FAILURE_STATUS = "failure-status"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Way:
    """How a route's requests go to its upstream."""

    upstream: Upstream
    timeouts: Timeouts
    strip_prefix: bytes
    own_host: bool


async def forward(exchange: Exchange, way: Way) -> GatewayError | None:
    """Have the exchange answered by its upstream. An error is returned only while nothing has gone to the client."""
    upstream = way.upstream
    exchange.upstream = upstream.name
    breaker = upstream.breaker
    began = monotonic()
    permit = breaker.admit(began) if breaker is not None else 0
    if breaker is not None and permit is None:
        upstream.metrics.refuse(BreakerOpen.slug)
        return BreakerOpen("The upstream fails; it is being left alone for a while.", breaker.retry_after(began))
    upstream.metrics.begin()
    verdict, outcome = NEITHER, CANCELLED
    connection: UpstreamConnection | None = None
    try:
        connection, response = await _ask(exchange, way, began)
        failed = breaker is not None and response.status in breaker.statuses
        if breaker is not None and permit is not None and not failed:
            breaker.answered(permit, monotonic())
        if response.status == 101:
            await _tunnel(exchange, way, connection, response)
        else:
            await relay.respond(exchange, response, connection)
        verdict, outcome = (FAILED, FAILURE_STATUS) if failed else (OK, SUCCESS)
    except Refused as error:
        outcome = error.slug
        return error
    except UpstreamError as error:
        outcome = error.slug
        verdict = NEITHER if _is_the_clients_doing(exchange, error) else FAILED
        if not exchange.responded:
            return error
        exchange.error = error.slug
        exchange.keep_alive = False
        exchange.client_side.cut()
    finally:
        ended = monotonic()
        exchange.upstream_seconds = ended - began
        if breaker is not None and permit is not None:
            breaker.record(permit, verdict, ended)
        upstream.metrics.end(outcome, ended - began)
        if connection is not None:
            upstream.pool.give_back(connection, ended)
    return None


async def _ask(exchange: Exchange, way: Way, now: float) -> tuple[UpstreamConnection, ResponseHead]:
    """Send the request on some connection; the connection and the final head of its response."""
    pool = way.upstream.pool
    limits = way.timeouts
    total = NEVER if limits.total is None else exchange.started + limits.total
    body = exchange.body
    repeatable = exchange.head.method in _IDEMPOTENT and not exchange.head.upgrade
    lines = request_lines.build(exchange, way.upstream, way.strip_prefix, own_host=way.own_host)
    connection = pool.take(now)
    while True:
        if connection is None:
            connection = await pool.obtain(now, _sooner(limits.connect, total - now))
            now = monotonic()
        stale_possible = repeatable and connection.used > 0
        try:
            if stale_possible:
                body.keep_copy()
            _send(exchange, connection, lines, now, _deadlines(limits, total))
            return connection, await _final_head(exchange, connection, limits)
        except ConnectionBroken:
            answered = connection.answered
            pool.give_back(connection, monotonic())
            if not stale_possible or answered or not body.rewind():
                raise
            connection = None
        except BaseException:
            pool.give_back(connection, monotonic())
            raise


def _send(exchange: Exchange, connection: UpstreamConnection, lines: bytes, now: float, deadlines: Deadlines) -> None:
    if connection.closed:
        raise ConnectionBroken("The upstream closed the connection.")
    body = exchange.body
    head = exchange.head

    def informational(status: int, reason: bytes, fields: Fields) -> None:
        relay.informational(exchange, status, reason, fields)

    connection.send(
        lines,
        now,
        deadlines,
        to_head=head.method == b"HEAD",
        informational=informational,
        upload=body.source,
        upload_chunked=head.chunked,
    )
    if body.source is not None:
        body.attach(connection)


async def _final_head(exchange: Exchange, connection: UpstreamConnection, limits: Timeouts) -> ResponseHead:
    response = await connection.head()
    if response.status == 101 and not exchange.head.upgrade:
        raise BadResponse("The upstream changed protocols unasked.")
    if response.endless and not limits.total_on_route:
        connection.lift_total()
    return response


def _deadlines(limits: Timeouts, total: float) -> Deadlines:
    return Deadlines(
        NEVER if limits.headers is None else limits.headers, NEVER if limits.idle is None else limits.idle, total
    )


def _sooner(limit: float | None, left: float) -> float | None:
    if left == NEVER:
        return limit
    return max(0.0, left if limit is None else min(limit, left))


async def _tunnel(exchange: Exchange, way: Way, connection: UpstreamConnection, response: ResponseHead) -> None:
    """Carry an upgraded connection's bytes until it ends."""
    if connection.closed:
        raise ConnectionBroken("The upstream closed the connection.")
    limits = way.timeouts
    total = exchange.started + limits.total if limits.total is not None and limits.total_on_route else NEVER
    relay.switching(exchange, response)
    exchange.keep_alive = False
    transport, owner, early = exchange.client_side.into_tunnel()
    tunnel = Tunnel(
        (transport, owner),
        (connection.into_tunnel(), connection),
        NEVER if limits.tunnel is None else limits.tunnel,
        total,
    )
    try:
        await tunnel.run(early, connection.tunnel_early)
    finally:
        exchange.body.received += tunnel.bytes_in
        exchange.bytes_out += tunnel.bytes_out


def _is_the_clients_doing(exchange: Exchange, error: UpstreamError) -> bool:
    """Whether time ran out because the client was slow to send or to read."""
    return isinstance(error, TotalTimeout) and (not exchange.body.complete or exchange.client_side.write_paused)
