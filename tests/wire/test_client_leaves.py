"""A client that leaves cancels the upstream's call in every phase, quickly, and counts as no failure of anybody."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.client import Address, Client, fetch, head
from tests.support.config import url
from tests.support.faults import connecting_to, unreachable
from tests.support.gateway import Gateway, until
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, StartOnce

PROMPT = 0.15  # three times the 50 ms that are promised
PAUSED = 3.0  # three times the second promised while an upload is paused
WAYS = ["fin", "half close", "reset"]


def leave(client: Client, how: str) -> float:
    """Leave; when that was."""
    if how == "fin":
        client.wire.close()
    elif how == "half close":
        client.wire.half_close()
    else:
        client.wire.reset()
    return time.monotonic()


async def finished(gateway: Gateway, correlation_id: str) -> None:
    """The exchange is over, and counted as the client's leaving."""
    line = await gateway.access_line(correlation_id=correlation_id)
    assert line["status"] == 499
    await gateway.metric_is(0, "gateway_in_flight", scope="listener")


@pytest.mark.parametrize("how", WAYS)
async def test_while_waiting_for_the_response(side: Side, gateway: Gateway, origin: Origin, how: str) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.ask("GET", f"{side.prefix}/", [("X-Correlation-ID", f"waiting-{how[:4].strip()}")])
        upstream, _ = await origin.request()
        left = leave(client, how)
        await upstream.gone()
        assert upstream.wire.ended_at - left < PROMPT
    await finished(gateway, f"waiting-{how[:4].strip()}")


@pytest.mark.parametrize("how", WAYS)
async def test_while_the_response_streams(side: Side, gateway: Gateway, origin: Origin, how: str) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.ask("GET", f"{side.prefix}/", [("X-Correlation-ID", f"streaming-{how[:4].strip()}")])
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        body = client.body(await client.response_head())
        await body.read(5)
        left = leave(client, how)
        await upstream.gone()
        assert upstream.wire.ended_at - left < PROMPT
    await gateway.metric_is(0, "gateway_in_flight", scope="listener")


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_while_the_response_is_held_back_for_it(gateway: Gateway, origin: Origin, how: str) -> None:
    """The gateway has stopped reading from the upstream, because the client reads nothing."""
    origin.hold()
    client = await Client.connect(gateway.ingress, receive_buffer=16_384)
    client.wire.pause()
    client.ask("GET", "/")
    upstream, _ = await origin.request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    await upstream.wire.fill()
    left = leave(client, how)  # with unread bytes, close() resets too
    await upstream.gone()
    assert upstream.wire.ended_at - left < PROMPT
    await gateway.metric_is(0, "gateway_in_flight", scope="listener")


@pytest.mark.parametrize("how", WAYS)
async def test_while_it_uploads(gateway: Gateway, origin: Origin, how: str) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("POST", "/", [("Content-Length", "100")]) + b"half")
        upstream = await origin.accept()
        await upstream.head()
        await upstream.wire.read(4)
        left = leave(client, how)
        await upstream.gone()
        assert upstream.wire.ended_at - left < PROMPT
        assert upstream.received.endswith(b"half")


async def test_while_it_uploads_chunks_no_end_is_invented(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("POST", "/", [("Transfer-Encoding", "chunked")]) + b"4\r\nhalf\r\n")
        upstream = await origin.accept()
        await upstream.head()
        await upstream.wire.read_until(b"half")
        leave(client, "fin")
        await upstream.gone()
        assert b"0\r\n\r\n" not in upstream.received


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_while_its_upload_is_paused(gateway: Gateway, origin: Origin, how: str) -> None:
    """The upstream reads nothing, so the gateway does not read from the client, whose FIN then says nothing."""
    origin.hold()
    client = await Client.connect(gateway.ingress)
    client.send(head("POST", "/", [("Content-Length", "100000000"), ("X-Correlation-ID", f"paused-{how}")]))
    upstream = await origin.accept()
    await upstream.head()
    upstream.wire.pause()
    await client.wire.fill()
    while client.wire.unsent() and how == "fin":  # or the FIN could not arrive behind it
        upstream.wire.resume()
        await asyncio.sleep(0.001)
        upstream.wire.pause()
        await asyncio.sleep(0.01)
    left = leave(client, how)
    await gateway.access_line(correlation_id=f"paused-{how}", status=499)
    assert time.monotonic() - left < PAUSED
    upstream.wire.resume()
    await upstream.gone()
    assert len(upstream.received) < 100_000_000


@pytest.mark.parametrize("how", WAYS)
async def test_with_requests_pipelined_behind(gateway: Gateway, origin: Origin, how: str) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("GET", "/1") + head("GET", "/2") + head("GET", "/3"))
        upstream, _ = await origin.request()
        left = leave(client, how)
        await upstream.gone()
        assert upstream.wire.ended_at - left < PROMPT
    assert [request.target for request in origin.requests] == [b"/1"]


async def test_a_half_close_behind_the_last_answer_is_no_leaving(gateway: Gateway, origin: Origin) -> None:
    async with await Client.connect(gateway.ingress) as client:
        assert (await client.request("GET", "/")).status == 200
        client.wire.half_close()
        assert await client.wire.read_to_end() == b""
        assert client.wire.ended == "fin"


@pytest.fixture(scope="module")
def nowhere() -> Iterator[Address]:
    """Where connects hang."""
    with unreachable() as address:
        yield address


@pytest.fixture(scope="module")
def sensitive(start_once: StartOnce, listener: socket.socket, nowhere: Address) -> Gateway:
    """Upstreams whose breaker opens at the first failure, with one connection each."""
    upstream = {
        "breaker": {"failures": 1, "reset": "60s"},
        "timeout": {"connect": "30s"},
        "pool": {"connections": 1, "wait": "30s"},
    }
    app = {"url": url(listener.getsockname()[:2]), **upstream}
    lost = {"url": url(nowhere), **upstream}
    routes = [{"path": "/nowhere", "upstream": "lost"}, {"path": "/**", "upstream": "app"}]
    return start_once(upstreams={"app": app, "lost": lost, "provider": app}, ingress={"routes": routes})


@pytest.mark.parametrize("how", WAYS)
async def test_while_connecting(sensitive: Gateway, nowhere: Address, origin: Origin, how: str) -> None:
    async with await Client.connect(sensitive.ingress) as client:
        asked = time.monotonic()
        client.ask("GET", "/nowhere", [("X-Correlation-ID", f"connecting-{how[:4].strip()}")])
        await until(lambda: connecting_to(sensitive.pid, nowhere) == 1, "the connect")
        leave(client, how)
        await asyncio.sleep(0.001)  # the socket is closed by the loop's next turn, and reading /proc holds that up
        left = time.monotonic()
        await until(lambda: connecting_to(sensitive.pid, nowhere) == 0, "the connect to be given up")
        line = await sensitive.access_line(correlation_id=f"connecting-{how[:4].strip()}")
        assert line["total_ms"] / 1000 - (left - asked) < PROMPT  # by its clock: reading /proc takes long
    await sensitive.metric_is(0, "gateway_in_flight", scope="listener")
    assert await sensitive.metric("gateway_breaker_state", upstream="lost") == 0


@pytest.mark.parametrize("how", WAYS)
async def test_while_waiting_for_a_connection(sensitive: Gateway, origin: Origin, how: str) -> None:
    origin.hold()
    async with await Client.connect(sensitive.ingress) as busy, await Client.connect(sensitive.ingress) as client:
        busy.ask("GET", "/busy")
        upstream, _ = await origin.request()
        client.ask("GET", "/waits", [("X-Correlation-ID", f"queued-{how[:4].strip()}")])
        await client.wire.silence(0.05)
        leave(client, how)
        await sensitive.access_line(correlation_id=f"queued-{how[:4].strip()}", status=499)
        upstream.send(ok())
        assert (await busy.response()).status == 200
        busy.ask("GET", "/next")
        assert (await upstream.request()).target == b"/next"  # the one that left is not sent
        upstream.send(ok())
        assert (await busy.response()).status == 200


@pytest.mark.parametrize("how", WAYS)
async def test_it_is_no_failure(sensitive: Gateway, origin: Origin, how: str) -> None:
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"):
        origin.hold()
        async with await Client.connect(sensitive.ingress) as client:
            client.ask("GET", "/")
            upstream, _ = await origin.request()
            upstream.send(answer)
            if answer:
                await client.wire.wait(lambda: client.wire.received.endswith(b"half"), "half of it")
            leave(client, how)
            await upstream.gone()
    origin.serve()
    assert (await fetch(sensitive.ingress, "GET", "/")).status == 200
    assert await sensitive.metric("gateway_breaker_state", upstream="app") == 0


async def test_many_leave_and_nothing_is_left(gateway: Gateway, origin: Origin) -> None:
    await fetch(gateway.ingress, "GET", "/")
    await origin.settle()
    fds = gateway.fds()
    origin.hold()
    for number in range(40):
        client = await Client.connect(gateway.ingress)
        client.ask("GET", f"/{number}")
        if number % 2 == 0:
            upstream = await origin.accept()
            if number % 4 == 0:
                upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        leave(client, WAYS[number % 3] if number % 3 != 1 else "fin")
    await gateway.metric_is(0, "gateway_in_flight", scope="listener")
    await gateway.metric_is(0, "gateway_upstream_connections", upstream="app")
    await gateway.rests(fds)
