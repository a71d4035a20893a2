"""An aiohttp application served within bounds: connections, time to send a head, time to take an answer.

aiohttp itself bounds the head's size and an idle connection's life; it would wait for ever for a reader that does
not read, answers errors in plain text and logs a traceback for what a client got wrong. All that ends here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

import orjson
from aiohttp import web

#: Seconds for a connection's first head to be whole.
HEAD_TIMEOUT = 10.0
#: Seconds from a request's head to the last byte of its answer taken.
EXCHANGE_TIMEOUT = 30.0
#: Seconds between requests; more than the minute that some scrape at.
KEEP_ALIVE = 75.0
#: Seconds for which a body that nobody wants is read, so that its sender sees the answer and not a reset.
LINGER = 1.0
#: Seconds for requests under way when the server stops.
STOP_TIMEOUT = 1.0
#: aiohttp would tell its own version and Python's.
_ON_ALL = {"Cache-Control": "no-store", "Server": "gateway"}

#: Where a request keeps whether its body was read.
_READ = web.RequestKey("body_was_read", bool)

_logger = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def problem(
    status: int, detail: str, headers: dict[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> web.Response:
    """An error as RFC 9457 has it. `detail` is ours, and never repeats what the client sent.

    `errors`, where there are several, says of each what is wrong where (section 3's example of an extension).
    """
    title = HTTPStatus(status).phrase
    said: dict[str, object] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if errors:
        said["errors"] = errors
    return web.Response(
        status=status, body=orjson.dumps(said), content_type="application/problem+json", headers=headers
    )


async def read_body(request: web.Request, most: int) -> bytes | None:
    """A request's body; None when it has more than `most` bytes. Its time is within that of the exchange.

    Whoever waits for a 100 (RFC 9110, section 10.1.1) gets it here, when the body is wanted indeed.
    """
    length = request.content_length
    if length is not None and length > most:
        return None
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > most:
            return None
    request[_READ] = True
    return bytes(body)


class BoundedServer:
    """Serves handlers, which take no request body but by `read_body`. `connections` is how many clients it serves."""

    def __init__(self, app: web.Application, connections: int) -> None:
        app.middlewares.append(_within_bounds)
        self._runner = web.AppRunner(app, shutdown_timeout=STOP_TIMEOUT, handler_cancellation=True)
        self._limit = connections
        self._server: asyncio.Server | None = None
        self.transports: set[asyncio.Transport] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; gives the address in use, which with port 0 the system chose. Raises OSError when it is taken."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._accept, host or None, port, backlog=128)
        except OSError:
            await self._runner.cleanup()
            raise
        address = self._server.sockets[0].getsockname()
        return address[0], address[1]

    async def stop(self) -> None:
        """Stop listening, give requests under way a second, close every connection."""
        if self._server is None:
            return
        self._server.close()
        await self._runner.cleanup()
        for transport in self.transports:
            transport.abort()
        await self._server.wait_closed()
        self._server = None

    def _accept(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(self.transports) >= self._limit:
            return _Crowded()
        return _Connection(self, server)


class _Connection(web.RequestHandler):
    """aiohttp's connection. Made here, because `web.Server` drops all options when it does not know one."""

    __slots__ = ("_bounds", "_head_timer", "_raw")

    def __init__(self, bounds: BoundedServer, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp says "no access log"
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=LINGER,
            auto_decompress=False,
        )
        self._bounds = bounds
        self._raw: asyncio.Transport | None = None
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._raw = transport = cast("asyncio.Transport", transport)
        self._bounds.transports.add(transport)
        # Nothing may wait in the transport's own buffer: "written" then means that the client's side has it, so
        # that the time for an exchange holds for slow readers, and that closing does not wait for them either.
        transport.set_write_buffer_limits(high=0)
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.head_is_here()
        if self._raw is not None:
            self._bounds.transports.discard(self._raw)
        super().connection_lost(exc)

    def head_is_here(self) -> None:
        """The first request has come; from now on the exchange's and the idle time count."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def cut(self) -> None:
        """Close without waiting for what the client has not taken."""
        if self._raw is not None:
            self._raw.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - aiohttp's signature
        message: str | None = None,  # noqa: ARG002 - it quotes the client, so it is not repeated
    ) -> web.StreamResponse:
        """Answer what aiohttp could not read, without a word in the log."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun; there cannot be another")
        detail = "This is not an HTTP request that is understood here." if status < 500 else "A fault of ours."
        response = problem(status, detail, _ON_ALL)
        response.force_close()
        return response


class _Crowded(asyncio.Protocol):
    """What a client meets when there are too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        crowded = cast("asyncio.Transport", transport)
        body = b'{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Too many connections."}'
        head = (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        crowded.write(head + body)
        crowded.close()


@web.middleware
async def _within_bounds(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer, and see the answer out, within the time for an exchange."""
    connection = cast("_Connection", request.protocol)
    connection.head_is_here()
    response: web.StreamResponse = problem(503, "No answer in time.")
    try:
        async with asyncio.timeout(EXCHANGE_TIMEOUT):
            response = await _answer(request, handler)
            response.headers.update(_ON_ALL)
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        connection.cut()
    return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = problem(error.status, "")
    except Exception:
        _logger.exception("a handler failed")
        response = problem(500, "A fault of ours.")
    if request.body_exists and not request.get(_READ):
        response.force_close()  # so that the rest of the body is not waited for
    return response
