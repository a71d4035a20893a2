"""What a client that is slow, crowded or talking nonsense meets, over raw sockets, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop
from aiohttp import web

from gateway.listeners import bounded_server
from gateway.listeners.bounded_server import BoundedServer, problem, read_body

Test = Callable[["_Served"], Awaitable[None]]
Run = Callable[..., None]
BIG = b"x" * (8 * 1024 * 1024)


class _Served:
    """A server of a page of two bytes, one of 8 MiB, and one that comes when it is let go."""

    def __init__(self, connections: int) -> None:
        app = web.Application()
        app.router.add_get("/", self._small)
        app.router.add_get("/big", self._big)
        app.router.add_get("/held", self._held)
        app.router.add_post("/body", self._body)
        self.server = BoundedServer(app, connections)
        self.go = asyncio.Event()
        self.held = 0
        self.address = ("", 0)

    async def _small(self, _: web.Request) -> web.Response:
        return web.Response(body=b"ok")

    async def _big(self, _: web.Request) -> web.Response:
        return web.Response(body=BIG)

    async def _held(self, _: web.Request) -> web.Response:
        self.held += 1
        try:
            await self.go.wait()
        finally:
            self.held -= 1
        return web.Response(body=b"late")

    async def _body(self, request: web.Request) -> web.Response:
        body = await read_body(request, 10)
        return problem(413, "") if body is None else web.Response(body=body)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def talk(self, data: bytes) -> bytes:
        """Send, and read until the server closes."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await _rest(reader)
        writer.close()
        return answer

    async def settle(self, open_connections: int) -> None:
        async with asyncio.timeout(10):
            while len(self.server.transports) != open_connections:
                await asyncio.sleep(0.01)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    data = b""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            while part := await reader.read(65536):
                data += part
    return data


def _get(path: str = "/", fields: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


@contextlib.asynccontextmanager
async def _serving(connections: int = 64) -> AsyncIterator[_Served]:
    served = _Served(connections)
    served.address = await served.server.start("127.0.0.1", 0)
    try:
        yield served
    finally:
        await served.server.stop()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine with a server, on one of the event loops."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(test: Test, connections: int = 64) -> None:
        async def main() -> None:
            async with _serving(connections) as served:
                await test(served)

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    return run


def _problem(answer: bytes, status: int) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    # aiohttp answers what it cannot read as it would a client of HTTP/1.0.
    assert re.match(rb"HTTP/1\.[01] %d " % status, head), answer[:200]
    assert b"Content-Type: application/problem+json" in head
    assert b"aiohttp" not in head
    problem: dict[str, object] = json.loads(body)
    assert problem["status"] == status
    return problem


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\nBroken\xff\x00 header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Secret-Of-Client: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"WHATEVER\r\n\r\n",
    ],
)
def test_nonsense_is_a_400_without_a_word_in_the_log(
    run: Run, nonsense: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(served: _Served) -> None:
        problem = _problem(await served.talk(nonsense), 400)
        assert problem["detail"] == "This is not an HTTP request that is understood here."
        await served.settle(0)

    run(test)
    assert not caplog.records


def test_pages_on_one_connection(run: Run) -> None:
    async def test(served: _Served) -> None:
        answer = await served.talk(_get() + _get() + _get("/", "Connection: close\r\n"))
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3

    run(test)


def test_paths_that_are_not_there_are_problems(run: Run) -> None:
    async def test(served: _Served) -> None:
        _problem(await served.talk(_get("/nope", "Connection: close\r\n")), 404)

    run(test)


def test_a_body_is_not_waited_for(run: Run) -> None:
    async def test(served: _Served) -> None:
        begun = time.monotonic()
        answer = await served.talk(_get("/", "Content-Length: 1000000\r\n") + b"x" * 1000)
        assert b"\r\nConnection: close\r\n" in answer
        assert time.monotonic() - begun < 3 * bounded_server.LINGER

    run(test)


def _post(length: int, fields: str = "") -> bytes:
    return f"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n".encode()


def test_a_body_that_is_read_leaves_the_connection_open(run: Run) -> None:
    async def test(served: _Served) -> None:
        last = _post(10, "Connection: close\r\n") + b"0123456789"
        answer = await served.talk(_post(3) + b"abc" + _post(0) + last)
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
        assert answer.endswith(b"0123456789")

    run(test)


def test_a_body_past_its_bound_is_not_read(run: Run) -> None:
    async def test(served: _Served) -> None:
        answer = await served.talk(_post(11) + b"0123456789a")
        assert b"\r\nConnection: close\r\n" in answer
        _problem(answer, 413)

    run(test)


def test_a_body_that_does_not_come_is_not_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_server, "EXCHANGE_TIMEOUT", 0.3)

    async def test(served: _Served) -> None:
        assert await served.talk(_post(10) + b"01234") == b""
        await served.settle(0)

    run(test)


def test_clients_past_the_limit_are_told_so(run: Run) -> None:
    async def test(served: _Served) -> None:
        first = [await served.connect() for _ in range(2)]
        await served.settle(2)
        reader, writer = await served.connect()
        _problem(await _rest(reader), 503)
        writer.close()
        first[0][1].close()
        await served.settle(1)
        assert b" 200 OK" in await served.talk(_get("/", "Connection: close\r\n"))
        first[1][1].close()

    run(test, connections=2)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-"])
def test_a_head_that_does_not_come_is_not_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(bounded_server, "HEAD_TIMEOUT", 0.2)

    async def test(served: _Served) -> None:
        assert await served.talk(begun) == b""
        await served.settle(0)

    run(test)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-"])
def test_an_idle_connection_is_closed(run: Run, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(bounded_server, "KEEP_ALIVE", 0.3)

    async def test(served: _Served) -> None:
        answer = await served.talk(_get() + begun)
        assert answer.endswith(b"ok")
        await served.settle(0)

    run(test)


def test_the_time_for_the_head_does_not_end_a_connection_in_use(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_server, "HEAD_TIMEOUT", 0.2)

    async def test(served: _Served) -> None:
        reader, writer = await served.connect()
        writer.write(_get())
        await reader.readuntil(b"ok")
        await asyncio.sleep(0.4)
        writer.write(_get())
        await reader.readuntil(b"ok")
        writer.close()

    run(test)


def test_a_reader_that_does_not_read_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_server, "EXCHANGE_TIMEOUT", 0.5)

    async def test(served: _Served) -> None:
        sock = socket.create_connection(served.address)
        sock.sendall(_get("/big"))
        await served.settle(1)
        await served.settle(0)
        sock.close()

    run(test)


def test_a_slow_reader_gets_all_in_its_time(run: Run) -> None:
    async def test(served: _Served) -> None:
        reader, writer = await served.connect()
        writer.write(_get("/big", "Connection: close\r\n"))
        await asyncio.sleep(0.3)
        assert (await _rest(reader)).endswith(BIG)
        writer.close()

    run(test)


def test_a_page_that_takes_too_long_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_server, "EXCHANGE_TIMEOUT", 0.3)

    async def test(served: _Served) -> None:
        assert await served.talk(_get("/held")) == b""
        assert served.held == 0
        await served.settle(0)

    run(test)


def test_a_client_that_leaves_ends_its_page(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def test(served: _Served) -> None:
        _, writer = await served.connect()
        writer.write(_get("/held"))
        async with asyncio.timeout(10):
            while not served.held:
                await asyncio.sleep(0.01)
            writer.transport.abort()
            while served.held:
                await asyncio.sleep(0.01)
        await served.settle(0)

    run(test)
    assert not caplog.records


def test_stopping_is_bounded_and_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_server, "STOP_TIMEOUT", 0.2)

    async def test(served: _Served) -> None:
        idle = await served.connect()
        held = await served.connect()
        held[1].write(_get("/held"))
        unread = socket.create_connection(served.address)
        unread.sendall(_get("/big"))
        await served.settle(3)
        async with asyncio.timeout(3):
            await served.server.stop()
        await served.settle(0)
        assert await _rest(idle[0]) == b""
        assert await _rest(held[0]) == b""
        with pytest.raises(ConnectionRefusedError):
            await served.connect()
        for _, writer in (idle, held):
            writer.close()
        unread.close()
        await asyncio.sleep(0.05)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left

    run(test)


def test_every_option_reaches_aiohttp(run: Run) -> None:
    async def test(served: _Served) -> None:
        _, writer = await served.connect()
        await served.settle(1)
        runner_server = served.server._runner.server
        assert runner_server is not None
        (connection,) = runner_server.connections
        assert connection.keepalive_timeout == bounded_server.KEEP_ALIVE
        assert connection.access_logger is None
        assert connection._lingering_time == bounded_server.LINGER
        assert runner_server.handler_cancellation
        writer.close()

    run(test)
