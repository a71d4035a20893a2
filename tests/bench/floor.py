"""The floor of the bench: what aiohttp's `web.Server` in front of a pool of llhttp connections costs at least.

It forwards GET requests and answers of a stated length, and does nothing else: no timeouts, backpressure or error
handling, no request id, breaker or metrics. What a proxy cannot leave out it does: both heads are parsed, hop-by-hop
fields stay here, both connections stay open. What the gateway costs above it is the price of what the gateway adds.

    python -m tests.bench.floor PORT ORIGIN_PORT
"""

import asyncio
import gc
import signal
import sys
from typing import Any

import httptools
import uvloop
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


class Request:
    """The least that `web.RequestHandler` asks of a request; the factory of `web.Server` makes it."""

    __slots__ = ("_task", "message", "protocol")

    def __init__(self, message: RawRequestMessage, protocol: Any) -> None:
        self.message = message
        self.protocol = protocol

    def _finish(self) -> None:
        pass

    def _cancel(self, exc: BaseException) -> None:
        pass


class Written:
    """The answer that the handler returns: its bytes are already with the client's transport."""

    __slots__ = ()
    keep_alive = True

    async def prepare(self, _request: Request) -> None:
        pass

    async def write_eof(self) -> None:
        pass


WRITTEN = Written()


class Upstream(asyncio.Protocol):
    """A connection to the origin: one request at a time, back into the pool when its response is whole."""

    def __init__(self, pool: list["Upstream"], loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.loop = loop
        self.parser = httptools.HttpResponseParser(self)
        self.data_received = self.parser.feed_data  # type: ignore[method-assign]  # no frame of ours between
        self.head: list[bytes] = [b""]
        self.body: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.pool:
            self.pool.remove(self)
        elif not self.done.done():
            self.done.set_exception(exc or ConnectionResetError())

    def send(self, request: Request) -> asyncio.Future[Written]:
        message = request.message
        head = [f"GET {message.path} HTTP/1.1\r\n".encode()]
        for name, value in message.raw_headers:
            if name.lower() not in HOP_BY_HOP:
                head += (name, b": ", value, b"\r\n")
        head.append(b"\r\n")
        self.client = request.protocol.transport
        self.done = self.loop.create_future()
        self.transport.write(b"".join(head))
        return self.done

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in HOP_BY_HOP:
            self.head += (name, b": ", value, b"\r\n")

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        head, body = self.head, self.body
        head[0] = b"HTTP/1.1 %d \r\n" % self.parser.get_status_code()
        head.append(b"\r\n")
        self.client.write(b"".join(head + body))
        del head[1:], body[:]
        self.pool.append(self)
        self.done.set_result(WRITTEN)


async def serve(port: int, origin_port: int) -> None:
    """Forward from `port` to `origin_port`, both on loopback, until SIGTERM."""
    loop = asyncio.get_running_loop()
    pool: list[Upstream] = []

    async def connect(request: Request) -> Written:
        _, upstream = await loop.create_connection(lambda: Upstream(pool, loop), "127.0.0.1", origin_port)
        return await upstream.send(request)

    def forward(request: Request) -> Any:
        return pool.pop().send(request) if pool else connect(request)

    def make_request(message: RawRequestMessage, _payload: Any, protocol: Any, _writer: Any, _task: Any) -> Any:
        return Request(message, protocol)

    server = web.Server(forward, request_factory=make_request, access_log=None)  # type: ignore[arg-type]
    await loop.create_server(server, "127.0.0.1", port, backlog=4096)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
