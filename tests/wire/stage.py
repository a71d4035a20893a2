"""An origin that the test plays request by request, on whatever connection each comes; clients who ask together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from tests.support.client import Client, Fields
from tests.support.gateway import Gateway
from tests.support.message import Cut, Request, Response
from tests.support.origin import Origin, Upstream, ok
from tests.support.wire import DEADLINE, Ended

CACHE_STATUS = "cache-status"


class Call:
    """One request at the origin, and what the test does with it."""

    def __init__(self, upstream: Upstream, request: Request) -> None:
        self.upstream = upstream
        self.request = request

    def answer(self, body: bytes = b"ok", *lines: bytes, status: bytes = b"200 OK") -> None:
        """A whole response with its length; `lines` are further field lines."""
        if self.request.method == b"HEAD" or status[:3] == b"304":
            fields = b"".join(line + b"\r\n" for line in lines)
            length = b"" if status[:3] == b"304" else b"Content-Length: %d\r\n" % len(body)
            self.send(b"HTTP/1.1 %b\r\n%b%b\r\n" % (status, length, fields))
        else:
            self.send(ok(body, *lines, status=status))

    def begin(self, *lines: bytes, status: bytes = b"200 OK") -> None:
        """The head of a chunked response."""
        fields = b"".join(line + b"\r\n" for line in lines)
        self.send(b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n%b\r\n" % (status, fields))

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self.send(b"0\r\n\r\n")

    def send(self, data: bytes) -> None:
        self.upstream.send(data)

    def reset(self) -> None:
        self.upstream.wire.reset()

    async def gone(self, within: float = DEADLINE) -> str:
        """Wait until the gateway has given the connection up."""
        return await self.upstream.gone(within)


class Stage:
    """Hands each request to the test as it comes."""

    def __init__(self, origin: Origin) -> None:
        self.calls: list[Call] = []
        self._origin = origin
        self._waiting: deque[Call] = deque()
        self._came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Stage:
        self._origin.hold()
        self._start(self._connections())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        failed = [one for one in await asyncio.gather(*self._tasks, return_exceptions=True) if one is not None]
        failed = [one for one in failed if not isinstance(one, asyncio.CancelledError)]
        assert not failed, failed

    @property
    def count(self) -> int:
        """How many requests have come."""
        return len(self.calls)

    async def call(self, within: float = DEADLINE) -> Call:
        """The next request."""
        try:
            async with asyncio.timeout(within):
                while not self._waiting:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"no further request came to the origin in {within} s, after {self.count}") from None
        return self._waiting.popleft()

    async def nothing_more(self, seconds: float = 0.05) -> None:
        """No further request comes for a while."""
        await asyncio.sleep(seconds)
        assert not self._waiting, f"asked again for {self._waiting[0].request.target!r}"

    def _start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self._tasks.add(asyncio.create_task(work))

    async def _connections(self) -> None:
        while True:
            self._start(self._read(await self._origin.accept(3600)))

    async def _read(self, upstream: Upstream) -> None:
        wire = upstream.wire
        with contextlib.suppress(Ended, Cut):
            while True:
                await wire.wait(lambda: bool(wire.unread or wire.ended or wire.closed), "a request", 3600)
                call = Call(upstream, await upstream.request())
                self.calls.append(call)
                self._waiting.append(call)
                self._came.set()


@contextlib.asynccontextmanager
async def crowd(gateway: Gateway, count: int, *, receive_buffer: int | None = None) -> AsyncIterator[list[Client]]:
    """So many clients, each with a connection to ingress."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await Client.connect(gateway.ingress, receive_buffer=receive_buffer)
            clients.append(await stack.enter_async_context(client))
        yield clients


def ask(clients: list[Client], target: str, fields: Fields = (), method: str = "GET") -> None:
    """Have all ask for the same."""
    for client in clients:
        client.ask(method, target, fields)


async def answers(clients: list[Client], method: str = "GET") -> list[Response]:
    """What each is answered with, whole."""
    return list(await asyncio.gather(*(client.response(method) for client in clients)))


def told(response: Response) -> str:
    """What the cache says of a response."""
    return (response.value(CACHE_STATUS) or b"").decode()


async def heads(clients: list[Client]) -> list[Response]:
    """The head of each one's answer."""
    return list(await asyncio.gather(*(client.response_head() for client in clients)))


async def joined(gateway: Gateway, count: int) -> None:
    """Wait until so many requests are in flight in the gateway."""
    await gateway.metric_is(count, "gateway_in_flight", scope="listener", name="ingress")


async def led(gateway: Gateway, stage: Stage, clients: list[Client], target: str) -> Call:
    """All ask for the same, the first one first; the one request that comes of it."""
    ask(clients[:1], target)
    call = await stage.call()
    ask(clients[1:], target)
    await joined(gateway, len(clients))
    return call


class Asking:
    """One client, and the origin behind."""

    def __init__(self, client: Client, stage: Stage) -> None:
        self.client = client
        self.stage = stage

    async def miss(self, target: str, *lines: bytes, body: bytes = b"ok", **how: Any) -> tuple[Call, Response]:
        """Ask, and have the origin answer."""
        status = how.pop("status", b"200 OK")
        method = how.pop("method", "GET")
        self.client.ask(method, target, **how)
        call = await self.stage.call()
        call.answer(body, *lines, status=status)
        return call, await self.client.response(method)

    async def hit(self, target: str, method: str = "GET", **how: Any) -> Response:
        """Ask, and be answered without the origin."""
        before = self.stage.count
        response = await self.client.request(method, target, **how)
        assert self.stage.count == before, "the origin was asked"
        return response
