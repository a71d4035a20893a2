"""Responses without a body, interim responses, and statuses that few expect."""

from __future__ import annotations

import pytest

from tests.support.client import Client, fetch, head
from tests.support.expect import FRAMING, passed_on
from tests.support.gateway import Gateway
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1234", b"Transfer-Encoding: chunked", b"Content-Length: 0", b"X-None: 1"]
)
async def test_head_has_the_fields_and_no_body(side: Side, origin: Origin, framing: bytes) -> None:
    origin.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\n" + framing + b"\r\nETag: a\r\n\r\n" if request.method == b"HEAD" else ok()
    )
    async with await side.connect() as client:
        response = await client.request("HEAD", f"{side.prefix}/")
        assert (response.status, response.value("etag")) == (200, b"a")
        if framing.startswith(b"Content-Length"):
            assert response.value("content-length") == framing.rpartition(b" ")[2]
        await client.wire.silence(0.02)
        assert (await client.request("GET", f"{side.prefix}/")).body == b"ok"


@pytest.mark.parametrize(
    "head_of_answer",
    [
        b"HTTP/1.1 204 No Content\r\nX-A: b\r\n",
        b"HTTP/1.1 304 Not Modified\r\nX-A: b\r\nContent-Length: 1234\r\n",
        b"HTTP/1.1 304 Not Modified\r\nX-A: b\r\n",
        b"HTTP/1.1 205 Reset Content\r\nX-A: b\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 0\r\n",
    ],
)
async def test_no_body_where_there_is_none(side: Side, origin: Origin, head_of_answer: bytes) -> None:
    origin.answer = lambda request: ok() if request.target == b"/next" else head_of_answer + b"\r\n"
    async with await side.connect() as client:
        response = await client.request("GET", f"{side.prefix}/")
        assert (str(response.status).encode(), response.reason) == tuple(
            head_of_answer.split(b"\r\n")[0].split(b" ", 2)[1:]
        )
        assert response.value("x-a") == b"b"
        if response.status == 204:
            assert not response.names() & {"content-length", "transfer-encoding"}  # RFC 9110, section 8.6
        assert (await client.request("GET", f"{side.prefix}/next")).body == b"ok"
    assert len(origin.connections) == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\nextra"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nextra"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokextra"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nextra"),
    ],
)
async def test_bytes_behind_a_response_reach_nobody(
    gateway: Gateway, origin: Origin, method: str, answer: bytes
) -> None:
    origin.answer = lambda request: ok(b"next") if request.target == b"/next" else answer
    response = await fetch(gateway.ingress, method, "/")
    assert response.status < 400
    assert response.body in (b"", b"ok")
    assert (await fetch(gateway.ingress, "GET", "/next")).body == b"next"
    assert len(origin.connections) == 2  # the first one cannot be trusted any more


async def test_early_hints_pass_and_come_first(side: Side, origin: Origin) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.ask("GET", f"{side.prefix}/")
        upstream, _ = await origin.request()
        for number in (1, 2):
            upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </%d>; rel=preload\r\nX-a: b\r\n\r\n" % number)
            early = await client.response_head()  # while the final response is still to come
            assert (early.status, early.value("link")) == (103, b"</%d>; rel=preload" % number)
            assert not early.names() & {"content-length", "transfer-encoding"}
        upstream.send(ok(b"final"))
        assert (await client.response()).body == b"final"


@pytest.mark.parametrize("status", [b"102 Processing", b"104 Upload Resumption Supported", b"199 Odd"])
async def test_other_interim_responses_pass(client: Client, origin: Origin, status: bytes) -> None:
    origin.answer = lambda request: b"HTTP/1.1 " + status + b"\r\nX-A: b\r\n\r\n" + ok()
    response = await client.request("GET", "/")
    assert [r.status for r in response.informational] == [int(status[:3])]
    assert (response.status, response.body) == (200, b"ok")


async def test_an_interim_response_and_the_final_one_in_one_write_stay_two(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 3 + ok()
    for _ in range(2):
        response = await client.request("GET", "/")
        assert [r.status for r in response.informational] == [103, 103, 103]
        assert response.body == b"ok"


async def test_no_interim_response_to_http_1_0(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok()
    response = await client.request("GET", "/", version="HTTP/1.0")
    assert (response.informational, response.status, response.body) == ([], 200, b"ok")


async def test_101_that_nobody_asked_for_is_no_answer(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    response = await client.request("GET", "/")
    assert response.status == 502


@pytest.mark.parametrize(
    "status",
    [
        b"200 ",
        b"299 Fine By Me",
        b"418 I'm a teapot",
        b"451 \xe9\xff",
        b"499 Gone",
        b"599 X",
        b"600 Y",
        b"999 Request denied",
    ],
)
async def test_unusual_statuses_pass_with_their_reason(side: Side, origin: Origin, status: bytes) -> None:
    origin.answer = lambda request: ok(b"body", b"X-A: b", status=status)
    async with await side.connect() as client:
        for _ in range(2):
            response = await client.request("GET", f"{side.prefix}/")
            assert b"%d %b" % (response.status, response.reason) == status
            assert response.body == b"body"
            assert passed_on(response, but=FRAMING) == [(b"X-A", b"b")]
    assert len(origin.connections) == 1


async def test_an_upstreams_own_error_passes_untouched(side: Side, origin: Origin) -> None:
    body = b'{"error": {"message": "overloaded"}}'
    lines = [b"Content-Type: application/problem+json", b"Retry-After: 17", b"Proxy-Status: other; error=dns_error"]
    origin.answer = lambda request: ok(body, *lines, status=b"503 Overloaded")
    async with await side.connect() as client:
        response = await client.request("POST", f"{side.prefix}/", body=b"x")
    assert (response.status, response.reason, response.body) == (503, b"Overloaded", body)
    assert passed_on(response, but=FRAMING) == [tuple(line.split(b": ", 1)) for line in lines]


async def test_a_head_in_many_pieces(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("GET", "/"))
    upstream, _ = await origin.request()
    answer = b"HTTP/1.1 103 E\r\nA: b\r\n\r\n" + ok(b"pieces", b"X-A: b")
    for index in range(len(answer)):
        upstream.send(answer[index : index + 1])
        await upstream.wire.drain()
        if index % 8 == 0 and index < 20:  # behind that, the 103 may pass at any time
            await client.wire.silence(0)
    response = await client.response()
    assert ([r.status for r in response.informational], response.body) == ([103], b"pieces")
