"""Bodies flow as they come: each piece is there before the next is sent. Slow readers slow the sender."""

from __future__ import annotations

import pytest

from tests.support.client import Client, head
from tests.support.expect import passed_on
from tests.support.gateway import Gateway
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side

MIB = 1 << 20


async def test_server_sent_events(side: Side, origin: Origin) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.ask("GET", f"{side.prefix}/events", [("Accept", "text/event-stream")])
        upstream, _ = await origin.request()
        upstream.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        response = await client.response_head()  # before any event
        assert passed_on(response, but={"transfer-encoding"}) == [
            (b"Content-Type", b"text/event-stream"),
            (b"Cache-Control", b"no-store"),
        ]
        body = client.body(response)
        for number in range(20):
            event = b"id: %d\ndata: {}\n\n" % number
            upstream.send(b"%x\r\n%b\r\n" % (len(event), event))
            assert await body.read(len(event)) == event
        upstream.send(b"0\r\n\r\n")
        assert await body.rest() == b""


async def test_a_sized_response_flows(side: Side, origin: Origin) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.ask("GET", f"{side.prefix}/")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
        body = client.body(await client.response_head())
        for _ in range(3):
            upstream.send(b"0123456789")
            assert await body.read(10) == b"0123456789"
        assert await body.rest() == b""


async def test_half_a_chunk_flows(client: Client, origin: Origin) -> None:
    """What has come of a chunk is passed on, though its end has not."""
    origin.hold()
    client.ask("GET", "/")
    upstream, _ = await origin.request()
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")
    body = client.body(await client.response_head())
    assert await body.read(4) == b"half"
    upstream.send(b"x" * 251 + b"\r\n0\r\n\r\n")
    assert await body.rest() == b"x" * 251


@pytest.mark.parametrize("framing", ["sized", "chunked"])
async def test_an_upload_flows(side: Side, origin: Origin, framing: str) -> None:
    origin.hold()
    async with await side.connect() as client:
        field = ("Content-Length", "50") if framing == "sized" else ("Transfer-Encoding", "chunked")
        client.send(head("POST", f"{side.prefix}/", [field]))
        upstream = await origin.accept()
        body = upstream.body(await upstream.head())  # before any byte of the body
        for _ in range(5):
            client.send(b"0123456789" if framing == "sized" else b"a\r\n0123456789\r\n")
            assert await body.read(10) == b"0123456789"
        if framing == "chunked":
            client.send(b"0\r\n\r\n")
        assert await body.rest() == b""
        upstream.send(ok())
        assert (await client.response()).status == 200


async def test_a_slow_client_slows_the_upstream(gateway: Gateway, origin: Origin) -> None:
    """Memory does not grow with what nobody takes; then all of it arrives."""
    size = 24 * MIB
    origin.hold()
    async with await Client.connect(gateway.ingress, receive_buffer=262_144) as client:
        client.wire.pause()
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        before = gateway.rss()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        sent = await upstream.wire.fill(size)
        assert sent < size  # the gateway has stopped reading
        assert gateway.rss() - before < 8 * MIB
        client.wire.resume()
        upstream.send(b"f" * (size - sent))
        response = await client.response(within=20)
        assert len(response.body) == size
    assert gateway.rss() - before < 12 * MIB


async def test_a_slow_upstream_slows_the_client(gateway: Gateway, origin: Origin) -> None:
    size = 24 * MIB
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        before = gateway.rss()
        client.send(head("POST", "/", [("Content-Length", str(size))]))
        upstream = await origin.accept()
        request = await upstream.head()
        upstream.wire.pause()
        sent = await client.wire.fill(size)
        assert sent < size
        assert gateway.rss() - before < 8 * MIB
        upstream.wire.resume()
        client.send(b"f" * (size - sent))
        assert len(await upstream.body(request).rest(within=20)) == size
        upstream.send(ok())
        assert (await client.response()).status == 200
    assert gateway.rss() - before < 12 * MIB


async def test_a_flood_of_pipelined_requests_is_held_within_bounds(gateway: Gateway, origin: Origin) -> None:
    """While the first is being served the others wait in the client's own socket."""
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        before = gateway.rss()
        sent = await _flood(client)
        assert sent < 32 * MIB
        assert gateway.rss() - before < 8 * MIB
        upstream.send(ok())
        assert (await client.response()).status == 200
        client.wire.reset()
    await gateway.metric_is(0, "gateway_in_flight", scope="listener")


async def _flood(client: Client) -> int:
    """Pipelined requests until the gateway takes no more; their number of bytes."""
    request = head("GET", "/flood", [("X-Pad", "p" * 4000)])
    sent = 0
    while sent < 32 * MIB:
        client.send(request)
        sent += len(request)
        try:
            await client.wire.drain(0.3)
        except AssertionError:
            break
    return sent
