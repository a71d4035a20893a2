"""Malformed and smuggling-shaped requests: refused with 400, or forwarded as exactly one unambiguous request.

Each shape is sent with a request hidden behind it, and with another client's request after it. The origin (which
reads strictly, and fails the test on what can be read in two ways) must see as many requests as the client had
answered, and each client its own answer.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import Client, fetch
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Response
from tests.support.origin import Origin
from tests.support.wire import Ended
from tests.wire.conftest import Side

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /target HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /target HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"0\r\n\r\n" + HIDDEN

# Must be refused: what they mean depends on who reads them.
REFUSED = {
    # lengths
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "lengths in one field": POST + b"Content-Length: 5, 6\r\n\r\nhello",
    "equal lengths in one field": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "length +5": POST + b"Content-Length: +5\r\n\r\nhello",
    "length -5": POST + b"Content-Length: -5\r\n\r\nhello",
    "length 0x5": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "length 5 5": POST + b"Content-Length: 5 5\r\n\r\nhello",
    "length 5.0": POST + b"Content-Length: 5.0\r\n\r\nhello",
    "length 1_0": POST + b"Content-Length: 1_0\r\n\r\nhellohello",
    "length empty": POST + b"Content-Length: \r\n\r\nhello",
    "length word": POST + b"Content-Length: five\r\n\r\nhello",
    "length too long": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "length in unicode digits": POST + b"Content-Length: \xd9\xa5\r\n\r\nhello",
    "length with a NUL": POST + b"Content-Length: 5\0\r\n\r\nhello",
    "length with a vertical tab": POST + b"Content-Length: \x0b5\r\n\r\nhello",
    # transfer coding beside a length
    "TE and CL": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    "CL and TE": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
    "TE and CL 0": POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    # other transfer codings, and other spellings of chunked
    "TE gzip": POST + b"Transfer-Encoding: gzip\r\n\r\nhello",
    "TE gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + SMUGGLED,
    "TE chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + SMUGGLED,
    "TE identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + SMUGGLED,
    "TE chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + SMUGGLED,
    "TE chunked, chunked": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + SMUGGLED,
    "TE twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    "TE chunked and identity": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + SMUGGLED,
    "TE identity and CL": POST + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    "TE xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    "TE chunked;a=b": POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n" + SMUGGLED,
    "TE quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n' + SMUGGLED,
    "TE with a comma": POST + b"Transfer-Encoding: ,chunked\r\n\r\n" + SMUGGLED,
    "TE empty": POST + b"Transfer-Encoding: \r\n\r\n" + SMUGGLED,
    "TE vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + SMUGGLED,
    "TE in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    "space before the colon of TE": POST + b"Transfer-Encoding : chunked\r\n\r\n" + SMUGGLED,
    "tab before the colon of TE": POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + SMUGGLED,
    "space before TE": POST + b" Transfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    "folded TE": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + SMUGGLED,
    "TE behind a bare LF": POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    "TE behind a bare CR": POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    # the head's lines
    "obs-fold": GET + b"X: a\r\n b\r\n\r\n",
    "obs-fold with a tab": GET + b"X: a\r\n\tb\r\n\r\n",
    "first field line folded": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in the head": GET + b"X: a\nY: b\r\n\r\n",
    "bare LF at its end": GET + b"X: a\r\n\n",
    "bare CR": b"GET / HTTP/1.1\rHost: a\r\r",
    "bare CR in a value": GET + b"X: a\rb\r\n\r\n",
    "CR CR LF": GET + b"X: a\r\r\n\r\n",
    "NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "NUL in a name": GET + b"X\0: a\r\n\r\n",
    "control byte in a value": GET + b"X: a\x01b\r\n\r\n",
    "DEL in a value": GET + b"X: a\x7fb\r\n\r\n",
    "control byte in a name": GET + b"X\x01: a\r\n\r\n",
    "space before the colon": GET + b"X : a\r\n\r\n",
    "space in a name": GET + b"X Y: a\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "no colon": GET + b"X\r\n\r\n",
    "name in parentheses": GET + b"(X): a\r\n\r\n",
    "name beyond ASCII": GET + b"X\xe9: a\r\n\r\n",
    # the request line
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/0.9 with a head": b"GET /\r\nHost: a\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/0.9 said": b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "HTTP/11": b"GET / HTTP/11\r\nHost: a\r\n\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "http/1.1": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "HTTQ/1.1": b"GET / HTTQ/1.1\r\nHost: a\r\n\r\n",
    "space behind the version": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "four words": b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
    "space first": b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL first": b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
    # hosts
    "no Host": b"GET / HTTP/1.1\r\nX: y\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two equal Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "two Hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "Host of two": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "Host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with two ports": b"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
    "Host with a port of letters": b"GET / HTTP/1.1\r\nHost: a:http\r\n\r\n",
    "Host with an open bracket": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "absolute form without a host": b"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "Host with userinfo": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "Host with a fragment": b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n",
}

# The head is well and goes on to the origin; what follows is not.
BAD_CHUNKS = {
    "size not hexadecimal": b"g\r\nhello\r\n0\r\n\r\n",
    "size 0x5": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size -1": b"-1\r\nhello\r\n0\r\n\r\n",
    "size +5": b"+5\r\nhello\r\n0\r\n\r\n",
    "size missing": b"\r\nhello\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "underscore in the size": b"0_5\r\nhello\r\n0\r\n\r\n",
    "size too long": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "size that overflows": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "bare CR behind the size": b"5\rhello\r\n0\r\n\r\n",
    "bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "no end of line behind the data": b"5\r\nhello0\r\n\r\n",
    "more data than said": b"5\r\nhelloo\r\n0\r\n\r\n",
    "bare LF behind the last chunk": b"5\r\nhello\r\n0\n\r\n",
    "bare LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "bare LF in an extension": b"5;a=b\nhello\r\n0\r\n\r\n",
    "bare CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "a trailer": b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "a trailer that frames": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
}

# May be refused, or understood as the one thing that they can mean.
EITHER = {
    "empty lines first": b"\r\n\r\n" + GET + b"\r\n",
    "LF first": b"\n" + GET + b"\r\n",
    "two spaces in the request line": b"GET  /target HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in the request line": b"GET\t/target\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "length with leading zeros": POST + b"Content-Length: 0005\r\n\r\nhello",
    "TE in capitals": POST + b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "TE with space round it": POST + b"Transfer-Encoding: \t chunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Transfer_Encoding": POST + b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
    "Content_Length": POST + b"Content_Length: 50\r\nContent-Length: 5\r\n\r\nhello",
    "X-TE": POST + b"X-Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
    "TE named by Connection": POST
    + b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "CL named by Connection": POST + b"Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
    "chunk extension": CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n',
    "chunk extension with a newline quoted": CHUNKED + b'5;a="\\n"\r\nhello\r\n0\r\n\r\n',
    "long chunk extension": CHUNKED + b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n",
    "chunk size with leading zeros": CHUNKED + b"000000000000005\r\nhello\r\n0\r\n\r\n",
    "many zeros": CHUNKED + b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n",
    "GET with a length": GET + b"Content-Length: 36\r\n\r\n" + HIDDEN.ljust(36),
    "HEAD with a body": b"HEAD /target HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "TRACE with a body": b"TRACE /target HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "odd Connection": GET + b"Connection: close, keep-alive, x, , \r\n\r\n",
    "absolute form of another host": b"GET http://b/target HTTP/1.1\r\nHost: a\r\n\r\n",
    "empty Host": b"GET /target HTTP/1.1\r\nHost:\r\n\r\n",
    "Host with a port that is none": b"GET /target HTTP/1.1\r\nHost: a:b\r\n\r\n",
    "length of the hidden one": POST + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "hidden one in a chunk": CHUNKED + b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n",
    "Upgrade with a hidden one": GET + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n",
    "Expect": POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
}


async def answers(client: Client, method: str) -> list[Response]:
    """All answers until the connection ends; `method` is the first request's."""
    found: list[Response] = []
    while True:
        try:
            found.append(await client.response("GET" if found else method))
        except Ended:
            return found


async def nothing_is_poisoned(gateway: Gateway, origin: Origin) -> None:
    """Another client gets its own answers, over whatever connections the gateway has pooled."""
    for number in range(3):
        response = await fetch(gateway.ingress, "GET", f"/innocent/{number}")
        assert response.value("x-answers") == f"/innocent/{number}".encode()


@pytest.mark.parametrize("shape", REFUSED)
async def test_refused(side: Side, gateway: Gateway, origin: Origin, shape: str) -> None:
    async with await side.connect() as client:
        client.send(REFUSED[shape].replace(b" /target", f" {side.prefix}/target".encode()) + HIDDEN)
        assert_problem(await client.response(), 400)
        assert await client.wire.read_to_end() == b""  # nothing behind it is answered
    assert origin.requests == []
    await nothing_is_poisoned(gateway, origin)


@pytest.mark.parametrize("shape", BAD_CHUNKS)
async def test_bad_chunks_are_refused_and_the_origins_request_never_ends(
    gateway: Gateway, origin: Origin, shape: str
) -> None:
    async with await Client.connect(gateway.ingress) as client:
        client.send(CHUNKED + BAD_CHUNKS[shape] + HIDDEN)
        assert_problem(await client.response(), 400)
        assert await client.wire.read_to_end() == b""
    assert len(origin.requests) <= 1
    for upstream in origin.connections:
        await upstream.gone()
        assert not upstream.received.endswith(b"0\r\n\r\n")
    await nothing_is_poisoned(gateway, origin)


@pytest.mark.parametrize("shape", EITHER)
async def test_one_unambiguous_request_or_none(gateway: Gateway, origin: Origin, shape: str) -> None:
    async with await Client.connect(gateway.ingress) as client:
        client.send(EITHER[shape] + b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = await answers(client, "HEAD" if shape.startswith("HEAD") else "GET")
    assert got
    answered = [response for response in got if response.status == 200]
    if len(answered) < len(got):
        (refusal,) = got[len(answered) :]  # it is the last that is said
        assert refusal.status == 400
    assert [r.value("x-answers") for r in answered] == [request.target for request in origin.requests]
    assert [request.target for request in origin.requests] in ([], [b"/target"], [b"/target", b"/last"])
    for request in origin.requests[:1]:
        assert request.body in (b"", b"hello", HIDDEN, HIDDEN.ljust(36))
    await nothing_is_poisoned(gateway, origin)


async def test_a_flood_is_counted_rather_than_logged(gateway: Gateway, origin: Origin) -> None:
    labels = {"listener": "ingress", "status": "400"}
    before = await gateway.metric("gateway_requests_total", **labels)
    counted = await gateway.metric("gateway_malformed_requests_total", listener="ingress")
    await asyncio.sleep(0.3)  # until what was before is written
    lines = len(gateway.access) + len(gateway.events)
    for number in range(300):
        async with await Client.connect(gateway.ingress) as client:
            client.send(b"GET / HTTP/1.1\r\nBad Name %d: x\r\n\r\n" % number)
            assert (await client.response()).status == 400
    assert await gateway.metric("gateway_requests_total", **labels) == before + 300
    assert await gateway.metric("gateway_malformed_requests_total", listener="ingress") == counted + 300
    assert len(gateway.access) + len(gateway.events) - lines < 10
    assert "Bad Name" not in gateway.stderr
