"""Stored responses, and those that land, as bytes to a client."""

from __future__ import annotations

from gateway.cache.entry import Entry
from gateway.cache.flight import Flight, Landed, Reader
from gateway.errors import IdleTimeout, TotalTimeout
from gateway.exchange import Exchange
from gateway.rules import byte_range, conditional
from gateway.rules.byte_range import Other, Part
from gateway.rules.conditional import Validators, Verdict
from gateway.rules.field_lines import Pieces
from gateway.rules.response_head import status_line
from gateway.upstreams import relay

#: Bytes of content that are copied behind their head, to be sent in one go.
_JOINED = 64 * 1024

_EMPTY = [b"Content-Length", b": ", b"0", b"\r\n"]


def fresh(exchange: Exchange, entry: Entry, age: int, ttl: int) -> None:
    """Answer a plain GET with a stored response that is fresh. Both in seconds."""
    told = b"Age: %d\r\nCache-Status: gateway; hit; ttl=%d\r\n" % (age if age > 0 else 0, ttl)  # noqa: FURB136 - hot
    body = entry.body
    if exchange.edit is None and exchange.keep_alive and not exchange.head.http10 and len(body) <= _JOINED:
        client = exchange.client_side
        if not client.draining:
            client.write(b"%b%b%b\r\n%b" % (entry.head, exchange.stamp, told, body))
            exchange.status = entry.status
            exchange.responded = True
            exchange.bytes_out = len(body)
            return
    exchange.stamp += told
    _send_entry(exchange, entry)


def stored(exchange: Exchange, entry: Entry, now: float, told: bytes, *, conditions: bool) -> bool:
    """Answer with a stored response; `told` is the value of Cache-Status. False where only the origin can tell.

    `conditions`: the request has preconditions or a range, which are evaluated here (RFC 9110, section 13.2).
    """
    age = now - entry.born
    stamp = b"Age: %d\r\nCache-Status: %b\r\n" % (max(0, age), told)
    if conditions:
        verdict = conditional.evaluate(exchange.head.method, exchange.head.values, entry.validators, now)
        if verdict is Verdict.FORWARD:
            return False
        exchange.stamp += stamp
        if verdict is Verdict.NOT_MODIFIED:
            _send(exchange, 304, b"Not Modified", conditional.not_modified(entry.kept), None)
            return True
        if verdict is Verdict.PART and _part(exchange, entry):
            return True
    else:
        exchange.stamp += stamp
    _send_entry(exchange, entry)
    return True


def _send_entry(exchange: Exchange, entry: Entry) -> None:
    if exchange.edit is None:
        _go(exchange, entry.status, [entry.head], entry.body)
    else:
        _send(exchange, entry.status, entry.reason, entry.kept, entry.body)


def _part(exchange: Exchange, entry: Entry) -> bool:
    """Answer a Range of a stored whole; False where that is all of it."""
    part = byte_range.read(exchange.head.values(b"range"), len(entry.body))
    if isinstance(part, Part):
        fields = byte_range.partial(
            entry.kept, part, len(entry.body), if_range=bool(exchange.head.values(b"if-range"))
        )
        _send(exchange, 206, b"Partial Content", fields, entry.body[part.first : part.last + 1])
        return True
    if part is Other.UNSATISFIABLE:
        fields = [b"Content-Range", b": ", byte_range.unsatisfiable(len(entry.body)), b"\r\n", *_EMPTY]
        _send(exchange, 416, b"Range Not Satisfiable", fields, b"")
        return True
    return False


def _send(exchange: Exchange, status: int, reason: bytes, fields: Pieces, body: bytes | None) -> None:
    _go(exchange, status, [status_line(status, reason), *relay.edited(exchange, fields)], body)


def _go(exchange: Exchange, status: int, lines: list[bytes], body: bytes | None) -> None:
    relay.settle(exchange)
    relay.announce(exchange, lines, has_body=True, sized=True)
    exchange.status = status
    exchange.responded = True
    client = exchange.client_side
    if body and exchange.head.method != b"HEAD":
        exchange.bytes_out = len(body)
        if len(body) <= _JOINED:
            lines.append(body)
        else:
            client.write(b"".join(lines))
            client.write(body)
            return
    client.write(b"".join(lines))


def landed_not_modified(exchange: Exchange, answer: Landed, told: bytes) -> None:
    """A 304 made of what has landed."""
    exchange.stamp += b"Cache-Status: %b\r\n" % told
    _send(exchange, 304, b"Not Modified", conditional.not_modified(answer.kept), None)


def not_modified(exchange: Exchange, validators: Validators, now: float) -> bool:
    """Whether the client has what has landed already, by what it said of its own."""
    verdict = conditional.evaluate(exchange.head.method, exchange.head.values, validators, now)
    return verdict is Verdict.NOT_MODIFIED


async def landed(exchange: Exchange, reader: Reader, answer: Landed, kept: Pieces, told: bytes) -> None:
    """Pass a flight's answer on as it comes, at this client's pace."""
    flight = reader.flight
    exchange.stamp += b"Cache-Status: %b\r\n" % told
    relay.settle(exchange)
    lines = [status_line(answer.status, answer.reason), *relay.edited(exchange, kept)]
    chunked = relay.announce(
        exchange, lines, has_body=answer.has_body, sized=answer.length is not None, open_ended=answer.open_ended
    )
    exchange.status, exchange.streams = answer.status, answer.endless
    exchange.responded = True
    client = exchange.client_side
    parts = flight.taken(reader)
    if len(parts) == 1 and flight.complete and not chunked and len(parts[0]) <= _JOINED:
        exchange.bytes_out = len(parts[0])
        client.write(b"".join([*lines, parts[0]]))
        return
    client.write(b"".join(lines))
    body = relay.BodyRelay(exchange, chunked=chunked)
    while parts or (parts := await reader.more()):
        for part in parts:
            body.chunk(part)
            if client.write_paused:
                await client.drained()
        parts = []
    _end(exchange, flight, reader, body)


def _end(exchange: Exchange, flight: Flight, reader: Reader, body: relay.BodyRelay) -> None:
    error = TotalTimeout() if reader.overdue else IdleTimeout() if reader.cut else flight.error
    if error is None:
        body.end(flight.trailers)
        return
    exchange.error = error.slug
    relay.break_off(exchange)
