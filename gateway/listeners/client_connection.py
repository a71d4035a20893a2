"""One client's connection: bytes in through llhttp to exchanges, served one after the other, bytes out as they are.

Theory of operation. llhttp's callbacks run inside `data_received` and build an Exchange at the end of each head;
one task for the connection's whole life serves them in order. A body is pushed to whoever is attached to it, or
waits, bounded, in the exchange. While an exchange is served and another is already here, the socket is not read.

    IDLE ── first byte ──> HEAD ── head whole ──> SERVING ── answered ──> IDLE (or HEAD, when pipelined)
                                                     │
                                                     ├── 101 ──> TUNNEL: the transport belongs to the tunnel
                                                     ├── answered, request unfinished ──> LINGERING ──> gone
                                                     └── answered, last one ──> CLOSING ──> gone

The client's leaving cancels the task: whatever the exchange holds is given back by its `finally`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, cast

from gateway import sockets
from gateway.errors import SlowRequest, TooManyConnections
from gateway.exchange import Exchange, RequestBody, Source
from gateway.listeners.request_reader import RequestReader
from gateway.rules import client_address

if TYPE_CHECKING:
    from gateway.listeners.listener import Listener

IDLE, HEAD, SERVING, TUNNEL, LINGERING, CLOSING = range(6)

# Why the socket is not read.
_BODY, _QUEUE, _EARLY = 1, 2, 4

#: Bytes held behind an upgrade request until the upstream has decided.
_EARLY_BUFFER = 64 * 1024


class ClientConnection(asyncio.Protocol):
    """Reads requests and writes responses on one accepted socket."""

    __slots__ = (
        "_arrived",
        "_cut_for",
        "_drained",
        "_holds",
        "_idle_since",
        "_in_task",
        "_reader",
        "_since",
        "_task",
        "_transport",
        "_unsent",
        "_wake",
        "exchange",
        "listener",
        "peer",
        "phase",
        "source",
        "write_paused",
    )

    _transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.peer = ""
        self.phase = IDLE
        self._since = monotonic()
        self._reader = RequestReader(self, self._since)
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        #: The exchange being served.
        self.exchange: Exchange | None = None
        #: Whether the task has taken it over already.
        self._in_task = False
        self._holds = 0
        #: What has begun a request and waits for its turn.
        self._arrived = b""
        self._idle_since = 0.0
        # The way out.
        self.write_paused = False
        self.source: Source | None = None
        self._drained: asyncio.Future[None] | None = None
        #: Why it was cut here; None while nobody has, and where the client leaves.
        self._cut_for: str | None = None
        self._unsent = 0

    # ---- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; refused at once when the listener has as many connections as it may."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = client_address.canonical(peer[0]) if peer else ""
        self.listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it is gone either way
        """The client has left: whatever is done for it stops."""
        self.listener.closed(self)
        if self.exchange is not None and not self._in_task:
            self.listener.service.abandon(self.exchange)
        if self.phase != TUNNEL and self._task is not None:
            self._task.cancel(self._cut_for)
        self.phase = CLOSING
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        # Nothing is left in a circle, so that all of it goes now, not when the garbage collector comes by.
        self._reader.part()
        self._task = self.exchange = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; serve what is ready.

        What begins a request waits until all that came in this turn of the event loop is read from its sockets. Then
        one is parsed and served behind the other, which takes half the time that it takes between system calls.
        """
        reader = self._reader
        reader.last_read = now = monotonic()
        if reader.deaf:
            return
        if self._arrived:
            self._arrived += data
            return
        if self.phase == IDLE:
            self._idle_since, self._since = self._since, now
            self.phase = HEAD
            self._arrived = data
            self.listener.arrived(self)
            return
        if reader.early is None:
            reader.feed(data)
            return
        reader.early += data
        if len(reader.early) > _EARLY_BUFFER:
            self._hold(_EARLY)

    def take_in(self) -> None:
        """It is the turn of what has begun a request."""
        data, self._arrived = self._arrived, b""
        reader = self._reader
        if self.phase != HEAD or reader.deaf:  # the client has left, or was too slow
            return
        reader.feed_first(data)
        if self.phase == HEAD and not reader.in_head:  # empty lines before a request (RFC 9112, section 2.2)
            self.phase, self._since = IDLE, self._idle_since

    def eof_received(self) -> bool | None:
        """A client that closes its sending side has left (as for nginx and Envoy); the transport closes.

        While something is served for it, at once: what is still to be written would hold the closing up.
        """
        if self.phase == SERVING:
            self._transport.abort()
        return None

    def pause_writing(self) -> None:
        """The client reads slowly: hold the source back."""
        self.write_paused = True
        self._unsent, self._since = -1, monotonic()
        if self.source is not None:
            self.source.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        if self.source is not None:
            self.source.resume_reading()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def turn_away(self) -> None:
        """Refuse the connection as one too many."""
        self._reader.refuse(TooManyConnections())

    # ---- what the reader tells

    @property
    def reading_first_head(self) -> bool:
        """Whether nothing stands before the head being read."""
        return self.phase == HEAD

    def work(self) -> None:
        """Serve what is here: at once what needs no waiting, the rest in the connection's task."""
        if self.exchange is not None:
            self._hold(_QUEUE)
        elif self._advance():
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._serve())
            elif self._wake is not None and not self._wake.done():
                self._wake.set_result(None)

    def body_failed(self, body: RequestBody) -> None:
        """The rest of a body will not come: end the exchange that waits for it."""
        if self._in_task and self.exchange is not None and self.exchange.body is body and self._task is not None:
            self._task.cancel()

    # ---- what an exchange may ask of its client's side

    def write(self, data: bytes) -> None:
        """Send bytes as they are; nowhere, when the client has left and whoever sends does not know it yet."""
        if self.phase != CLOSING:
            self._transport.write(data)

    def close(self) -> None:
        """Close once what is written has gone out."""
        self.phase = CLOSING
        self._since = monotonic()
        self._transport.close()

    def cut(self, why: str | None = None) -> None:
        """Reset the connection, so that a broken body never looks whole; `why` is what the log has as its error."""
        self._cut_for = why
        with suppress(OSError, ValueError):
            sockets.reset_on_close(self._socket())
        self._transport.abort()

    @property
    def draining(self) -> bool:
        """Whether responses must tell the client to go elsewhere."""
        return self.listener.draining

    async def drained(self) -> None:
        """Wait until the client has taken nearly everything written, or has left."""
        if self.write_paused and self.phase != CLOSING:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def pause_reading(self) -> None:
        """Whoever takes the request's body has no room."""
        self._hold(_BODY)

    def resume_reading(self) -> None:
        """Whoever takes the request's body has room again."""
        self._unhold(_BODY)

    def into_tunnel(self) -> tuple[asyncio.Transport, asyncio.Protocol, bytes]:
        """Give the transport up to a tunnel, with the bytes that came behind the upgrade request."""
        early, self._reader.early = self._reader.early or b"", b""
        self.phase = TUNNEL
        self._unhold(_EARLY)
        return self._transport, self, early

    def _hold(self, reason: int) -> None:
        if not self._holds and self.phase < LINGERING:
            self._transport.pause_reading()
        self._holds |= reason

    def _unhold(self, reason: int) -> None:
        if self._holds & reason:
            self._holds &= ~reason
            self._reader.mark_pace(monotonic())
            if not self._holds and not self._transport.is_closing():
                self._transport.resume_reading()

    # ---- serving

    def _advance(self) -> bool:
        """Answer what can be answered at once; True when the task is to go on with `exchange`."""
        queue = self._reader.queue
        service = self.listener.service
        while queue:
            exchange = self.exchange = queue.popleft()
            self.phase = SERVING
            if self._holds & _QUEUE and not queue:
                self._unhold(_QUEUE)
            if not service.begin(exchange):
                return True
            if not self._served(exchange):
                break
        return False

    async def _serve(self) -> None:
        """Serve exchanges in order until the connection ends, `exchange` first."""
        loop = asyncio.get_running_loop()
        while True:
            exchange = self.exchange
            if exchange is None:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
                continue
            self._in_task = True
            try:
                await self.listener.service.serve(exchange)
            except BaseException as bug:  # without its task the connection would hang
                self._transport.abort()
                if isinstance(bug, asyncio.CancelledError):
                    raise
                self.listener.log_bug("connection", bug)
                return
            if not self._served(exchange):
                return
            self._advance()
            if self.phase > SERVING:
                return

    def _served(self, exchange: Exchange) -> bool:
        """An exchange is over; False when the connection is, too."""
        self._in_task = False
        if self.phase != SERVING:  # a tunnel's now, or gone
            self.exchange = None
            return False
        if not exchange.keep_alive:
            self.exchange = None
            self._finish(exchange)
            return False
        reader = self._reader
        if reader.early is not None and exchange.head.upgrade:  # the upgrade was not taken
            self._unhold(_EARLY)
            reader.reopen()  # what it finds is for whoever called
        self.exchange = None
        if reader.queue:
            reader.queue[0].started = monotonic()  # what it waited for was its own client's doing
            return True
        if self._holds:
            self._unhold(_QUEUE | _BODY)  # a body that nobody took holds nothing back once its exchange is over
        self.phase = HEAD if reader.in_head else IDLE
        self._since = monotonic()
        return True

    def _finish(self, exchange: Exchange) -> None:
        """The last response is written: close, without a reset that could overtake it (RFC 9112, section 9.6)."""
        if exchange.body.complete and exchange.refused is None:
            self.close()
            return
        self._since, self._unsent = monotonic(), 0
        self.phase = LINGERING
        self._reader.deaf = True
        exchange.body.discard()
        if self._transport.is_closing():
            return
        if self._holds:
            self._holds = 0
            self._transport.resume_reading()
        self._transport.write_eof()

    # ---- time

    def close_when_idle(self) -> bool:
        """Close unless something is being served; True when it was idle."""
        if self.phase == IDLE:
            self.close()
            return True
        return False

    def check(self, now: float) -> None:
        """Called several times in each limit's span: end what has waited for this client too long."""
        limits = self.listener.limits
        waited = now - self._since
        if self.phase == IDLE:
            if waited > limits.keep_alive:
                self.close_when_idle()
        elif self.phase == HEAD:
            if waited > limits.header_timeout and not self._reader.deaf:
                self._reader.refuse(SlowRequest("The request's head did not come in time."))
        elif self.phase == SERVING:
            self._check_serving(now)
        elif self.phase == LINGERING:
            self._check_lingering(now)
        elif self.phase == CLOSING:
            self._check_reader(now)

    def _check_serving(self, now: float) -> None:
        if self.write_paused:
            self._check_reader(now)
        if self._holds:
            if sockets.has_left(self._socket()):
                self._transport.abort()
        elif self._reader.too_slow(now):
            self._reader.spoil(SlowRequest("The request's body did not come fast enough."))

    def _check_reader(self, now: float) -> None:
        """Cut a client that has not taken a byte of what is waiting for it in a long while."""
        unsent = self._transport.get_write_buffer_size() + sockets.unsent(self._socket())
        if unsent != self._unsent:
            self._unsent, self._since = unsent, now
        elif now - self._since > self.listener.limits.write_timeout:
            self.cut()

    def _check_lingering(self, now: float) -> None:
        """End what is left once the client has had the response for `linger`; a slow reader gets the rest first.

        Closing with its bytes unread resets the connection, and what our side has not sent goes with it.
        """
        unsent = self._transport.get_write_buffer_size() + sockets.unsent(self._socket())
        limits = self.listener.limits
        if unsent != self._unsent:
            self._unsent, self._since = unsent, now
        elif now - self._since > (limits.write_timeout if unsent else limits.linger):
            self._transport.abort()

    def _socket(self) -> sockets.Socket:
        return cast("sockets.Socket", self._transport.get_extra_info("socket"))
