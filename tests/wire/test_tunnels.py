"""Upgrades: asked for, refused, and what flows through them. How tunnels end is in test_tunnel_ends.py."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.support.client import Client, head
from tests.support.message import Response
from tests.support.origin import Origin, Upstream, ok
from tests.wire.conftest import Side, Start

WEBSOCKET = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Protocol", "chat, superchat"),
]
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: %b\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


async def tunnel(
    client: Client, origin: Origin, path: str = "/", fields: list[tuple[str, str]] | None = None
) -> tuple[Upstream, Response]:
    """A tunnel through the gateway: its far end, and the 101 that the client got."""
    fields = fields or WEBSOCKET
    origin.hold()
    client.send(head("GET", path, fields))
    upstream = await origin.accept()
    request = await upstream.head()
    upgrade = request.value("upgrade")
    assert upgrade == dict(fields)["Upgrade"].encode()
    upstream.send(SWITCH % upgrade)
    return upstream, await client.response_head()


async def test_a_websocket(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        upstream, response = await tunnel(client, origin, f"{side.prefix}/chat?x=y")
        (request,) = upstream.requests
        assert request.target == b"/chat?x=y"
        connection = request.value("connection")
        assert connection is not None
        assert connection.lower() == b"upgrade"
        for name, value in WEBSOCKET[2:]:
            assert request.value(name) == value.encode()
        assert (response.status, response.reason) == (101, b"Switching Protocols")
        assert (response.value("upgrade"), response.value("sec-websocket-accept")) == (
            b"websocket",
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        )
        assert b"upgrade" in response.values("connection")[0].lower()
        assert not response.names() & {"content-length", "transfer-encoding"}
        assert response.value("x-correlation-id") == request.value("x-correlation-id")
        for frame in (b"\x81\x05hello", b"\x82\x7e\x01\x00" + bytes(range(256)), b"\x89\x00"):
            client.send(frame)
            assert await upstream.wire.read(len(frame)) == frame
            upstream.send(frame[::-1])
            assert await client.wire.read(len(frame)) == frame[::-1]


@pytest.mark.parametrize("protocol", ["TLS/1.0", "irc/6.9, rta/x11", "some-thing", "WebSocket", "tcp"])
async def test_any_other_protocol(client: Client, origin: Origin, protocol: str) -> None:
    upstream, response = await tunnel(client, origin, "/", [("Connection", "upgrade"), ("Upgrade", protocol)])
    assert (response.status, response.value("upgrade")) == (101, protocol.encode())
    everything = bytes(range(256)) * 10
    client.send(everything)
    assert await upstream.wire.read(len(everything)) == everything
    upstream.send(everything)
    assert await client.wire.read(len(everything)) == everything


async def test_a_lot_both_ways_at_once(side: Side, origin: Origin) -> None:
    there, back = random.Random(1).randbytes(2 << 20), random.Random(2).randbytes(2 << 20)
    async with await side.connect() as client:
        upstream, _ = await tunnel(client, origin, f"{side.prefix}/")
        client.send(there)
        upstream.send(back)
        got_there, got_back = await asyncio.gather(
            upstream.wire.read(len(there), within=20), client.wire.read(len(back), within=20)
        )
    assert got_there == there
    assert got_back == back


async def test_bytes_right_behind_the_upgrade_request_are_the_tunnels(side: Side, origin: Origin) -> None:
    origin.hold()
    async with await side.connect() as client:
        early = b"GET /not-http HTTP/1.1\r\n\r\n\x00\xff early"
        client.send(head("GET", f"{side.prefix}/", WEBSOCKET) + early)
        upstream = await origin.accept()
        await upstream.head()
        client.send(b" and more")
        back = b"\x81\x01a early too"
        upstream.send(SWITCH % b"websocket" + back)
        assert (await client.response_head()).status == 101
        assert await client.wire.read(len(back)) == back
        assert await upstream.wire.read(len(early) + 9) == early + b" and more"
        client.send(b" later")
        assert await upstream.wire.read(6) == b" later"


async def test_interim_responses_before_the_switch(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("GET", "/", WEBSOCKET))
    upstream = await origin.accept()
    await upstream.head()
    upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + SWITCH % b"websocket")
    assert [(await client.response_head()).status for _ in range(2)] == [103, 101]
    upstream.send(b"x")
    assert await client.wire.read(1) == b"x"


@pytest.mark.parametrize("status", [b"200 OK", b"426 Upgrade Required", b"403 Forbidden"])
async def test_a_refused_upgrade_and_the_next_request(side: Side, origin: Origin, status: bytes) -> None:
    origin.answer = lambda request: ok(request.target, b"Upgrade: other", status=status)
    async with await side.connect() as client:
        for path in ("/1", "/2"):
            response = await client.request("GET", side.prefix + path, WEBSOCKET)
            assert (response.status, response.body) == (int(status[:3]), path.encode())
        response = await client.request("POST", f"{side.prefix}/3", body=b"hello")
        assert response.body == b"/3"
    assert origin.requests[-1].body == b"hello"


async def test_a_refused_upgrade_with_the_next_requests_right_behind_it(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: ok(request.target)
    client.send(head("GET", "/1", WEBSOCKET) + head("GET", "/2") + head("GET", "/3", WEBSOCKET) + head("GET", "/4"))
    for path in (b"/1", b"/2", b"/3", b"/4"):
        assert (await client.response()).body == path
    assert [request.target for request in origin.requests] == [b"/1", b"/2", b"/3", b"/4"]


async def test_a_refused_upgrade_with_half_a_request_behind_it(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: ok(request.target + request.body)
    next_one = head("POST", "/2", [("Content-Length", "5")]) + b"hello"
    client.send(head("GET", "/1", WEBSOCKET) + next_one[:20])
    assert (await client.response()).body == b"/1"
    client.send(next_one[20:])
    assert (await client.response()).body == b"/2hello"


async def test_an_upgrade_behind_other_requests(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("GET", "/1") + head("GET", "/2", WEBSOCKET) + b"early")
    upstream, _ = await origin.request()
    upstream.send(ok(b"one"))
    assert (await client.response()).body == b"one"
    assert (await upstream.request()).target == b"/2"
    upstream.send(SWITCH % b"websocket")
    assert (await client.response_head()).status == 101
    assert await upstream.wire.read(5) == b"early"


@pytest.mark.parametrize(
    "fields",
    [
        [("Upgrade", "websocket")],
        [("Upgrade", "websocket"), ("Connection", "keep-alive")],
        [("Connection", "Upgrade")],
    ],
)
async def test_half_an_upgrade_is_none(client: Client, origin: Origin, fields: list[tuple[str, str]]) -> None:
    assert (await client.request("GET", "/", fields)).body == b"ok"
    assert "upgrade" not in origin.requests[0].names()
    assert origin.requests[0].value("connection") in (None, b"keep-alive")
    assert (await client.request("GET", "/")).body == b"ok"


async def test_http_1_0_cannot_upgrade(client: Client, origin: Origin) -> None:
    client.send(head("GET", "/", WEBSOCKET, version="HTTP/1.0"))
    assert (await client.response()).status == 200
    assert "upgrade" not in origin.requests[0].names()


# h2c: a tunnel of requests past every rule here, so it is not taken (RFC 9110, section 7.8: a server may ignore it)

H2C = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")]


async def test_h2c_is_answered_as_http_1_1(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        for _ in range(2):
            response = await client.request("GET", f"{side.prefix}/", H2C)
            assert (response.status, response.body, response.version) == (200, b"ok", b"HTTP/1.1")
    for request in origin.requests:
        assert not request.names() & {"upgrade", "http2-settings"}


@pytest.mark.parametrize("protocol", ["h2c", "H2C", "h2c, websocket", "websocket", "foo"])
@pytest.mark.parametrize("framing", ["sized", "chunked"])
async def test_a_body_with_an_upgrade_arrives_whole(side: Side, origin: Origin, protocol: str, framing: str) -> None:
    """llhttp stops at a request that asks for an upgrade; its body must not be lost, nor be taken for a request."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", protocol), ("HTTP2-Settings", "AAMAAABk")]
    async with await side.connect() as client:
        for path in ("/1", "/2"):
            if framing == "sized":
                client.ask("POST", side.prefix + path, fields, body)
            else:
                client.send(head("POST", side.prefix + path, [*fields, ("Transfer-Encoding", "chunked")]))
                client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            assert (await client.response()).status == 200
        client.ask("GET", f"{side.prefix}/3")
        assert (await client.response()).status == 200
    assert [(request.target, request.body) for request in origin.requests] == [
        (b"/1", body),
        (b"/2", body),
        (b"/3", b""),
    ]


async def test_an_upgrade_through_a_route_that_does_not_exist(start: Start, origin: Origin) -> None:
    gateway = await start(ingress={"routes": [{"path": "/a", "upstream": "app"}]})
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("GET", "/b", WEBSOCKET) + head("GET", "/a"))
        assert (await client.response()).status == 404
        assert (await client.response()).status == 200
