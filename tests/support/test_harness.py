"""The harness against itself, client to origin with nothing between: a broken harness must not pass for a gateway."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.client import Client, chunked, fetch, head
from tests.support.faults import black_hole, connecting_to, refusing, unreachable
from tests.support.message import Cut, Malformed, parse_request, parse_response
from tests.support.origin import Origin, ok
from tests.support.wire import Ended


@pytest_asyncio.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin


async def test_sees_the_exact_bytes(origin: Origin) -> None:
    sent = head("POST", "/a%2F?b", [("x-ODD", "1")]) + b"hello"
    sent = sent.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")
    async with await Client.connect(origin.address) as client:
        client.send(sent)
        response = await client.response()
    assert (response.status, response.body, response.value("x-answers")) == (200, b"ok", b"/a%2F?b")
    assert origin.connections[0].received == sent == origin.requests[0].raw
    assert origin.requests[0].headers[1] == (b"x-ODD", b"1")


async def test_reads_chunked_bodies_and_trailers_both_ways(origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(origin.address) as client:
        client.send(
            head("POST", "/", [("Transfer-Encoding", "chunked")]) + chunked(b"ab", b"c", trailers=[("X", "y")])
        )
        upstream, request = await origin.request()
        assert (request.body, request.chunks, request.trailers) == (b"abc", [b"ab", b"c"], [(b"X", b"y")])
        upstream.send(
            b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        upstream.send(chunked(b"12345", trailers=[("T", "1")]))
        response = await client.response()
        assert [r.status for r in response.informational] == [103]
        assert (response.body, response.trailers) == (b"12345", [(b"T", b"1")])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_tells_a_cut_body_from_a_whole_one(origin: Origin, answer: bytes, how: str) -> None:
    origin.hold()
    async with await Client.connect(origin.address) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        upstream.send(answer)
        await client.wire.wait(lambda: client.wire.received.endswith(answer[-3:]), "the bytes")
        upstream.wire.half_close() if how == "fin" else upstream.wire.reset()
        with pytest.raises(Cut) as cut:
            await client.response()
    assert (cut.value.body, cut.value.how) == (b"abc", how)


async def test_a_close_delimited_body_ends_with_a_fin_and_is_cut_by_a_reset(origin: Origin) -> None:
    origin.hold()
    for how in ("fin", "reset"):
        async with await Client.connect(origin.address) as client:
            client.ask("GET", "/")
            upstream, _ = await origin.request()
            upstream.send(b"HTTP/1.0 200 OK\r\n\r\nabc")
            await client.wire.wait(lambda: client.wire.received.endswith(b"abc"), "the bytes")
            if how == "fin":
                upstream.wire.half_close()
                assert (await client.response()).body == b"abc"
            else:
                upstream.wire.reset()
                with pytest.raises(Cut):
                    await client.response()


@pytest.mark.parametrize(
    "lines",
    [
        b"Transfer-Encoding: chunked\r\nContent-Length: 1",
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Content-Length: +1",
        b"Transfer-Encoding: gzip, chunked",
        b"A : b",
        b"A: b\nC: d",
        b"A: b\r\n c",
        b"A: \0",
    ],
)
async def test_the_origin_takes_nothing_ambiguous(lines: bytes) -> None:
    origin = Origin()
    await origin.start()
    async with await Client.connect(origin.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n\r\n0\r\n\r\n")
        await client.wire.end()
    await origin.stop()
    assert len(origin.violations) == 1


@pytest.mark.parametrize(
    "line", [b"GET /", b"GET / HTTP/2.0", b"GET  / HTTP/1.1", b"GET /\xff HTTP/1.1", b" GET / HTTP/1.1"]
)
def test_request_lines_are_read_strictly(line: bytes) -> None:
    with pytest.raises(Malformed):
        parse_request(line + b"\r\n\r\n")


def test_status_lines_are_read_strictly() -> None:
    assert parse_response(b"HTTP/1.1 999 \r\n\r\n").status == 999
    for line in (b"HTTP/1.1 200", b"HTTP/1.1 99 x", b"HTTP/1.1  200 OK", b"ICY 200 OK"):
        with pytest.raises(Malformed):
            parse_response(line + b"\r\n\r\n")


async def test_counts_unfinished_requests(origin: Origin) -> None:
    async with await Client.connect(origin.address) as client:
        client.send(head("POST", "/", [("Content-Length", "5")]) + b"abc")
        client.wire.half_close()
        with pytest.raises(Ended):
            await client.response()
    assert [request.body for request in origin.unfinished] == [b"abc"]


async def test_silence_hears_a_byte(origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(origin.address) as client:
        upstream = await origin.accept()
        await client.wire.silence(0.02)
        upstream.send(b"x")
        with pytest.raises(AssertionError):
            await client.wire.silence(0.2)


async def test_fill_stops_when_the_peer_stops_reading(origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(origin.address, receive_buffer=8192) as client:
        upstream = await origin.accept()
        upstream.wire.pause()
        sent = await client.wire.fill()
        assert 65536 < sent < 32 << 20
        client.wire.reset()


async def test_settle_waits_for_the_peer_to_let_go() -> None:
    origin = Origin()
    await origin.start()
    async with await Client.connect(origin.address) as client:
        await client.request("GET", "/")
        with pytest.raises(AssertionError):
            await origin.settle(within=0.1)
        client.wire.close()
        await origin.stop()


async def test_faults_are_what_they_say() -> None:
    with unreachable() as address:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await fetch(address, "GET", "/")
        assert time.monotonic() - started >= 0.2
        assert connecting_to(os.getpid(), address) > 0
    with refusing() as address, pytest.raises(ConnectionRefusedError):
        await fetch(address, "GET", "/")
    with black_hole() as address:
        async with await Client.connect(address) as client:
            client.ask("GET", "/")
            await client.wire.silence(0.05)


async def test_a_killed_origin_resets(origin: Origin) -> None:
    origin.answer = lambda request: ok(b"x" * 10)
    async with await Client.connect(origin.address) as client:
        assert (await client.request("GET", "/")).body == b"x" * 10
        await origin.stop(settle=False)
        assert await client.wire.end() == "reset"
