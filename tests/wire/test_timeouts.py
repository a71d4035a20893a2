"""Timeouts in each phase: the status before a byte went out, the cut after it, and what must not count."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.client import Address, Client, chunked, fetch, head
from tests.support.config import Config, url
from tests.support.expect import assert_problem, assert_within
from tests.support.faults import connecting_to, unreachable
from tests.support.gateway import Gateway, until
from tests.support.message import Cut
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start, StartOnce

SHORT = 0.4
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def nowhere() -> Iterator[Address]:
    """Where connects hang."""
    with unreachable() as address:
        yield address


@pytest.fixture(scope="module")
def timed(start_once: StartOnce, listener: socket.socket, nowhere: Address) -> Gateway:
    """One upstream for each timeout, the others long; a route of the same name in front of each."""
    origin = url(listener.getsockname()[:2])
    long: Config = {"connect": "20s", "headers": "20s", "idle": "20s", "total": "20s"}

    def upstream(address: str, **short: str | bool) -> Config:
        return {"url": address, "breaker": False, "timeout": {**long, **short}}

    upstreams = {
        "connect": upstream(url(nowhere), connect="400ms"),
        "headers": upstream(origin, headers="400ms"),
        "idle": upstream(origin, idle="400ms"),
        "total": upstream(origin, total="400ms"),
        "nowhere": upstream(url(nowhere), total="400ms"),
        "unlimited": upstream(origin, headers=False, total=False),
        "slow": upstream(origin),
        "provider": upstream(origin),
    }
    routes: list[Config] = [{"path": f"/{name}/**", "upstream": name} for name in upstreams]
    routes += [
        {"path": "/route/headers", "upstream": "slow", "timeout": {"headers": "400ms"}},
        {"path": "/route/idle", "upstream": "slow", "timeout": {"idle": "400ms"}},
        {"path": "/route/total", "upstream": "slow", "timeout": "400ms"},
        {"path": "/route/longer", "upstream": "headers", "timeout": {"headers": "5s"}},
    ]
    return start_once(upstreams=upstreams, ingress={"routes": routes})


# before a byte went out


@pytest.mark.parametrize("path", ["/connect/", "/nowhere/"])
async def test_connect(timed: Gateway, nowhere: Address, origin: Origin, path: str) -> None:
    started = time.monotonic()
    response = await fetch(timed.ingress, "GET", path)
    assert_within(time.monotonic() - started, SHORT)
    assert_problem(response, 504, "connection_timeout" if path == "/connect/" else None)
    await until(lambda: connecting_to(timed.pid, nowhere) == 0, "the connect to be given up", 0.3)


@pytest.mark.parametrize("path", ["/headers/", "/total/", "/route/headers", "/route/total"])
@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_no_response_head_in_time(timed: Gateway, origin: Origin, path: str, part: bytes) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        client.ask("GET", path)
        upstream, _ = await origin.request()
        started = time.monotonic()
        upstream.send(part)
        response = await client.response()
        assert_within(time.monotonic() - started, SHORT, earliest=0.8)
        assert_problem(response, 504, "http_response_timeout")
        assert not response.closes
        assert await upstream.gone()
        line = await timed.access_line(correlation_id=response.values("x-correlation-id")[0].decode())
        assert line["status"] == 504


async def test_interim_responses_are_no_response_head(timed: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        client.ask("GET", "/headers/")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
        assert (await client.response_head()).status == 103
        assert_problem(await client.response(), 504, "http_response_timeout")


async def test_headers_counts_from_the_requests_last_byte(timed: Gateway, origin: Origin) -> None:
    """A slow upload is not the upstream's slowness."""
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        client.send(head("POST", "/headers/", [("Transfer-Encoding", "chunked")]))
        upstream = await origin.accept()
        body = upstream.body(await upstream.head())
        for _ in range(4):
            await asyncio.sleep(SHORT * 0.6)
            client.send(b"1\r\nx\r\n")
            assert await body.read(1) == b"x"
        client.send(b"0\r\n\r\n")
        assert await body.rest() == b""
        sent = time.monotonic()
        assert_problem(await client.response(), 504, "http_response_timeout")
        assert_within(time.monotonic() - sent, SHORT)


async def test_a_route_may_allow_longer(timed: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        client.ask("GET", "/route/longer")
        upstream, _ = await origin.request()
        await client.wire.silence(SHORT * 2)
        upstream.send(ok(b"late"))
        assert (await client.response()).body == b"late"


# after the first byte: the connection is cut


@pytest.mark.parametrize("path", ["/idle/", "/route/idle"])
@pytest.mark.parametrize("start_of_answer", [CHUNKED, SSE, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
async def test_silence_between_bytes(timed: Gateway, origin: Origin, path: str, start_of_answer: bytes) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        client.ask("GET", path)
        upstream, _ = await origin.request()
        upstream.send(start_of_answer)
        body = client.body(await client.response_head())
        sized = b"Length" in start_of_answer
        for _ in range(6):  # each in time, together longer than the timeout
            await asyncio.sleep(SHORT / 4)
            upstream.send(b"x" if sized else b"1\r\nx\r\n")
            assert await body.read(1) == b"x"
        started = time.monotonic()
        with pytest.raises(Cut):
            await body.rest()
        assert_within(time.monotonic() - started, SHORT)
        assert await upstream.gone()


@pytest.mark.parametrize("path", ["/total/", "/route/total"])
async def test_a_body_that_takes_too_long_in_all(timed: Gateway, origin: Origin, path: str) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        started = time.monotonic()
        client.ask("GET", path)
        upstream, _ = await origin.request()
        upstream.send(CHUNKED)
        body = client.body(await client.response_head())
        while not client.wire.ended and time.monotonic() - started < 3:
            upstream.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)
        with pytest.raises(Cut):
            await body.rest()
        assert_within(time.monotonic() - started, SHORT)
        assert await upstream.gone()


async def test_an_upstreams_total_does_not_cut_an_event_stream(timed: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        started = time.monotonic()
        client.ask("GET", "/total/")
        upstream, _ = await origin.request()
        upstream.send(SSE)
        body = client.body(await client.response_head())
        while time.monotonic() - started < SHORT * 3:
            upstream.send(b"9\r\ndata: x\n\n\r\n")
            assert await body.read(9) == b"data: x\n\n"
            await asyncio.sleep(0.05)
        upstream.send(b"0\r\n\r\n")
        assert await body.rest() == b""


async def test_a_routes_total_cuts_an_event_stream(timed: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        started = time.monotonic()
        client.ask("GET", "/route/total")
        upstream, _ = await origin.request()
        upstream.send(SSE + b"9\r\ndata: x\n\n\r\n")
        body = client.body(await client.response_head())
        with pytest.raises(Cut):
            await body.rest()
        assert_within(time.monotonic() - started, SHORT)


async def test_total_counts_the_upload_too(timed: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        started = time.monotonic()
        client.send(head("POST", "/total/", [("Transfer-Encoding", "chunked")]))
        upstream = await origin.accept()
        await upstream.head()
        while not client.wire.received and time.monotonic() - started < 3:
            client.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)
        response = await client.response()
        assert_within(time.monotonic() - started, SHORT)
        assert_problem(response, 504)
        assert response.closes
        assert await upstream.gone()
        assert b"0\r\n\r\n" not in upstream.received


# what does not count


async def test_our_own_pause_for_a_slow_client_is_not_the_upstreams_silence(timed: Gateway, origin: Origin) -> None:
    size = 24 << 20
    origin.hold()
    async with await Client.connect(timed.ingress, receive_buffer=262_144) as client:
        client.wire.pause()
        client.ask("GET", "/idle/")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        sent = await upstream.wire.fill(size)
        assert sent < size
        upstream.send(b"f" * (size - sent))
        await asyncio.sleep(SHORT * 2.5)
        assert not upstream.wire.ended
        client.wire.resume()
        assert len((await client.response(within=20)).body) == size


async def test_a_slow_upstreams_reading_is_not_silence_while_bytes_move(timed: Gateway, origin: Origin) -> None:
    """An upload that the upstream takes slowly but steadily goes on."""
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        client.send(head("POST", "/idle/", [("Transfer-Encoding", "chunked")]))
        upstream = await origin.accept()
        body = upstream.body(await upstream.head())
        for _ in range(5):
            await asyncio.sleep(SHORT / 2)
            client.send(b"1\r\nx\r\n")
            assert await body.read(1) == b"x"
        client.send(b"0\r\n\r\n")
        await body.rest()
        upstream.send(CHUNKED + chunked(b"done"))
        assert (await client.response()).body == b"done"


async def test_false_is_no_timeout(timed: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(timed.ingress) as client:
        client.ask("GET", "/unlimited/")
        upstream, _ = await origin.request()
        await client.wire.silence(SHORT * 2)
        upstream.send(ok(b"late"))
        assert (await client.response()).body == b"late"


async def test_a_timeout_leaves_the_clients_connection_usable(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"timeout": {"headers": "200ms"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        for _ in range(2):
            client.ask("GET", "/")
            await origin.request()
            assert_problem(await client.response(), 504, "http_response_timeout")
        origin.serve()
        assert (await client.request("GET", "/")).status == 200
    outcomes = await gateway.samples("gateway_upstream_requests_total")
    assert sum(outcomes.values()) == 3
    assert len({dict(labels)["outcome"] for labels in outcomes}) == 2
