"""Limits on what comes in: sizes, slow senders, idle connections, their number, and readers that do not read."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.client import Client, fetch, head
from tests.support.expect import assert_problem, assert_within
from tests.support.gateway import Gateway
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start, StartOnce

SHORT = 0.4


@pytest.fixture(scope="module")
def small(start_once: StartOnce) -> Gateway:
    """Small sizes."""
    return start_once(ingress={"limits": {"request_line": "1KiB", "header_size": "4KiB", "header_count": 20}})


async def test_up_to_the_limits(small: Gateway, origin: Origin) -> None:
    async with await Client.connect(small.ingress) as client:
        target = "/" + "a" * (1024 - len("GET / HTTP/1.1\r\n"))
        assert (await client.request("GET", target)).status == 200
        assert (await client.request("GET", "/", [(f"X-{n}", "") for n in range(19)])).status == 200
        assert (await client.request("GET", "/", [("X", "y" * 4000)])).status == 200


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (head("GET", "/" + "a" * 2048), 414),
        (b"GET /" + b"a" * 100_000, 414),
        (b"GET /?" + b"a" * 2048 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (head("GET", "/", [(f"X-{n}", "") for n in range(20)]), 431),
        (head("GET", "/", [("X", "y" * 5000)]), 431),
        (head("GET", "/", [("X" * 5000, "y")]), 431),
        (head("GET", "/", [("X", "y" * 500)] * 10), 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"y" * 100_000, 431),
    ],
)
async def test_beyond_the_limits(small: Gateway, origin: Origin, raw: bytes, status: int, in_pieces: bool) -> None:
    """Also where the head never ends: the limit does not wait for that."""
    async with await Client.connect(small.ingress) as client:
        if in_pieces:
            for at in range(0, len(raw), 1000):
                client.send(raw[at : at + 1000])
                await asyncio.sleep(0)
        else:
            client.send(raw)
        assert_problem(await client.response(), status)
        assert await client.wire.end()
    assert origin.connections == []


async def test_a_head_of_the_default_size_passes_and_a_larger_one_does_not(gateway: Gateway, origin: Origin) -> None:
    fields = [(f"X-{n}", "y" * 6000) for n in range(10)]
    assert (await fetch(gateway.ingress, "GET", "/", fields)).status == 200
    assert_problem(await fetch(gateway.ingress, "GET", "/", [*fields, ("X", "y" * 6000)]), 431)
    assert (await fetch(gateway.ingress, "GET", "/" + "a" * 8000)).status == 200
    assert_problem(await fetch(gateway.ingress, "GET", "/" + "a" * 8200), 414)


@pytest.fixture(scope="module")
def hasty(start_once: StartOnce) -> Gateway:
    """Short times."""
    limits = {
        "header_timeout": "400ms",
        "body_timeout": "400ms",
        "body_rate": "1000B",
        "keep_alive": "400ms",
        "write_timeout": "400ms",
        "linger": "400ms",
    }
    return start_once(ingress={"limits": limits})


@pytest.mark.parametrize("drip", [False, True])
@pytest.mark.parametrize("start_of_head", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: "])
async def test_a_slow_head(hasty: Gateway, origin: Origin, start_of_head: bytes, drip: bool) -> None:
    """A byte now and then does not make it less slow."""
    async with await Client.connect(hasty.ingress) as client:
        started = time.monotonic()
        client.send(start_of_head)
        while drip and not client.wire.received and time.monotonic() - started < 3:
            await asyncio.sleep(0.05)
            client.send(b"a" if start_of_head.endswith(b" ") else b"")
        response = await client.response()
        assert_within(time.monotonic() - started, SHORT)
        assert_problem(response, 408)
        assert await client.wire.end()
    assert origin.connections == []


@pytest.mark.parametrize("framing", [("Content-Length", "100000"), ("Transfer-Encoding", "chunked")])
@pytest.mark.parametrize("drip", [False, True])
async def test_a_slow_body(hasty: Gateway, origin: Origin, framing: tuple[str, str], drip: bool) -> None:
    origin.hold()
    async with await Client.connect(hasty.ingress) as client:
        started = time.monotonic()
        client.send(head("POST", "/", [framing]))
        upstream = await origin.accept()
        await upstream.head()
        while drip and not client.wire.received and time.monotonic() - started < 3:
            client.send(b"1\r\nx\r\n")  # about a hundred bytes a second
            await asyncio.sleep(0.05)
        response = await client.response()
        assert_within(time.monotonic() - started, SHORT)
        assert_problem(response, 408)
        assert await client.wire.end()
        assert await upstream.gone()
        assert not upstream.received.endswith(b"0\r\n\r\n")


async def test_a_body_that_is_fast_enough(hasty: Gateway, origin: Origin) -> None:
    async with await Client.connect(hasty.ingress) as client:
        client.send(head("POST", "/", [("Content-Length", "4000")]))
        for _ in range(20):
            client.send(b"x" * 200)
            await asyncio.sleep(0.05)
        assert (await client.response()).status == 200


async def test_a_pause_of_ours_is_not_the_clients(hasty: Gateway, origin: Origin) -> None:
    """The upstream takes nothing for a while, so the client cannot send."""
    size = 24 << 20
    origin.hold()
    async with await Client.connect(hasty.ingress) as client:
        client.send(head("POST", "/", [("Content-Length", str(size))]))
        upstream = await origin.accept()
        request = await upstream.head()
        upstream.wire.pause()
        sent = await client.wire.fill(size)
        client.send(b"f" * (size - sent))
        await asyncio.sleep(3 * SHORT)
        assert not client.wire.received
        upstream.wire.resume()
        assert len(await upstream.body(request).rest(within=20)) == size
        upstream.send(ok())
        assert (await client.response()).status == 200


async def test_an_idle_connection_is_closed_without_a_word(hasty: Gateway, origin: Origin) -> None:
    for first in (False, True):
        async with await Client.connect(hasty.ingress) as client:
            started = time.monotonic()
            if first:
                assert (await client.request("GET", "/")).status == 200
                started = time.monotonic()
            assert await client.wire.read_to_end() == b""
            assert client.wire.ended == "fin"
            assert_within(client.wire.ended_at - started, SHORT)


async def test_a_connection_in_use_is_not_idle(hasty: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(hasty.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        await client.wire.silence(2.5 * SHORT)
        upstream.send(ok(b"late"))
        assert (await client.response()).body == b"late"


async def test_a_client_that_takes_no_byte_is_cut(hasty: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(hasty.ingress, receive_buffer=16_384) as client:
        client.wire.pause()
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        await upstream.wire.fill(stalled=0.1)
        started = time.monotonic()
        await upstream.gone()
        assert upstream.wire.ended_at - started < 3 * SHORT
        client.wire.resume()
        await client.wire.end()


async def test_a_slow_but_steady_reader_is_not(hasty: Gateway, origin: Origin) -> None:
    size = 4 << 20
    origin.answer = lambda request: ok(b"x" * size)
    async with await Client.connect(hasty.ingress, receive_buffer=65_536) as client:
        client.ask("GET", "/")
        response = await client.response_head()
        body = client.body(response)
        started = time.monotonic()
        taken = 0
        while time.monotonic() - started < 3 * SHORT:
            client.wire.resume()
            taken += len(await body.piece())
            client.wire.pause()
            await asyncio.sleep(0.05)
        client.wire.resume()
        assert taken + len(await body.rest(within=20)) == size


async def test_lingering_has_an_end(hasty: Gateway, origin: Origin) -> None:
    """Behind a refusal the client's upload is read for a while, so that it sees the refusal; not for ever."""
    async with await Client.connect(hasty.ingress) as client:
        client.send(head("POST", "http://", [("Content-Length", "100000000")]))
        started = time.monotonic()
        assert_problem(await client.response(), 400)
        while not client.wire.closed and time.monotonic() - started < 3:
            client.send(b"x" * 10_000)
            await asyncio.sleep(0.02)
        assert time.monotonic() - started < 3 * SHORT


async def test_the_number_of_connections(start: Start, origin: Origin) -> None:
    gateway = await start(ingress={"limits": {"connections": 3}})
    clients = [await Client.connect(gateway.ingress) for _ in range(3)]
    for client in clients:
        assert (await client.request("GET", "/")).status == 200
    for _ in range(3):
        async with await Client.connect(gateway.ingress) as refused:
            response = await refused.response()
            assert_problem(response, 503)
            assert response.value("retry-after") is not None
            assert response.closes
            assert await refused.wire.end()
    assert await gateway.metric("gateway_connections_refused_total", listener="ingress") == 3
    assert (await fetch(gateway.egress, "GET", "/provider/")).status == 200  # the other listener counts its own
    assert (await clients[0].request("GET", "/")).status == 200
    clients[1].wire.close()
    await gateway.metric_is(2, "gateway_connections", listener="ingress")
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    for client in clients:
        client.wire.close()
