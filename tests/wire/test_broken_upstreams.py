"""Upstreams that break off or send nonsense: a 502 before the first byte, a cut behind it, never a clean end."""

from __future__ import annotations

import json

import pytest

from tests.support.client import Client, chunked, fetch, head
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Cut, Malformed
from tests.support.origin import Origin, ok
from tests.support.wire import Ended
from tests.wire.conftest import Side

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = {
    "sized": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "chunked": CHUNKED + b"4\r\nhalf\r\n",
    "inside a chunk": CHUNKED + b"ff\r\nhalf",
    "before the last line": CHUNKED + b"4\r\nhalf\r\n0\r\n",
    "inside the trailers": CHUNKED + b"4\r\nhalf\r\n0\r\nX-A: b\r\n",
    "head only": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
}


@pytest.mark.parametrize("kind", HALF)
@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
async def test_a_body_that_breaks_off(
    side: Side, gateway: Gateway, origin: Origin, kind: str, how: str, version: str
) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.send(head("GET", f"{side.prefix}/", [("Connection", "keep-alive")], version=version))
        upstream, _ = await origin.request()
        upstream.send(HALF[kind])
        response = await client.response_head()
        body = client.body(response)
        if b"half" in HALF[kind]:
            assert await body.read(4) == b"half"
        upstream.wire.half_close() if how == "fin" else upstream.wire.reset()
        with pytest.raises(Cut):
            await body.rest()
        if response.length is None and not response.chunked:
            assert client.wire.ended == "reset"  # where the end of the connection is the end of the body
    line = await gateway.access_line(correlation_id=response.values("x-correlation-id")[0].decode())
    assert line["error"]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"zz\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"4\r\nhalfX\r\n0\r\n\r\n",
        b"4\nhalf\n0\n\n",
        b"10000000000000000\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_chunks_that_are_none(client: Client, origin: Origin, nonsense: bytes) -> None:
    origin.hold()
    client.ask("GET", "/")
    upstream, _ = await origin.request()
    upstream.send(CHUNKED + b"5\r\nhello\r\n")
    body = client.body(await client.response_head())
    assert await body.read(5) == b"hello"
    upstream.send(nonsense)
    with pytest.raises(Cut):
        await body.rest()
    assert await upstream.gone()


async def test_what_was_pipelined_behind_a_cut_response_is_not_answered(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("GET", "/1") + head("GET", "/2"))
    upstream, _ = await origin.request()
    upstream.send(HALF["sized"])
    upstream.wire.half_close()
    with pytest.raises(Cut):
        await client.response()
    assert [request.target for request in origin.requests] == [b"/1"]


async def test_a_small_cut_response_in_one_write_is_cut_too(client: Client, origin: Origin) -> None:
    """Head, half a body and the end in one segment: the client gets a cut response or a 502, nothing clean."""
    origin.hold()
    client.ask("GET", "/")
    upstream, _ = await origin.request()
    upstream.send(HALF["sized"])
    upstream.wire.half_close()
    try:
        response = await client.response()
    except (Cut, Ended):
        return
    assert_problem(response, 502)


BAD_HEADS = [
    b"nonsense\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2x0 X\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"<html>hello</html>\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("answer", BAD_HEADS)
async def test_a_head_that_is_none(side: Side, gateway: Gateway, origin: Origin, answer: bytes) -> None:
    """A 502; and whatever the upstream meant, the next answer is the next request's own."""
    origin.answer = lambda request: ok(b"next") if request.target == b"/next" else answer
    async with await side.connect() as client:
        response = await client.request("GET", f"{side.prefix}/")
        assert_problem(response, 502, "http_protocol_error")
        assert (await client.request("GET", f"{side.prefix}/next")).body == b"next"
    assert len(origin.connections) == 2


LENIENT = [
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length:\t2 \r\n\r\nok",
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;ext="a"\r\nok\r\n0\r\n\r\n',
]


@pytest.mark.parametrize("answer", LENIENT)
async def test_sloppy_but_plain_is_forwarded_as_one_clean_response_or_refused(
    client: Client, origin: Origin, answer: bytes
) -> None:
    """The client's strict reading (RFC 9112) is the judge of clean."""
    origin.answer = lambda request: ok(b"next") if request.target == b"/next" else answer
    response = await client.request("GET", "/")
    if response.status == 200:
        assert response.body == b"ok"
    else:
        assert_problem(response, 502, "http_protocol_error")
    assert (await client.request("GET", "/next")).body == b"next"


async def test_a_head_without_end_is_not_read_for_ever(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    before = gateway.rss()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(4096):
            if upstream.wire.ended or upstream.wire.closed:
                break
            upstream.send(b"X-%d: %b\r\n" % (number, b"x" * 4000))
            await upstream.wire.drain()
        assert_problem(await client.response(), 502)
        await upstream.gone()
    assert gateway.rss() - before < 12 << 20


async def test_interim_responses_without_end_are_not_read_for_ever(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.wire.pause()
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        before = gateway.rss()
        for _ in range(2000):
            if upstream.wire.ended or upstream.wire.closed:
                break
            upstream.send((b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 1000 + b"\r\n\r\n") * 10)
            try:
                await upstream.wire.drain(0.5)
            except AssertionError:
                break  # held back, or refused: either bounds it
        assert gateway.rss() - before < 12 << 20
        client.wire.reset()
        await upstream.gone()


async def test_the_strict_client_would_see_a_split_response(gateway: Gateway, origin: Origin) -> None:
    """What an upstream puts into a value cannot end the head: there is no way to write it that passes."""
    origin.answer = lambda request: ok(b"ok", b"X-A: b\rSet-Cookie: evil=1")
    try:
        response = await fetch(gateway.ingress, "GET", "/")
    except Malformed as error:
        raise AssertionError(f"the client was sent {error}") from None
    assert_problem(response, 502)
    assert json.loads(response.body)["status"] == 502


async def test_trailers_of_a_cut_body_are_not_sent(client: Client, origin: Origin) -> None:
    origin.hold()
    client.ask("GET", "/", [("TE", "trailers"), ("Connection", "TE")])
    upstream, _ = await origin.request()
    upstream.send(CHUNKED + chunked(b"body", trailers=[("X-A", "b")])[:-2])
    body = client.body(await client.response_head())
    assert await body.read(4) == b"body"
    upstream.wire.half_close()
    with pytest.raises(Cut):
        await body.rest()
