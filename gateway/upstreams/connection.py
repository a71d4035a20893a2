"""One connection to an upstream: a request out, its response in through llhttp, again and again.

Theory of operation. `send` begins an exchange, and what it returns is done when the final response head has come;
the request's body, if any, is pushed through `chunk` and `end`. What of the response's body has come by then waits
here, bounded, until `attach` names a sink, to which the rest is pushed as it comes; `done` waits for its end.
Whatever goes wrong becomes one UpstreamError, raised by `final_head` or `done`.

One timer serves all deadlines. It is armed for the nearest, and looks again when it fires: on a busy connection
that is once in many requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import httptools

from gateway.errors import (
    BadResponse,
    ConnectionBroken,
    HeadersTimeout,
    IdleTimeout,
    TotalTimeout,
    UpstreamError,
)
from gateway.exchange import BODY_BUFFER, BodySink, Exchange, Fields, Source
from gateway.rules import response_head
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.response_head import Interest, Noted, ResponseHead

#: An upstream's response head may take this many bytes.
_HEAD_LIMIT = 256 * 1024
#: Timers have a resolution of a millisecond, and may be early by it.
_EARLY = 0.002

NEVER = float("inf")


class UpstreamConnection(asyncio.Protocol):
    """Sends requests and reads responses on one connected socket."""

    __slots__ = (
        "_closed",
        "_complete",
        "_error",
        "_exchange",
        "_head_size",
        "_headers_limit",
        "_idle_limit",
        "_interest",
        "_kept",
        "_last_read",
        "_loop",
        "_noted",
        "_on_closed",
        "_parser",
        "_parts",
        "_parts_size",
        "_pass_informational",
        "_passing_by",
        "_read_paused",
        "_reason",
        "_response",
        "_sent_at",
        "_sink",
        "_spent",
        "_timer",
        "_timer_at",
        "_to_head",
        "_total",
        "_trailers",
        "_transport",
        "_upload_chunked",
        "_upload_source",
        "_waiter",
        "_write_blocked",
        "address",
        "answered",
        "busy",
        "expires",
        "idle_limit",
        "idle_since",
        "tunnel_early",
        "used",
    )

    _transport: asyncio.Transport

    def __init__(
        self,
        interest: Interest,
        on_closed: Callable[[UpstreamConnection], None],
        pass_informational: Callable[[Exchange, int, bytes, Pieces], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._interest = interest
        self._on_closed = on_closed
        self._pass_informational = pass_informational
        self._exchange: Exchange | None = None
        self._parser: Any = None
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._waiter: asyncio.Future[None] | None = None
        self._last_read = 0.0
        self._read_paused = False
        self._write_blocked = 0.0
        self._upload_source: Source | None = None
        #: The address connected to, for DNS changes.
        self.address = ""
        #: Exchanges begun here; more than one makes a broken connection a stale one.
        self.used = 0
        self.busy = False
        #: True once a byte of the present exchange's response has come.
        self.answered = False
        # The pool's own notes: when to be gone at the latest, idle since when and for how long at most.
        self.expires = NEVER
        self.idle_since = 0.0
        self.idle_limit: float | None = None
        self.tunnel_early = b""
        self._error: UpstreamError | None = None
        self._spent = False
        self._passing_by = False
        self._head_size = 0
        self._trailers: Fields = []
        self._parts_size = 0
        self._sink: BodySink | None = None
        self._reset()

    def _reset(self) -> None:
        """Make ready for an exchange. What only a failed one changes needs no care: it is never reused."""
        self._response: ResponseHead | None = None
        self._complete = False
        self._kept: Pieces = []
        self._noted: Noted = {}
        self._reason = b""
        self._parts: list[bytes] = []
        self._sent_at: float | None = None
        self.answered = False

    # ---- sending

    def send(
        self,
        head: bytes,
        now: float,
        exchange: Exchange,
        headers_limit: float,
        idle_limit: float,
        total: float,
    ) -> asyncio.Future[None]:
        """Send a request's head. When it has a body, that follows through `chunk` and `end`.

        What is returned is done when the final response head has come, or the exchange has failed.

        The limits are seconds, `total` is on the monotonic clock; NEVER for none.
        """
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        if self.used:
            self._reset()
        self.used += 1
        self.busy = True
        self._exchange = exchange
        self._headers_limit, self._idle_limit, self._total = headers_limit, idle_limit, total
        self._to_head = exchange.head.method == b"HEAD"
        self._upload_source = upload = exchange.body.source
        if upload is None:
            self._sent_at = now
            due = now + headers_limit
            self._arm(min(total, due))
        else:
            self._upload_chunked = exchange.head.chunked
            self._arm(total)
        self._transport.write(head)
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def chunk(self, data: bytes) -> None:
        """Send a piece of the request's body."""
        if self._closed:
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._upload_chunked else data)

    def end(self, trailers: Fields) -> None:  # noqa: ARG002 - a request's trailers are not taken
        """The request's body is whole: from now the upstream's `headers` time runs."""
        if self._closed:
            return
        if self._upload_chunked:
            self._transport.write(b"0\r\n\r\n")
        self._sent_at = monotonic()
        if self._upload_source is not None:
            # What is still to be written is ours now: the client may go on with its next request.
            self._upload_source.resume_reading()
            self._upload_source = None
        self._rearm()

    # ---- awaiting

    def final_head(self) -> ResponseHead:
        """The final response head, once what `send` returned is done. Raises UpstreamError."""
        if self._response is None:
            raise self._error or ConnectionBroken("The upstream has not answered.")
        return self._response

    def take(self) -> list[bytes] | None:
        """The whole body, when all of it has come already and nobody is attached; None otherwise."""
        return self._parts if self._complete and self._sink is None and self._error is None else None

    @property
    def trailers(self) -> Fields:
        """The trailer section, once the body is whole."""
        return self._trailers

    def attach(self, sink: BodySink) -> None:
        """Push the body to `sink`: what is here at once, the rest as it comes."""
        self._sink = sink
        parts, self._parts, self._parts_size = self._parts, [], 0
        for part in parts:
            sink.chunk(part)
        if self._complete:
            sink.end(self._trailers)
        else:
            self._rearm()

    def lift_total(self) -> None:
        """The response is one that may go on for ever."""
        self._total = NEVER

    async def done(self) -> None:
        """Wait for the response's last byte. Raises UpstreamError."""
        if not self._complete and self._error is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._error is not None:
            raise self._error

    def reusable(self) -> bool:
        """Whether another request may follow: both messages whole, nothing beside them, and neither side closing."""
        return (
            self._complete
            and self._sent_at is not None
            and not self._closed
            and not self._spent
            and not self._write_blocked  # a request answered early may lie here still
            and self._error is None
            and self._response is not None
            and self._response.keep_alive
            and not self._transport.is_closing()
        )

    def rest(self, now: float) -> None:
        """The exchange is over; the connection is idle from now."""
        self.busy = False
        self.idle_since = now
        self.idle_limit = self._response.idle_limit if self._response is not None else None
        self._sink = self._upload_source = self._exchange = None
        self.resume_reading()
        self._parts_size = self._head_size = 0
        if self._trailers:
            self._trailers = []
        if self._to_head:
            # llhttp cannot be told that a response to HEAD has no body; a new parser does not wait for it.
            self._parser = None

    def abort(self) -> None:
        """Close at once."""
        if not self._closed:
            self._transport.abort()

    def close(self) -> None:
        """Close an idle connection."""
        self._transport.close()

    @property
    def closed(self) -> bool:
        """Whether it is gone, or going."""
        return self._closed or self._transport.is_closing()

    def into_tunnel(self) -> asyncio.Transport:
        """Give the transport up to a tunnel; `tunnel_early` holds what came behind the 101."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._transport

    # ---- holding back

    def pause_reading(self) -> None:
        """The client takes bytes more slowly than they come."""
        if not self._read_paused and not self.closed:
            self._read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The client has caught up; our own pause is not the upstream's idleness."""
        if self._read_paused and not self.closed:
            self._read_paused = False
            self._last_read = monotonic()
            self._transport.resume_reading()
            self._rearm()

    # ---- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone: an end only where the response says that its body ends so."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.busy and self._error is None and not self._complete:
            if exc is None and self._response is not None and self._response.until_close:
                self._finish()
            else:
                self._error = ConnectionBroken("The upstream closed the connection before its response was whole.")
                self._wake()
        self._on_closed(self)

    def pause_writing(self) -> None:
        """The upstream takes the request's body slowly."""
        self._write_blocked = monotonic()
        if self._upload_source is not None:
            self._upload_source.pause_reading()
            self._rearm()

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        self._write_blocked = 0.0
        if self._upload_source is not None:
            self._upload_source.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if not self.busy or self._complete:
            self._spent = True  # nobody asked for it
            self._transport.close()
            return
        self._last_read = monotonic()
        self.answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._response is not None and self._response.status == 101:
                self.tunnel_early = data[upgrade.args[0] :]
                self._transport.pause_reading()
                return
            self._fail(BadResponse("The upstream changed protocols unasked."))
        except httptools.HttpParserError as error:
            self._on_parser_error(error)
        response = self._response
        if (response is None or (response.chunked and not self._complete)) and self._error is None:
            # Between chunks too: what llhttp gathers of a trailer field, nobody else sees before its end.
            self._head_size = self._head_size + len(data) if self._head_size >= 0 else 0
            if self._head_size > _HEAD_LIMIT:
                self._fail(BadResponse("The upstream's response has too large a head, or trailer section."))

    # ---- llhttp's callbacks

    def on_message_begin(self) -> None:
        """A response's first byte; a second response to one request is one too many."""
        if self._complete:
            self._spent = True

    def on_status(self, reason: bytes) -> None:
        """The reason phrase, or a piece of it."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field once the head is known."""
        if self._response is not None:
            if not self._complete:  # else it belongs to a second response, that nobody asked for
                self._trailers.append((name, value))
            return
        lower = name.lower()
        if lower not in self._interest.noted:
            self._kept += (name, COLON, value, END)
        else:
            self._noted.setdefault(lower, []).append(value)
            if lower in self._interest.passed_on:
                self._kept += (name, COLON, value, END)

    def on_headers_complete(self) -> None:
        """A head is whole: an informational one passes by, the final one wakes who waits for it."""
        if self._complete or self._error is not None:
            return
        parser = self._parser
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._on_informational(status)
            return
        try:
            response = response_head.read(
                status, self._reason, parser.get_http_version(), self._kept, self._noted, to_head=self._to_head
            )
        except response_head.Malformed:
            self._fail(BadResponse("The upstream's response head makes no sense."))
            return
        self._response = response
        if not response.has_body:
            self._complete = True
        self._wake()

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._head_size = -1
        if self._complete:  # of a response that has none
            self._spent = True
        elif self._sink is not None:
            self._sink.chunk(data)
        else:
            self._parts.append(data)
            self._parts_size += len(data)
            if self._parts_size > BODY_BUFFER:
                self.pause_reading()

    def on_message_complete(self) -> None:
        """The response is whole."""
        if self._passing_by:
            self._passing_by = False
        elif self._response is not None and not self._complete:
            self._finish()

    # ---- inside

    def _on_informational(self, status: int) -> None:
        """Pass a 1xx on. All of them and the final head share one limit, so that they end some time."""
        self._passing_by = True
        kept, noted, reason = self._kept, self._noted, self._reason
        self._kept, self._noted, self._reason = [], {}, b""
        try:
            kept = response_head.informational(reason, kept, noted)
        except response_head.Malformed:
            self._fail(BadResponse("The upstream's informational response makes no sense."))
            return
        if self._exchange is not None:
            self._pass_informational(self._exchange, status, reason, kept)

    def _finish(self) -> None:
        self._complete = True
        if self._sink is not None:
            self._sink.end(self._trailers)
        self._wake()

    def _on_parser_error(self, error: httptools.HttpParserError) -> None:
        if self._complete:
            self._spent = True  # the response is whole; what is wrong came behind it
            return
        if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
            self._loop.call_exception_handler({"message": "response callback", "exception": error.__context__})
        self._fail(BadResponse("The upstream's response is not HTTP/1.x."))

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None and not self._complete:
            self._error = error
            self._wake()
        self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    # ---- time

    def _arm(self, deadline: float) -> None:
        if deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _rearm(self) -> None:
        if self.busy and not self._complete and not self._closed:
            self._arm(self._nearest()[0])

    def _nearest(self) -> tuple[float, type[UpstreamError]]:
        """The deadline that comes first, and what has happened when it passes."""
        due: float = NEVER
        error: type[UpstreamError] = IdleTimeout
        if self._response is not None:
            # While the client is still sending, an upstream that has begun to answer may well wait for it.
            turn = self._sent_at or self._write_blocked
            if turn and not self._read_paused:
                due = max(self._last_read, turn) + self._idle_limit
        elif self._sent_at is not None:
            due, error = self._sent_at + self._headers_limit, HeadersTimeout
        elif self._write_blocked:
            due = self._write_blocked + self._idle_limit
        return (self._total, TotalTimeout) if self._total < due else (due, error)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, NEVER
        if not self.busy or self._complete or self._closed:
            return
        due, error = self._nearest()
        if monotonic() >= due - _EARLY:
            self._fail(error())
        else:
            self._arm(due)
