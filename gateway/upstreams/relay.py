"""Responses on their way to the client: an upstream's as its bytes come, and whole replies of our own."""

from __future__ import annotations

from email.utils import formatdate
from time import time

from gateway.exchange import Client, Exchange, Fields, Reply
from gateway.rules import field_lines, response_head
from gateway.rules.field_lines import Pieces
from gateway.rules.response_head import ResponseHead
from gateway.upstreams.connection import UpstreamConnection

_END = b"\r\n"


class BodyRelay:
    """Passes a body on to the client piece by piece, in the framing that the head has announced."""

    __slots__ = ("_chunked", "_client", "_exchange", "_trailers_wanted")

    def __init__(self, exchange: Exchange, *, chunked: bool) -> None:
        self._exchange = exchange
        self._client: Client = exchange.client_side
        self._chunked = chunked
        self._trailers_wanted = chunked

    def chunk(self, data: bytes) -> None:
        """Pass a piece on."""
        self._exchange.bytes_out += len(data)
        self._client.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, trailers: Fields) -> None:
        """Pass the end on, and the trailer fields where the framing has a place for them."""
        if self._chunked:
            self._client.write(b"0\r\n" + response_head.trailer_lines(trailers) + _END)


async def respond(exchange: Exchange, response: ResponseHead, connection: UpstreamConnection) -> None:
    """Pass an upstream's response on, to its last byte. Raises UpstreamError when it breaks off."""
    lines = [response_head.status_line(response.status, response.reason), *edited(exchange, response.kept)]
    whole = connection.take()
    if whole is not None or response.status >= 400:  # an upload refused is not waited for; others may go on beside it
        settle(exchange)
    # Where only the connection's end ends a body, and TLS hides whether that end was meant, it stays the client's to
    # judge: chunks would make a torn body look whole (RFC 9112, section 9.8).
    open_ended = response.until_close and connection.over_tls
    chunked = announce(
        exchange, lines, has_body=response.has_body, sized=response.length is not None, open_ended=open_ended
    )
    exchange.status = response.status
    exchange.responded = True
    client = exchange.client_side
    if whole is not None and not (chunked and connection.reader.trailers):
        # Small answers come in one read and go out in one write.
        if whole:
            body = whole[0] if len(whole) == 1 else b"".join(whole)
            exchange.bytes_out = len(body)
            lines.append(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
        elif chunked:
            lines.append(b"0\r\n\r\n")
        client.write(b"".join(lines))
        if client.write_paused:
            await client.drained()
        return
    client.write(b"".join(lines))
    client.source = connection
    try:
        if client.write_paused:
            connection.pause_reading()
        else:
            connection.resume_reading()
        connection.attach(BodyRelay(exchange, chunked=chunked))
        await connection.done()
        await client.drained()
        settle(exchange)
    finally:
        client.source = None


def settle(exchange: Exchange) -> None:
    """Answered before the request's end: what still comes of that cannot be taken for a next request."""
    if not exchange.body.complete:
        exchange.keep_alive = False


def break_off(exchange: Exchange) -> None:
    """End a response that will not be whole, so that nobody takes it for whole."""
    exchange.keep_alive = False
    if exchange.until_close:
        exchange.client_side.cut()
    else:
        exchange.client_side.close()  # short of its length or its last chunk; what is written still goes out


def informational(exchange: Exchange, status: int, reason: bytes, kept: Pieces) -> None:
    """Pass a 1xx on (RFC 9110, section 15.2); HTTP/1.0 has none."""
    if status == 100:
        exchange.continued = True
    if exchange.http10 or (status == 100 and not exchange.head.expects_continue):
        return
    exchange.client_side.write(b"".join([response_head.status_line(status, reason), *kept, _END]))


def switching(exchange: Exchange, response: ResponseHead) -> None:
    """Pass a 101 on: the connection's protocol changes (RFC 9110, section 7.8)."""
    lines = [response_head.status_line(101, response.reason), *edited(exchange, response.kept)]
    lines += [b"Upgrade: %b\r\n" % value for value in response.noted.get(b"upgrade", ())]
    lines += [exchange.stamp, b"Connection: Upgrade\r\n", _END]
    exchange.status = 101
    exchange.responded = True
    exchange.client_side.write(b"".join(lines))


def reply(exchange: Exchange, answer: Reply, reason: bytes) -> None:
    """Send a whole reply of our own."""
    if exchange.refused is not None or not exchange.body.complete:
        exchange.keep_alive = False
    fields = answer.headers
    if answer.status != 304 and answer.status >= 200:
        fields = [*fields, (b"Content-Length", b"%d" % len(answer.body))]
    pieces = field_lines.of([(b"Date", _date()), *fields])
    lines = [response_head.status_line(answer.status, reason), *edited(exchange, pieces)]
    announce(exchange, lines, has_body=True, sized=True)
    if exchange.method != b"HEAD":
        lines.append(answer.body)
        exchange.bytes_out = len(answer.body)
    exchange.status = answer.status
    exchange.responded = True
    exchange.client_side.write(b"".join(lines))


def edited(exchange: Exchange, pieces: Pieces) -> Pieces:
    """A response's fields as the config has them changed."""
    return pieces if exchange.edit is None else exchange.edit(pieces)


def announce(
    exchange: Exchange, lines: list[bytes], *, has_body: bool, sized: bool, open_ended: bool = False
) -> bool:
    """Add what every head gets: correlation, framing, connection. True when the body goes in chunks."""
    lines.append(exchange.stamp)
    chunked = False
    if has_body and not sized:
        if exchange.head.http10 or open_ended:
            exchange.until_close = True
            exchange.keep_alive = False
        else:
            chunked = True
            lines.append(response_head.chunked_line())
    if exchange.client_side.draining:
        exchange.keep_alive = False
    if not exchange.keep_alive or exchange.head.http10:
        lines.append(response_head.connection_line(keep_alive=exchange.keep_alive, http10=exchange.head.http10))
    lines.append(_END)
    return chunked


_dated: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """The Date field's value (RFC 9110, section 6.6.1), made once a second."""
    global _dated  # noqa: PLW0603 - a memory of one second
    now = int(time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True).encode("ascii"))
    return _dated[1]
