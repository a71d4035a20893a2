"""HTTP/1.0 on either side: close-delimited bodies, no chunks to those who do not know them."""

from __future__ import annotations

import pytest

from tests.support.client import Client, chunked, fetch, head
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Cut
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_request_goes_on_as_http_1_1(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        response = await client.request("GET", f"{side.prefix}/", version="HTTP/1.0")
        assert (response.status, response.body) == (200, b"ok")
        assert await client.wire.end() == "fin"
    (request,) = origin.requests
    assert request.version == b"HTTP/1.1"
    assert len(request.values("host")) == 1


async def test_a_request_without_a_host(gateway: Gateway, origin: Origin) -> None:
    response = await fetch(gateway.ingress, "GET", "/", host=None, version="HTTP/1.0")
    assert response.status == 200
    assert len(origin.requests[0].values("host")) == 1  # HTTP/1.1 requires one


async def test_no_chunks_to_a_client_that_does_not_know_them(side: Side, origin: Origin) -> None:
    origin.answer = lambda request: CHUNKED + chunked(b"one ", b"two", trailers=[("X-A", "b")])
    async with await side.connect() as client:
        client.send(head("GET", f"{side.prefix}/", version="HTTP/1.0"))
        response = await client.response()
    assert not response.names() & {"transfer-encoding", "content-length", "trailer"}
    assert response.body == b"one two"
    assert client.wire.ended == "fin"


async def test_keep_alive_is_given_where_the_end_is_known(client: Client, origin: Origin) -> None:
    for _ in range(2):
        client.send(head("GET", "/", [("Connection", "keep-alive")], version="HTTP/1.0"))
        response = await client.response()
        assert (response.status, response.body) == (200, b"ok")
        assert response.value("connection") == b"keep-alive"
    origin.answer = lambda request: CHUNKED + chunked(b"unknown length")
    client.send(head("GET", "/", [("Connection", "keep-alive")], version="HTTP/1.0"))
    response = await client.response()
    assert response.body == b"unknown length"
    assert response.value("connection") in (None, b"close")
    assert client.wire.ended == "fin"


async def test_an_upload_from_http_1_0(client: Client, origin: Origin) -> None:
    assert (await client.request("POST", "/", body=b"hello", version="HTTP/1.0")).status == 200
    assert origin.requests[0].body == b"hello"


async def test_a_transfer_coding_in_http_1_0_is_refused(client: Client, origin: Origin) -> None:
    client.send(head("POST", "/", [("Transfer-Encoding", "chunked")], version="HTTP/1.0") + chunked(b"hello"))
    assert_problem(await client.response(), 400)
    assert await client.wire.end()
    assert origin.connections == []


async def test_a_cut_body_is_a_reset_where_only_the_end_delimits_it(client: Client, origin: Origin) -> None:
    """A FIN would be a clean end to an HTTP/1.0 client."""
    origin.hold()
    client.send(head("GET", "/", version="HTTP/1.0"))
    upstream, _ = await origin.request()
    upstream.send(CHUNKED + b"5\r\nhello\r\n")
    await client.wire.wait(lambda: client.wire.received.endswith(b"hello"), "the first chunk")
    upstream.wire.half_close()
    with pytest.raises(Cut) as cut:
        await client.response()
    assert cut.value.how == "reset"


# upstreams


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
async def test_a_close_delimited_response(side: Side, origin: Origin, version: bytes, connection: bytes) -> None:
    origin.hold()
    async with await side.connect() as client:
        for body in (b"first", b"x" * 200_000, b""):
            client.ask("GET", f"{side.prefix}/")
            upstream, _ = await origin.request()
            upstream.send(version + b" 200 OK\r\nContent-Type: text/plain\r\n" + connection + b"\r\n" + body)
            upstream.wire.half_close()
            response = await client.response()
            assert (response.status, response.body, response.version) == (200, body, b"HTTP/1.1")
            assert not response.closes


async def test_a_close_delimited_response_flows_as_it_comes(client: Client, origin: Origin) -> None:
    origin.hold()
    client.ask("GET", "/")
    upstream, _ = await origin.request()
    upstream.send(b"HTTP/1.0 200 OK\r\n\r\n")
    body = client.body(await client.response_head())
    for number in range(3):
        upstream.send(b"line %d\n" % number)
        assert await body.read(7) == b"line %d\n" % number
    upstream.wire.half_close()
    assert await body.rest() == b""


async def test_a_close_delimited_response_from_1_0_to_1_0(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("GET", "/", version="HTTP/1.0"))
    upstream, _ = await origin.request()
    upstream.send(b"HTTP/1.0 200 OK\r\n\r\nold to old")
    upstream.wire.half_close()
    response = await client.response()
    assert response.body == b"old to old"
    assert client.wire.ended == "fin"


async def test_an_upstream_of_1_0_is_used_once_unless_it_says_otherwise(client: Client, origin: Origin) -> None:
    lines: list[bytes] = []
    origin.answer = lambda request: ok(b"ok", *lines).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    for _ in range(2):
        assert (await client.request("GET", "/")).body == b"ok"
    assert len(origin.connections) == 2
    lines.append(b"Connection: keep-alive")
    for _ in range(2):
        assert (await client.request("GET", "/")).body == b"ok"
    assert len(origin.connections) == 3


async def test_a_close_delimited_response_that_is_reset_is_cut(client: Client, origin: Origin) -> None:
    origin.hold()
    client.ask("GET", "/")
    upstream, _ = await origin.request()
    upstream.send(b"HTTP/1.0 200 OK\r\n\r\nhalf")
    response = await client.response_head()
    body = client.body(response)
    assert await body.read(4) == b"half"
    upstream.wire.reset()
    with pytest.raises(Cut):
        await body.rest()


async def test_a_transfer_coding_from_an_upstream_of_1_0_is_no_answer(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"a")
    assert_problem(await client.request("GET", "/"), 502, "http_protocol_error")
