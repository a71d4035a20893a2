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
import fcntl
import socket
import struct
import sys
import termios
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import httptools

from gateway.errors import GatewayError, HeadersTooLarge, MalformedRequest, SlowRequest, TargetTooLong
from gateway.exchange import NO_BODY, Exchange, RequestBody, Source
from gateway.listeners.body_replay import BodyReplay
from gateway.rules import client_address, request_head
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.request_head import Noted

if TYPE_CHECKING:
    from gateway.listeners.listener import Listener

IDLE, HEAD, SERVING, TUNNEL, LINGERING, CLOSING = range(6)

# Why the socket is not read.
_BODY, _QUEUE, _EARLY = 1, 2, 4

#: Bytes held behind an upgrade request until the upstream has decided.
_EARLY_BUFFER = 64 * 1024

# linux/tcp.h: the first byte of tcp_info is the state; the peer has sent its FIN, or the connection is gone.
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8

# SO_LINGER on, for no time: closing sends a reset (socket(7)). A plain abort would send the FIN of a clean end.
_RESET = struct.pack("ii", 1, 0)


class ClientConnection(asyncio.Protocol):
    """Reads requests and writes responses on one accepted socket."""

    __slots__ = (
        "_body",
        "_deaf",
        "_drained",
        "_early",
        "_exchange",
        "_fed",
        "_head_size",
        "_holds",
        "_in_head",
        "_interest",
        "_kept",
        "_last_read",
        "_listener",
        "_noted",
        "_parser",
        "_peer",
        "_queue",
        "_since",
        "_target",
        "_task",
        "_transport",
        "_unsent",
        "_upgrading",
        "_wake",
        "_window",
        "phase",
        "source",
        "write_paused",
    )

    _transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._parser: Any = httptools.HttpRequestParser(self)
        self._peer = ""
        self.phase = IDLE
        self._since = self._last_read = monotonic()
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._queue: deque[Exchange] = deque()
        self._exchange: Exchange | None = None
        # The head being read, and the body being received.
        self._in_head = False
        self._head_size = 0
        self._fed = 0
        self._target = b""
        self._interest = listener.interest
        self._kept: Pieces = []
        self._noted: Noted = {}
        self._body: RequestBody | None = None
        self._upgrading = False
        self._deaf = False
        self._early: bytes | None = None
        self._holds = 0
        #: Slow-body accounting: when the window began, and what had come by then.
        self._window = (0.0, 0)
        # The way out.
        self.write_paused = False
        self.source: Source | None = None
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0

    # ---- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; refused at once when the listener has as many connections as it may."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = client_address.canonical(peer[0]) if peer else ""
        self._listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it is gone either way
        """The client has left: whatever is done for it stops."""
        self._listener.closed(self)
        if self.phase != TUNNEL and self._task is not None:
            self._task.cancel()
        self.phase = CLOSING
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Parse what came; wake the task when an exchange is ready."""
        self._last_read = now = monotonic()
        if self._deaf:
            return
        if self.phase == IDLE:
            self.phase = HEAD
            self._since = now
        if self._early is None:
            self._feed(data)
            return
        self._early += data
        if len(self._early) > _EARLY_BUFFER:
            self._hold(_EARLY)

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

    def turn_away(self, answer: bytes) -> None:
        """Refuse the connection with an answer made ready."""
        self._deaf = True
        self.phase = CLOSING
        self._transport.write(answer)
        self._transport.close()

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

    def cut(self) -> None:
        """Reset the connection, so that a broken body never looks whole."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    @property
    def draining(self) -> bool:
        """Whether responses must tell the client to go elsewhere."""
        return self._listener.draining

    async def drained(self) -> None:
        """Wait until the client has taken nearly everything written, or has left."""
        if self.write_paused:
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
        early, self._early = self._early or b"", b""
        self.phase = TUNNEL
        self._unhold(_EARLY)
        return self._transport, self, early

    # ---- llhttp's callbacks

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._in_head = True
        self._head_size = -1
        self._interest = self._listener.interest
        self._kept = []
        self._noted = {}
        self._target = b""

    def on_url(self, target: bytes) -> None:
        """The target, or a piece of it."""
        self._target = self._target + target if self._target else target

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the header section; behind the body it is a trailer, which is not taken."""
        lower = name.lower()
        if lower not in self._interest.noted:
            self._kept += (name, COLON, value, END)
        else:
            self._noted.setdefault(lower, []).append(value)
            if lower in self._interest.passed_on:
                self._kept += (name, COLON, value, END)
        if not self._in_head:
            self._spoil(MalformedRequest("Trailer fields in a request are not taken."))

    def on_headers_complete(self) -> None:
        """The head is whole: make the exchange."""
        self._in_head = False
        if self._deaf:
            return
        limits = self._listener.limits
        if len(self._target) > limits.request_line:
            self._refuse(TargetTooLong())
            return
        size = self._head_size + self._fed + 1
        if size >= 4 * limits.header_count and self._count() > limits.header_count:
            self._refuse(HeadersTooLarge())
            return
        if size > limits.header_size and self._section_size() > limits.header_size:
            self._refuse(HeadersTooLarge())
            return
        parser = self._parser
        try:
            head = request_head.read(
                parser.get_method(), self._target, parser.get_http_version(), self._kept, self._noted
            )
        except request_head.Malformed as malformed:
            self._refuse(MalformedRequest(f"The request is refused: {malformed}."))
            return
        if b"upgrade" in head.noted or head.method == b"CONNECT":
            self._upgrading = parser.should_upgrade()
        body = NO_BODY
        if head.length or head.chunked:
            self._body = body = RequestBody(self)
            self._window = (self._last_read, 0)
        self._queue.append(Exchange(self._listener.name, head, body, self, self._peer, self._last_read))

    def on_body(self, data: bytes) -> None:
        """A piece of the request's body."""
        if self._body is not None:
            self._body.feed(data)

    def on_message_complete(self) -> None:
        """The request is whole (llhttp says so too early where an upgrade is asked for)."""
        if self._body is not None and not self._upgrading:
            self._body.finish()
            self._body = None

    # ---- reading

    def _feed(self, data: bytes) -> None:
        self._fed = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._on_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._on_parser_error(error)
        if self._in_head and not self._deaf:
            self._check_unfinished_head()
        if self._queue:
            self._work()

    def _work(self) -> None:
        """See to it that the task takes the next exchange."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._serve())
        elif self._wake is not None:
            if not self._wake.done():
                self._wake.set_result(None)
        else:
            self._hold(_QUEUE)

    def _check_unfinished_head(self) -> None:
        if self._head_size >= 0:
            self._head_size += self._fed
        elif self.phase == HEAD and not self._queue:
            self._head_size = self._fed
        else:  # what else this read brought is not known, so the head may take one read more than its limit
            self._head_size = 0
        limits = self._listener.limits
        if len(self._target) > limits.request_line:
            self._refuse(TargetTooLong())
        elif self._head_size > limits.header_size:
            self._refuse(HeadersTooLarge())

    def _count(self) -> int:
        """The head's fields."""
        noted = sum(len(values) for name, values in self._noted.items() if name not in self._interest.passed_on)
        return len(self._kept) // 4 + noted

    def _section_size(self) -> int:
        return sum(map(len, self._kept)) + sum(
            len(name) + len(value) + 4
            for name, values in self._noted.items()
            if name not in self._interest.passed_on
            for value in values
        )

    def _on_upgrade(self, rest: bytes) -> None:
        """llhttp stops behind a request that asks for an upgrade; what follows depends on the answer."""
        self._upgrading = False
        exchange = self._queue[-1] if self._queue else None
        if self._deaf or exchange is None:
            return
        if exchange.head.method == b"CONNECT":
            self._deaf = True
        elif exchange.head.upgrade:
            self._early = rest
        else:
            self._parser = (
                httptools.HttpRequestParser(self)
                if exchange.body.complete
                else BodyReplay.parser(self, exchange.head)
            )
            if rest:
                self._feed(rest)

    def _on_parser_error(self, error: httptools.HttpParserError) -> None:
        if self._deaf:
            return
        if isinstance(error, httptools.HttpParserCallbackError):
            self._listener.log_bug("request callback", error)
        last = self._queue[-1] if self._queue else self._exchange
        if last is not None and not last.head.keep_alive and self._body is None:
            self._deaf = True  # bytes behind a request that said it was the last
            return
        # llhttp's words are its own constants, never the client's bytes.
        self._spoil(MalformedRequest(f"The request is refused: {error.args[0] if error.args else 'not HTTP'}."))

    def _spoil(self, error: GatewayError) -> None:
        """The request being received cannot be finished: end its exchange, or refuse it when it has none yet."""
        if self._body is None:
            self._refuse(error)
            return
        self._deaf = True
        self._body.fail(error)
        if self._exchange is not None and self._exchange.body is self._body and self._task is not None:
            self._task.cancel()
        self._body = None

    def _refuse(self, error: GatewayError) -> None:
        """Answer what cannot become an exchange of its own, after those before it; then hear no more."""
        self._deaf = True
        self._in_head = False
        head = request_head.unreadable(self._parser.get_method() if self._noted else b"")
        exchange = Exchange(self._listener.name, head, NO_BODY, self, self._peer, self._last_read)
        exchange.refused = error
        self._queue.append(exchange)
        self._work()

    def _hold(self, reason: int) -> None:
        if not self._holds and self.phase < LINGERING:
            self._transport.pause_reading()
        self._holds |= reason

    def _unhold(self, reason: int) -> None:
        if self._holds & reason:
            self._holds &= ~reason
            self._window = (monotonic(), self._body.received if self._body is not None else 0)
            if not self._holds and not self._transport.is_closing():
                self._transport.resume_reading()

    # ---- serving

    async def _serve(self) -> None:
        """Serve exchanges in order until the connection ends."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._queue:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
            exchange = self._exchange = self._queue.popleft()
            self.phase = SERVING
            if self._holds & _QUEUE and not self._queue:
                self._unhold(_QUEUE)
            try:
                await self._listener.serve(exchange)
            except Exception as bug:  # noqa: BLE001 - without its task the connection would hang
                self._listener.log_bug("connection", bug)
                self._transport.abort()
                return
            self._exchange = None
            if self.phase != SERVING:  # a tunnel's now, or gone
                return
            if not exchange.keep_alive:
                self._finish(exchange)
                return
            self._next(exchange)

    def _next(self, served: Exchange) -> None:
        """Make ready for the next request on this connection."""
        if self._early is not None and served.head.upgrade:  # the upgrade was not taken
            early, self._early = self._early, None
            self._parser = httptools.HttpRequestParser(self)
            self._unhold(_EARLY)
            if early:
                self._wake_less_feed(early)
        if self._queue:
            return
        self._unhold(_QUEUE | _BODY)  # a body that nobody took holds nothing back once its exchange is over
        self.phase = HEAD if self._in_head else IDLE
        self._since = monotonic()

    def _wake_less_feed(self, data: bytes) -> None:
        """Parse bytes from inside the task, which looks at the queue itself afterwards."""
        self._wake = asyncio.get_running_loop().create_future()
        self._feed(data)
        self._wake = None

    def _finish(self, exchange: Exchange) -> None:
        """The last response is written: close, without a reset that could overtake it (RFC 9112, section 9.6)."""
        if exchange.body.complete and exchange.refused is None:
            self.close()
            return
        self._since = monotonic()
        self.phase = LINGERING
        self._deaf = True
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
        limits = self._listener.limits
        waited = now - self._since
        if self.phase == IDLE:
            if waited > limits.keep_alive:
                self.close_when_idle()
        elif self.phase == HEAD:
            if waited > limits.header_timeout and not self._deaf:
                self._refuse(SlowRequest("The request's head did not come in time."))
        elif self.phase == SERVING:
            self._check_serving(now)
        elif self.phase == LINGERING:
            if waited > limits.linger:
                self._transport.abort()
        elif self.phase == CLOSING:
            self._check_reader(now)

    def _check_serving(self, now: float) -> None:
        limits = self._listener.limits
        if self.write_paused:
            self._check_reader(now)
        if self._holds:
            if self._has_left():
                self._transport.abort()
        elif self._body is not None:
            began, received = self._window
            if now - began > limits.body_timeout:
                if self._body.received - received < limits.body_rate * (now - began):
                    self._spoil(SlowRequest("The request's body did not come fast enough."))
                else:
                    self._window = (now, self._body.received)

    def _check_reader(self, now: float) -> None:
        """Cut a client that has not taken a byte of what is waiting for it in a long while."""
        unsent = self._transport.get_write_buffer_size() + self._in_the_system()
        if unsent != self._unsent:
            self._unsent, self._since = unsent, now
        elif now - self._since > self._listener.limits.write_timeout:
            self._transport.abort()

    def _in_the_system(self) -> int:
        """Bytes that the system has taken from us and the client's has not, where that can be told (tcp(7))."""
        sock = self._transport.get_extra_info("socket")
        try:
            return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except (OSError, AttributeError):
            return 0

    def _has_left(self) -> bool:
        """Whether the client has closed a connection that is not being read, where the system can tell."""
        if not hasattr(socket, "TCP_INFO"):
            return False
        sock = self._transport.get_extra_info("socket")
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        return state[0] in (_TCP_CLOSE, _TCP_CLOSE_WAIT)
