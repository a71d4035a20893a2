"""Fields pass in their order, case and number, both ways; hop-by-hop ones stop here."""

from __future__ import annotations

import pytest

from tests.support.client import Client, head
from tests.support.expect import FRAMING, assert_problem, passed_on
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side

ODD = [
    (b"accept", b"*/*"),
    (b"X-First", b"1"),
    (b"x-first", b"2"),
    (b"ETag", b'"a"'),
    (b"eTAG", b'"b"'),
    (b"Cookie", b"a=b; c=d"),
    (b"X-First", b"3"),
    (b"X-Empty", b""),
    (b"X-Latin", b"caf\xe9 \xff"),
    (b"X-UTF8", "日本".encode()),
    (b"X-Inner", b"a \t b,  c"),
    (b"x_under_score", b"_"),
    (b"!#$%&'*+-.^`|~9", b"every token character"),
    (b"Authorization", b"Bearer x"),
    (b"Content-Encoding", b"gzip"),
    (b"Content-Type", b"Text/Plain;Charset=UTF-8"),
    (b"Via", b"1.1 somebody"),
    (b"Set-Cookie", b"a=1"),
    (b"set-cookie", b"b=2"),
]


async def test_request_fields_pass_in_order_case_and_number(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        await client.request("GET", f"{side.prefix}/", ODD)
    (request,) = origin.requests
    assert passed_on(request, but={"host"}) == ODD


async def test_response_fields_pass_in_order_case_and_number(side: Side, origin: Origin) -> None:
    lines = b"".join(b"%b: %b\r\n" % pair for pair in ODD)
    origin.answer = lambda request: b"HTTP/1.1 200 Fine\r\n" + lines + b"content-LENGTH: 2\r\nDate: now\r\n\r\nok"
    async with await side.connect() as client:
        response = await client.request("GET", f"{side.prefix}/")
    assert passed_on(response) == [*ODD, (b"content-LENGTH", b"2"), (b"Date", b"now")]
    assert (response.status, response.reason) == (200, b"Fine")


async def test_a_response_gains_nothing_but_the_correlation_id(client: Client, origin: Origin) -> None:
    response = await client.request("GET", "/")
    assert response.names() == {"content-length", "x-answers", "x-correlation-id"}


async def test_space_round_values_is_dropped(client: Client, origin: Origin) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost:a\r\nX-A:b\r\nX-C: \t d \t\r\nX-E:\t\r\n\r\n")
    assert (await client.response()).status == 200
    assert passed_on(origin.requests[0]) == [(b"Host", b"a"), (b"X-A", b"b"), (b"X-C", b"d"), (b"X-E", b"")]


HOP_BY_HOP = [
    ("Connection", "keep-alive, X-Named , x-named-too"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "gzip"),
    ("Upgrade", "websocket"),
    ("Proxy-Authorization", "Basic x"),
    ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
    ("X-Named", "1"),
    ("X-NAMED-TOO", "2"),
    ("X-Kept", "3"),
]


async def test_hop_by_hop_fields_of_a_request_stop_here(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        assert (await client.request("GET", f"{side.prefix}/", HOP_BY_HOP)).status == 200
    (request,) = origin.requests
    assert passed_on(request, but={"host", "connection"}) == [(b"X-Kept", b"3")]
    assert request.value("connection") in (None, b"keep-alive")


async def test_hop_by_hop_fields_of_a_response_stop_here(side: Side, origin: Origin) -> None:
    lines = [
        b"Connection: X-Named, keep-alive",
        b"Keep-Alive: timeout=99",
        b"Proxy-Connection: keep-alive",
        b"X-Named: 1",
        b"X-Kept: 2",
        b"Proxy-Authenticate: Basic",
    ]
    origin.answer = lambda request: ok(b"ok", *lines)
    async with await side.connect() as client:
        response = await client.request("GET", f"{side.prefix}/")
        assert (await client.request("GET", f"{side.prefix}/")).status == 200  # both connections go on
    assert passed_on(response, but=FRAMING) == [(b"X-Kept", b"2"), (b"Proxy-Authenticate", b"Basic")]
    assert len(origin.connections) == 1


@pytest.mark.parametrize(
    "name",
    ["Host", "Content-Length", "Cookie", "Authorization", "X-Forwarded-For", "X-Correlation-ID", "traceparent"],
)
async def test_connection_cannot_name_what_the_app_decides_by(client: Client, origin: Origin, name: str) -> None:
    sent = [("Connection", name), ("Cookie", "a"), ("Authorization", "b")]
    assert (await client.request("POST", "/", sent, b"body")).status == 200
    (request,) = origin.requests
    assert request.body == b"body"
    assert request.names() >= {
        "host",
        "cookie",
        "authorization",
        "x-forwarded-for",
        "x-correlation-id",
        "traceparent",
    }


async def test_connection_close_of_one_side_is_not_the_other_sides(client: Client, origin: Origin) -> None:
    client.send(head("GET", "/", [("Connection", "close")]))
    response = await client.response()
    assert response.closes
    assert await client.wire.end() == "fin"
    assert origin.requests[0].value("connection") in (None, b"keep-alive")
    assert not origin.connections[0].wire.ended


async def test_an_upstreams_close_does_not_close_the_client(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: ok(b"ok", b"Connection: close")
    for _ in range(2):
        response = await client.request("GET", "/")
        assert not response.closes
    assert len(origin.connections) == 2


async def test_large_values_and_many_fields_pass(client: Client, origin: Origin) -> None:
    sent = [(b"X-Large", b"x" * 30_000)] + [(b"X-%d" % number, b"%d" % number) for number in range(100)]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in sent)
    origin.answer = lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines + b"\r\n"
    response = await client.request("GET", "/", sent)
    assert passed_on(origin.requests[0], but={"host"}) == sent
    assert passed_on(response, but=FRAMING) == sent


async def test_the_listeners_default_limit_is_128_fields(client: Client, origin: Origin) -> None:
    fields = [(f"X-{number}", "") for number in range(127)]
    assert (await client.request("GET", "/", fields)).status == 200  # with Host
    assert_problem(await client.request("GET", "/", [*fields, ("X-More", "")]), 431)
    assert len(origin.requests) == 1
