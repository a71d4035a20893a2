"""One request's life: what came in, what it holds, its reply, and what must happen at its end.

An exchange speaks raw bytes. The listener makes it, the pipeline fills it in, and whoever takes something for
it (a slot, a permit, a gauge) registers the giving back with `at_end`, which runs exactly once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gateway.rules.request_head import RequestHead
    from gateway.rules.trace_context import Trace

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

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""

    def cut(self) -> None:
        """Close the connection at once, so that a broken body never looks whole."""

    async def drained(self) -> None:
        """Wait until the client has taken nearly everything written."""

    def into_tunnel(self) -> tuple[Any, bytes]:
        """Give up the transport to a tunnel: the transport and the bytes that came too early."""


class RequestBody:
    """A request's body on its way from the client to whoever takes it.

    Until a sink is attached, at most `BODY_BUFFER` bytes (and what one read brought) wait here.
    """

    __slots__ = ("_parts", "_sink", "_size", "complete", "received", "source")

    def __init__(self, source: Source | None) -> None:
        self.source = source
        self.complete = source is None
        self.received = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._sink: BodySink | None = None

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        self.received += len(data)
        if self._sink is not None:
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

    def attach(self, sink: BodySink) -> None:
        """Send what is here, and what still comes, to `sink`."""
        self._sink = sink
        parts, self._parts, self._size = self._parts, [], 0
        for part in parts:
            sink.chunk(part)
        if self.complete:
            sink.end([])
        elif self.source is not None:
            self.source.resume_reading()

    def detach(self) -> None:
        """Take no more: what still comes waits here again, and the client is held back."""
        self._sink = None

    def discard(self) -> None:
        """Forget what is here and whatever still comes."""
        self._parts, self._size = [], 0
        self._sink = NOWHERE
        if self.source is not None:
            self.source.resume_reading()


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
        "body",
        "bytes_out",
        "client",
        "client_side",
        "correlation_id",
        "error",
        "head",
        "host",
        "listener",
        "path",
        "peer",
        "proto",
        "query",
        "responded",
        "route",
        "started",
        "status",
        "trace",
        "upstream",
        "upstream_seconds",
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
        self.correlation_id = ""
        self.trace: Trace | None = None
        self.route: Any = None
        self.upstream = ""
        self.upstream_seconds = 0.0
        #: True once a byte of the final response has gone to the client.
        self.responded = False
        self.status = 0
        self.bytes_out = 0
        #: Why the exchange did not end well, as a short slug; empty when it did.
        self.error = ""
        self._at_end: list[Callable[[], None]] | None = None

    @property
    def method(self) -> bytes:
        """The request's method, as sent."""
        return self.head.method

    @property
    def http10(self) -> bool:
        """True when the client speaks HTTP/1.0."""
        return self.head.http10

    @property
    def headers(self) -> Fields:
        """The request's header fields, as sent."""
        return self.head.fields

    @property
    def bytes_in(self) -> int:
        """Bytes of the request's body that came."""
        return self.body.received

    def at_end(self, give_back: Callable[[], None]) -> None:
        """Have `give_back` called exactly once when this exchange is over, however it ends."""
        if self._at_end is None:
            self._at_end = [give_back]
        else:
            self._at_end.append(give_back)

    def end(self) -> None:
        """Run what `at_end` was given, last taken first."""
        if self._at_end is not None:
            callbacks, self._at_end = self._at_end, None
            for give_back in reversed(callbacks):
                give_back()
