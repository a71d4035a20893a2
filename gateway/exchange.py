"""One request's life: what came in, what it holds, its reply, and what must happen at its end.

An exchange speaks raw bytes. The listener makes it, the pipeline fills it in, and whoever takes something for
it (a slot, a permit, a gauge) registers the giving back with `at_end`, which runs exactly once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from sys import maxsize
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from gateway.errors import GatewayError
    from gateway.rules.field_lines import Pieces
    from gateway.rules.request_head import RequestHead

#: Header fields as they stand on the wire: order, case and repetition kept.
Fields = list[tuple[bytes, bytes]]

#: Request body bytes held while there is nobody to take them; past it the client is no longer read.
BODY_BUFFER = 64 * 1024


@dataclass(slots=True)
class Reply:
    """A whole response that the gateway itself makes."""

    status: int
    headers: Fields = field(default_factory=list)
    body: bytes = b""
    error: str = ""


class BodySink(Protocol):
    """Takes a body as it comes."""

    def chunk(self, data: bytes) -> None:
        """Take some bytes of the body."""

    def end(self, trailers: Fields) -> None:
        """Take note that the body is whole."""


class Source(Protocol):
    """Where bytes come from; told to hold back while nobody can take them."""

    def pause_reading(self) -> None:
        """Stop reading from the socket."""

    def resume_reading(self) -> None:
        """Go on reading from the socket."""


class Client(Protocol):
    """The client's side of an exchange, as the pipeline and the upstream side see it."""

    #: True while the client takes bytes more slowly than we have them.
    write_paused: bool
    #: Who is asked to hold back while `write_paused`.
    source: Source | None

    @property
    def draining(self) -> bool:
        """Whether responses must tell the client to go elsewhere."""

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""

    def close(self) -> None:
        """Close the connection once what is written has gone out."""

    def cut(self) -> None:
        """Close the connection at once, so that a broken body never looks whole."""

    async def drained(self) -> None:
        """Wait until the client has taken nearly everything written."""

    def into_tunnel(self) -> tuple[asyncio.Transport, asyncio.Protocol, bytes]:
        """Give up the transport to a tunnel: it, who is to hear of its loss, and the bytes that came too early."""


class Carrier(Protocol):
    """Carries bytes both ways, and counts them."""

    @property
    def bytes_in(self) -> int:
        """Bytes that came from the client."""

    @property
    def bytes_out(self) -> int:
        """Bytes that came from the upstream."""


class RequestBody:
    """A request's body on its way from the client to whoever takes it.

    Until a sink is attached, at most `BODY_BUFFER` bytes (and what one read brought) wait here.
    """

    __slots__ = (
        "_copy",
        "_copy_size",
        "_excess",
        "_limit",
        "_parts",
        "_sink",
        "_size",
        "complete",
        "error",
        "received",
        "source",
    )

    def __init__(self, source: Source | None) -> None:
        self.source = source
        self.complete = source is None
        self.received = 0
        #: Why the rest of the body will never come, though the client is still there.
        self.error: GatewayError | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._sink: BodySink | None = None
        # What has gone to the sink, while a second sink may need it again.
        self._copy: list[bytes] | None = None
        self._copy_size = 0
        self._limit = maxsize
        self._excess: Callable[[], GatewayError] | None = None

    def bound(self, limit: int, excess: Callable[[], GatewayError]) -> None:
        """Take no more than `limit` bytes in all; `excess` makes what is wrong when more come."""
        if limit < self._limit:
            self._limit, self._excess = limit, excess

    def feed(self, data: bytes) -> None:
        """Take what the client sent. Raises what is wrong, and passes nothing on, when that is more than may come."""
        self.received += len(data)
        if self.received > self._limit and self._excess is not None:
            raise self._excess()
        if self._sink is not None:
            if self._copy is not None:
                self._remember(data)
            self._sink.chunk(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size > BODY_BUFFER and self.source is not None:
            self.source.pause_reading()

    def finish(self) -> None:
        """Take note that the client has sent all."""
        self.complete = True
        if self._sink is not None:
            self._sink.end([])

    def fail(self, error: GatewayError) -> None:
        """Take note that the rest will not come: it is malformed, or comes too slowly."""
        self.error = error

    def attach(self, sink: BodySink) -> None:
        """Send what is here, and what still comes, to `sink`."""
        self._sink = sink
        parts, self._parts, self._size = self._parts, [], 0
        if not self.complete and self.source is not None:
            self.source.resume_reading()  # before the sink has a chance to hold back
        for part in parts:
            if self._copy is not None:
                self._remember(part)
            sink.chunk(part)
        if self.complete:
            sink.end([])

    def keep_copy(self) -> None:
        """From here on, be ready to send the body once more, as long as it is small."""
        if self._copy is None and self._sink is None and self.source is not None:
            self._copy = []

    def rewind(self) -> bool:
        """Make ready for another sink from the first byte on; False when that cannot be done."""
        if self.source is None or self._sink is None:
            return True
        if self._copy is None:
            return False
        self._parts, self._size = self._copy, self._copy_size
        self._copy, self._copy_size = None, 0
        self._sink = None
        return True

    def _remember(self, data: bytes) -> None:
        self._copy_size += len(data)
        if self._copy_size > BODY_BUFFER:
            self._copy = None
        elif self._copy is not None:
            self._copy.append(data)

    def discard(self) -> None:
        """Forget what is here and whatever still comes."""
        self._parts, self._size = [], 0
        self._sink = NOWHERE
        if self.source is not None:
            self.source.resume_reading()


#: The body of a request that has none.
NO_BODY = RequestBody(None)


class _Nowhere:
    """A sink that forgets."""

    def chunk(self, data: bytes) -> None:
        pass

    def end(self, trailers: Fields) -> None:
        pass


NOWHERE = _Nowhere()


class Exchange:
    """One request and its response. Times are monotonic seconds, sizes bytes of body."""

    __slots__ = (
        "_at_end",
        "added",
        "asked",
        "body",
        "bytes_out",
        "cached",
        "client",
        "client_side",
        "continued",
        "correlation_id",
        "early",
        "edit",
        "error",
        "failure",
        "flags",
        "head",
        "held",
        "host",
        "keep_alive",
        "listener",
        "path",
        "patience",
        "peer",
        "proto",
        "query",
        "refund",
        "refused",
        "responded",
        "route",
        "stamp",
        "started",
        "status",
        "streams",
        "trace_id",
        "tunnel",
        "tunnelled_in",
        "until_close",
        "upstream",
        "upstream_seconds",
        "waits_at",
    )

    def __init__(
        self,
        listener: str,
        head: RequestHead,
        body: RequestBody,
        client_side: Client,
        peer: str,
        started: float,
    ) -> None:
        self.listener = listener
        self.head = head
        self.body = body
        self.client_side = client_side
        self.peer = peer
        self.started = started
        #: The client's address; the peer's unless a trusted proxy says otherwise.
        self.client = peer
        #: Path and query to forward.
        self.path = head.path
        self.query = head.query
        #: What the client calls us, and by which scheme; for X-Forwarded-Host and -Proto.
        self.host = head.host
        self.proto = b"http"
        #: Whether the connection may carry another request behind this one.
        self.keep_alive = head.keep_alive
        #: Set by the listener on what could not become a request.
        self.refused: GatewayError | None = None
        self.correlation_id = ""
        #: Lines that every response to this exchange gets, ours too: the correlation id, and what gates add.
        self.stamp = b""
        #: Changes the fields of the response, whoever makes it, before it goes out.
        self.edit: Callable[[Pieces], Pieces] | None = None
        #: Until when it waits for the shared state, on the monotonic clock; 0 until it first does.
        self.patience = 0.0
        #: Takes back what rate rules were charged, when something else refuses the exchange after they let it pass.
        self.refund: Callable[[], None] | None = None
        #: The id of the trace that it is part of; empty for what has none.
        self.trace_id = ""
        #: Header lines to add to the request on its way to the upstream.
        self.added: list[bytes] = []
        self.route: Any = None
        #: What is to be refused, or has been.
        self.failure: GatewayError | None = None
        #: The place of the gate that has to wait; -1 for none.
        self.waits_at = -1
        #: What that gate keeps from its `check` for its `wait`.
        self.held: Any = None
        #: What flags have read of the request and said to it; None until one is asked.
        self.flags: Any = None
        #: What the route's cache has made of the request.
        self.asked: Any = None
        #: What has become of it there, for the log; empty where there is no cache.
        self.cached = ""
        self.upstream = ""
        self.upstream_seconds = 0.0
        #: It may have been held for an upstream that was still starting: how long it took says nothing of that one.
        self.early = False
        #: The upstream has asked for the request's body (100 Continue).
        self.continued = False
        #: True once a byte of the final response has gone to the client.
        self.responded = False
        self.status = 0
        #: The response's body ends where the connection does, so that a closed one would look whole.
        self.until_close = False
        #: The response is an event stream: it may last.
        self.streams = False
        self.bytes_out = 0
        self.tunnelled_in = 0
        #: What carries bytes now, after a 101; it counts its own.
        self.tunnel: Carrier | None = None
        #: Why the exchange did not end well, as a short slug; empty when it did.
        self.error = ""
        self._at_end: list[Callable[[], None]] | None = None

    def patience_left(self, patience: float, now: float) -> float:
        """How many seconds it still waits for the shared state: all its questions together get `patience`."""
        if not self.patience:
            self.patience = now + patience
        return self.patience - now

    @property
    def method(self) -> bytes:
        """The request's method, as sent."""
        return self.head.method

    @property
    def http10(self) -> bool:
        """True when the client speaks HTTP/1.0."""
        return self.head.http10

    @property
    def bytes_in(self) -> int:
        """Bytes that came: of the request's body, or through the tunnel that is over."""
        return self.body.received + self.tunnelled_in

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes that have come and gone so far, of a tunnel too."""
        tunnel = self.tunnel
        if tunnel is None:
            return self.bytes_in, self.bytes_out
        return self.bytes_in + tunnel.bytes_in, self.bytes_out + tunnel.bytes_out

    def at_end(self, give_back: Callable[[], None]) -> None:
        """Have `give_back` called exactly once when this exchange is over, however it ends."""
        if self._at_end is None:
            self._at_end = [give_back]
        else:
            self._at_end.append(give_back)

    def end(self) -> None:
        """Run what `at_end` was given, last taken first."""
        callbacks, self._at_end = self._at_end, None
        if callbacks is None:
            return
        failed: BaseException | None = None
        while callbacks:
            try:
                callbacks.pop()()
            except BaseException as error:  # noqa: BLE001 - each is run, whatever another raises
                failed = error
        if failed is not None:
            raise failed
