"""A response that comes before the upload has ended reaches the client whole; the connection then closes."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import Client, chunked, head
from tests.support.message import Cut
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, Start

BODY = b"refused " * 10_000


@pytest.mark.parametrize("framing", [("Content-Length", "10000000"), ("Transfer-Encoding", "chunked")])
async def test_the_client_gets_it_whole_though_it_goes_on_sending(
    side: Side, origin: Origin, framing: tuple[str, str]
) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.send(head("POST", f"{side.prefix}/", [framing]) + b"a00000\r\n" + b"x" * 1000)
        upstream = await origin.accept()
        await upstream.head()
        upstream.send(ok(BODY, status=b"413 Content Too Large"))
        for _ in range(10):  # a client that looks at the answer only when it has sent what it has
            client.send(b"x" * 65_536)
            await client.wire.drain()
        response = await client.response()
        assert (response.status, response.body) == (413, BODY)
        assert response.closes
        assert await client.wire.read_to_end() == b""
        assert await upstream.gone()
    assert len(origin.requests) == 1


async def test_a_slow_reader_gets_it_whole_though_it_goes_on_sending(start: Start, origin: Origin) -> None:
    gateway = await start(ingress={"limits": {"linger": "200ms"}})
    origin.hold()
    body = b"x" * 1_000_000
    async with await Client.connect(gateway.ingress, receive_buffer=4096) as client:
        client.send(head("POST", "/", [("Content-Length", "10000000")]) + b"x" * 1000)
        upstream = await origin.accept()
        await upstream.head()
        client.wire.pause()
        upstream.send(ok(body, status=b"413 Content Too Large"))
        for _ in range(10):
            client.send(b"x" * 100)
            await asyncio.sleep(0.1)
        client.wire.resume()
        response = await client.response()
        assert (response.status, response.body) == (413, body)


async def test_also_where_the_upstream_closes_at_once(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("POST", "/", [("Content-Length", "10000000")]) + b"x" * 1000)
    upstream = await origin.accept()
    await upstream.head()
    await upstream.wire.read(1000)
    upstream.send(ok(BODY, b"Connection: close", status=b"401 Unauthorized"))
    upstream.wire.half_close()
    response = await client.response()
    assert (response.status, response.body, response.closes) == (401, BODY, True)
    assert await client.wire.end()


async def test_what_follows_an_unfinished_upload_is_no_request(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("POST", "/", [("Content-Length", "100")]) + b"x" * 10)
    upstream = await origin.accept()
    await upstream.head()
    upstream.send(ok(b"early"))
    assert (await client.response()).body == b"early"
    client.send(head("GET", "/smuggled"))
    assert await client.wire.read_to_end() == b""
    assert len(origin.connections) == 1
    await upstream.gone()
    assert len(upstream.received) <= len(upstream.requests[0].raw_head) + 100


async def test_both_directions_at_once(side: Side, origin: Origin) -> None:
    """The response has begun, the upload goes on: an echo, piece by piece."""
    origin.hold()
    async with await side.connect() as client:
        client.send(head("POST", f"{side.prefix}/", [("Transfer-Encoding", "chunked")]))
        upstream = await origin.accept()
        body = upstream.body(await upstream.head())
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        answer = client.body(await client.response_head())
        for number in range(5):
            piece = b"piece %d" % number
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            assert await body.read(len(piece)) == piece
            upstream.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            assert await answer.read(len(piece)) == piece
        client.send(b"0\r\n\r\n")
        assert await body.rest() == b""
        upstream.send(b"0\r\n\r\n")
        assert await answer.rest() == b""
        origin.serve()
        assert (await client.request("GET", f"{side.prefix}/next")).status == 200


async def test_an_early_response_that_is_cut_is_cut(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("POST", "/", [("Content-Length", "100")]) + b"x" * 10)
    upstream = await origin.accept()
    await upstream.head()
    upstream.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 10\r\n\r\nhalf")
    await client.wire.wait(lambda: client.wire.received.endswith(b"half"), "the half")
    upstream.wire.reset()
    with pytest.raises(Cut):
        await client.response()


async def test_a_whole_upload_leaves_the_connection_open(client: Client, origin: Origin) -> None:
    """The last byte came before the response's end: nothing is unfinished."""
    origin.hold()
    client.send(head("POST", "/", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n")
    upstream = await origin.accept()
    body = upstream.body(await upstream.head())
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer = client.body(await client.response_head())
    client.send(b"0\r\n\r\n")
    assert await body.rest() == b"hello"
    upstream.send(chunked(b"bye"))
    assert await answer.rest() == b"bye"
    origin.serve()
    assert (await client.request("GET", "/next")).status == 200
