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
from typing import cast

from gateway import sockets
from gateway.errors import ConnectionBroken, HeadersTimeout, IdleTimeout, TotalTimeout, UpstreamError
from gateway.exchange import BodySink, Exchange, Fields, Source
from gateway.rules.field_lines import Pieces
from gateway.rules.response_head import Interest, ResponseHead
from gateway.upstreams.response_reader import ResponseReader

#: Timers have a resolution of a millisecond, and may be early by it.
_EARLY = 0.002

NEVER = float("inf")


class UpstreamConnection(asyncio.Protocol):
    """Sends requests and reads responses on one connected socket."""

    __slots__ = (
        "_closed",
        "_continue_since",
        "_error",
        "_exchange",
        "_headers_limit",
        "_idle_limit",
        "_last_read",
        "_loop",
        "_on_closed",
        "_pass_informational",
        "_read_paused",
        "_sent_at",
        "_timer",
        "_timer_at",
        "_total",
        "_transport",
        "_unsent",
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
        "over_tls",
        "reader",
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
        self._on_closed = on_closed
        self._pass_informational = pass_informational
        self._exchange: Exchange | None = None
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._waiter: asyncio.Future[None] | None = None
        self._last_read = 0.0
        self._read_paused = False
        self._write_blocked = 0.0
        self._unsent = 0
        self._continue_since = NEVER
        #: TLS, whose proper end the event loop does not tell from a torn one.
        self.over_tls = False
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
        self._error: UpstreamError | None = None
        self._sent_at: float | None = None
        self.reader = ResponseReader(interest, self)

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
        self.reader.begin(to_head=exchange.head.method == b"HEAD")
        self.used += 1
        self.busy = True
        self.answered = False
        self._exchange = exchange
        self._headers_limit, self._idle_limit, self._total = headers_limit, idle_limit, total
        self._upload_source = upload = exchange.body.source
        if upload is None:
            self._sent_at = now
            due = now + headers_limit
            self._arm(min(total, due))
        else:
            self._upload_chunked = exchange.head.chunked
            self._sent_at = None
            # Who asks for leave to send waits for the upstream (RFC 9110, section 10.1.1), whose time runs.
            self._continue_since = now if exchange.head.expects_continue else NEVER
            self._arm(min(total, self._continue_since + headers_limit))
        self._transport.write(head)
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def chunk(self, data: bytes) -> None:
        """Send a piece of the request's body."""
        if self._closed:
            return
        self._continue_since = NEVER
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._upload_chunked else data)

    def end(self, trailers: Fields) -> None:  # noqa: ARG002 - a request's trailers are not taken
        """The request's body is whole: from now the upstream's `headers` time runs."""
        if self._closed:
            return
        if self._upload_chunked:
            self._transport.write(b"0\r\n\r\n")
        self._sent_at = monotonic()
        self._continue_since = NEVER
        if self._upload_source is not None:
            # What is still to be written is ours now: the client may go on with its next request.
            self._upload_source.resume_reading()
            self._upload_source = None
        self._rearm()

    # ---- awaiting

    def final_head(self) -> ResponseHead:
        """The final response head, once what `send` returned is done. Raises UpstreamError."""
        response = self.reader.response
        if response is None:
            raise self._error or ConnectionBroken("The upstream has not answered.")
        return response

    def take(self) -> list[bytes] | None:
        """The whole body, when all of it has come already and nobody is attached; None otherwise."""
        return self.reader.take() if self._error is None else None

    def attach(self, sink: BodySink) -> None:
        """Push the body to `sink`: what is here at once, the rest as it comes."""
        self.reader.attach(sink)
        self._rearm()

    def lift_total(self, total: float = NEVER) -> None:
        """The response may take until then: others wait too, or it is one that may go on for ever."""
        self._total = max(self._total, total)

    async def done(self) -> None:
        """Wait for the response's last byte. Raises UpstreamError."""
        if not self.reader.complete and self._error is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._error is not None:
            raise self._error

    def reusable(self) -> bool:
        """Whether another request may follow: both messages whole, nothing beside them, and neither side closing."""
        reader = self.reader
        return (
            reader.complete
            and self._sent_at is not None
            and not self._closed
            and not reader.spent
            and not self._write_blocked  # a request answered early may lie here still
            and self._error is None
            and reader.response is not None
            and reader.response.keep_alive
            and not self._transport.is_closing()
        )

    def rest(self, now: float) -> None:
        """The exchange is over; the connection is idle from now."""
        self.busy = False
        self.idle_since = now
        response = self.reader.response
        self.idle_limit = response.idle_limit if response is not None else None
        self._upload_source = self._exchange = None
        self.reader.rest()
        if self._read_paused:
            self.resume_reading()

    def dismiss(self) -> None:
        """The exchange is over and this is of no more use: close at once, and hold nothing of it."""
        self.busy = False
        self._upload_source = self._exchange = self._error = None
        self.reader.drop()
        self.abort()

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
        self.over_tls = transport.get_extra_info("sslcontext") is not None

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone: an end only where the response says that its body ends so."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if exc is not None and self.busy and not self.over_tls:
            # One that answers early and closes with our upload unread resets the connection: the next write fails,
            # and the event loop gives up before it has read the answer.
            for data in sockets.unread(self._socket()):
                if self.reader.complete or self._error is not None:
                    break
                self.answered = True
                self.reader.feed(data)
        if (
            self.busy
            and self._error is None
            and not self.reader.complete
            and (exc is not None or not self.reader.end_of_connection())
        ):
            self._error = ConnectionBroken("The upstream closed the connection before its response was whole.")
            self.wake()
        self.reader.part()
        self._on_closed(self)

    def _socket(self) -> sockets.Socket:
        return cast("sockets.Socket", self._transport.get_extra_info("socket"))

    def pause_writing(self) -> None:
        """The upstream takes the request's body slowly."""
        self._write_blocked = monotonic()
        self._unsent = self._still_unsent()
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
        reader = self.reader
        if not self.busy or reader.complete:
            reader.spent = True  # nobody asked for it
            self._transport.close()
            return
        self._last_read = monotonic()
        self.answered = True
        if not reader.feed(data):
            self._transport.pause_reading()

    # ---- what the reader tells

    def wake(self) -> None:
        """The final head has come, the last byte, or an error."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    def fail(self, error: UpstreamError) -> None:
        """The exchange has failed, and the connection with it."""
        if self._error is None and not self.reader.complete:
            self._error = error
            self.wake()
        self._transport.abort()

    def inform(self, status: int, reason: bytes, kept: Pieces) -> None:
        """Pass an informational response on."""
        if status == 100:
            self._continue_since = NEVER
        if self._exchange is not None:
            self._pass_informational(self._exchange, status, reason, kept)

    # ---- time

    def _arm(self, deadline: float) -> None:
        if deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _rearm(self) -> None:
        if self.busy and not self.reader.complete and not self._closed:
            self._arm(self._nearest()[0])

    def _nearest(self) -> tuple[float, type[UpstreamError]]:
        """The deadline that comes first, and what has happened when it passes."""
        due: float = NEVER
        error: type[UpstreamError] = IdleTimeout
        if self.reader.response is not None:
            # While the client is still sending, an upstream that has begun to answer may well wait for it.
            turn = self._sent_at or self._write_blocked
            if turn and not self._read_paused:
                due = max(self._last_read, turn) + self._idle_limit
        elif self._sent_at is not None:
            due, error = self._sent_at + self._headers_limit, HeadersTimeout
        elif self._continue_since != NEVER:
            due, error = self._continue_since + self._headers_limit, HeadersTimeout
        elif self._write_blocked:
            due = self._write_blocked + self._idle_limit
        return (self._total, TotalTimeout) if self._total < due else (due, error)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, NEVER
        if not self.busy or self.reader.complete or self._closed:
            return
        now = monotonic()
        if self._write_blocked:
            unsent = self._still_unsent()
            if unsent != self._unsent:  # slowly, but it takes the upload
                self._unsent, self._write_blocked = unsent, now
        due, kind = self._nearest()
        if now < due - _EARLY:
            self._arm(due)
            return
        error = kind()
        if isinstance(error, TotalTimeout) and self._sent_at is not None:
            error.waited = now - self._sent_at
        self.fail(error)

    def _still_unsent(self) -> int:
        return self._transport.get_write_buffer_size() + sockets.unsent(self._socket())
