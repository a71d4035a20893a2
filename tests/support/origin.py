"""A scripted origin: answers by itself, or hands each connection to the test, and keeps the exact bytes it saw.

By itself it reads strictly parsed requests and sends what `answer` makes of each (None resets the connection). Under
hold() the test plays the server: `accept()` gives the next connection. Whatever it cannot read in exactly one way is
kept in `violations`, and the fixture fails the test for it.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType

from tests.support.message import Body, Cut, Malformed, Request, read_request_head, request_body
from tests.support.wire import DEADLINE, Ended, Wire

Answer = Callable[[Request], "bytes | Awaitable[bytes | None] | None"]


def ok(body: bytes = b"ok", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A sized HTTP/1.1 response as bytes; `lines` are further field lines."""
    fields = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), fields, body)


def echo(request: Request) -> bytes:
    """The default answer: says which request it answers, so that answers cannot be mixed up unseen."""
    if request.method == b"HEAD":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answers: %b\r\n\r\n" % request.target
    return ok(b"ok", b"X-Answers: " + request.target)


class Upstream:
    """One connection that the gateway made, from the origin's end."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.requests: list[Request] = []  # heads read, the last one perhaps without its whole body

    @property
    def received(self) -> bytes:
        return bytes(self.wire.received)

    async def head(self, within: float = DEADLINE) -> Request:
        request = await read_request_head(self.wire, within)
        self.requests.append(request)
        return request

    def body(self, request: Request) -> Body:
        return request_body(self.wire, request)

    async def request(self, within: float = DEADLINE) -> Request:
        """The next request, whole. Raises Ended, Cut, Malformed."""
        request = await self.head(within)
        await self.body(request).rest(within)
        return request

    def send(self, data: bytes) -> None:
        self.wire.send(data)

    async def gone(self, within: float = DEADLINE) -> str:
        """Wait until the gateway has ended the connection: "fin" or "reset"."""
        return await self.wire.end(within)


def listen(backlog: int = 1024) -> socket.socket:
    """A listening socket on a free port of loopback."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    return sock


class Origin:
    """A server on loopback. Use as a context manager; `listener` may outlive it, so that its port stays."""

    def __init__(self, listener: socket.socket | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._own = listener is None
        self._listener = listener or listen()
        self._tls = tls
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.connections: list[Upstream] = []
        self.answer: Answer = echo
        self.violations: list[str] = []
        self.unfinished: list[Request] = []  # requests whose body never ended
        self._held: asyncio.Queue[Upstream] | None = None
        self._served_by_itself: set[Upstream] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.address[0]}:{self.address[1]}"

    @property
    def requests(self) -> list[Request]:
        """Every request head read, over all connections in the order these were made."""
        return [request for upstream in self.connections for request in upstream.requests]

    async def __aenter__(self) -> Origin:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        self._turn_away()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._made), sock=self._listener.dup(), ssl=self._tls)

    def _turn_away(self) -> None:
        """Close what came to the port while nobody served it: it belongs to no test."""
        self._listener.setblocking(False)
        while True:
            try:
                self._listener.accept()[0].close()
            except BlockingIOError:
                return

    def hold(self) -> None:
        """From now on new connections wait for accept()."""
        self._held = asyncio.Queue()

    def serve(self) -> None:
        """From now on `answer` answers again, on the connections that were held too."""
        if self._held is not None:
            self._held = None
            for upstream in self.connections:
                if not upstream.wire.closed and upstream not in self._served_by_itself:
                    self._serve_soon(upstream)

    async def accept(self, within: float = DEADLINE) -> Upstream:
        """The next connection under hold()."""
        assert self._held is not None, "hold() first"
        try:
            async with asyncio.timeout(within):
                return await self._held.get()
        except TimeoutError:
            raise AssertionError(f"no connection came to the origin in {within} s") from None

    async def request(self, within: float = DEADLINE) -> tuple[Upstream, Request]:
        """The next connection under hold(), and the first request on it, whole."""
        upstream = await self.accept(within)
        return upstream, await upstream.request(within)

    def _made(self, wire: Wire) -> None:
        upstream = Upstream(wire)
        self.connections.append(upstream)
        if self._held is not None:
            self._held.put_nowait(upstream)
            return
        self._serve_soon(upstream)

    def _serve_soon(self, upstream: Upstream) -> None:
        self._served_by_itself.add(upstream)
        task = asyncio.get_running_loop().create_task(self._serve(upstream))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.violations.append(repr(exc))

    async def _serve(self, upstream: Upstream) -> None:
        wire = upstream.wire
        while True:
            await wire.wait(lambda: bool(wire.unread or wire.ended or wire.closed), "a request", 3600)
            if not wire.unread:
                wire.close()
                return
            try:
                request = await upstream.request()
                answer = self.answer(request)
                answer = await answer if inspect.isawaitable(answer) else answer
            except Malformed as exc:
                self.violations.append(f"{exc} in {upstream.received[-500:]!r}")
                wire.reset()
                return
            except (Ended, Cut):
                if upstream.requests:
                    self.unfinished.append(upstream.requests[-1])
                wire.close()
                return
            if answer is None:
                wire.reset()
                return
            upstream.send(answer)
            if request.closes:
                wire.close()
                return

    async def settle(self, within: float = DEADLINE) -> None:
        """End every connection and wait until the gateway has let go of each: none is leaked, none is stale."""
        for upstream in self.connections:
            if not upstream.wire.closed:
                upstream.wire.resume()
                upstream.wire.half_close() if self._tls is None else upstream.wire.close()
        for upstream in self.connections:
            wire = upstream.wire
            await wire.wait(lambda wire=wire: bool(wire.ended or wire.closed), "the gateway to let go", within)  # type: ignore[misc]
            wire.close()

    async def stop(self, *, settle: bool = True) -> None:
        """Stop listening and end every connection. Without `settle`, with a reset each: a killed server."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._own:
            self._listener.close()
        try:
            if settle:
                await self.settle()
        finally:
            for upstream in self.connections:
                upstream.wire.reset()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)
