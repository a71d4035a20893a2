"""Expect: 100-continue end to end: the upstream decides, the gateway never speaks for it (RFC 9110, 10.1.1)."""

from __future__ import annotations

from tests.support.client import Client, chunked, head
from tests.support.expect import assert_problem
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, Start

EXPECT = ("Expect", "100-continue")


async def test_continue_end_to_end(side: Side, origin: Origin) -> None:
    origin.hold()
    async with await side.connect() as client:
        client.send(head("POST", f"{side.prefix}/", [EXPECT, ("Content-Length", "5")]))
        upstream = await origin.accept()
        request = await upstream.head()
        assert request.value("expect") == b"100-continue"
        await client.wire.silence()  # no 100 of the gateway's own
        upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert (await client.response_head()).status == 100
        await upstream.wire.silence(0.02)
        client.send(b"hello")
        assert await upstream.body(request).rest() == b"hello"
        upstream.send(ok())
        response = await client.response()
        assert (response.status, response.closes) == (200, False)
        client.ask("GET", f"{side.prefix}/next")  # both connections go on
        assert (await upstream.request()).target == b"/next"
        upstream.send(ok())
        assert (await client.response()).status == 200


async def test_continue_with_a_chunked_body(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("PUT", "/", [EXPECT, ("Transfer-Encoding", "chunked")]))
    upstream = await origin.accept()
    request = await upstream.head()
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (await client.response_head()).status == 100
    client.send(chunked(b"hello", b" world"))
    assert await upstream.body(request).rest() == b"hello world"
    upstream.send(ok())
    assert (await client.response()).status == 200


async def test_a_final_status_without_continue(client: Client, origin: Origin) -> None:
    """The client never sends its body, so neither connection can carry another request."""
    origin.hold()
    client.send(head("POST", "/", [EXPECT, ("Content-Length", "5")]))
    upstream = await origin.accept()
    await upstream.head()
    upstream.send(ok(b"too large", status=b"413 Content Too Large"))
    response = await client.response()
    assert (response.status, response.body, response.informational) == (413, b"too large", [])
    assert response.closes
    assert await client.wire.end() == "fin"
    assert await upstream.gone()


async def test_a_client_that_does_not_wait(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("POST", "/", [EXPECT, ("Content-Length", "5")]) + b"hello")
    upstream, request = await origin.request()
    assert request.body == b"hello"
    upstream.send(ok())
    assert (await client.response()).status == 200


async def test_a_continue_that_nobody_asked_for_does_no_harm(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"HTTP/1.1 100 Continue\r\n\r\n" + ok()
    for _ in range(2):
        response = await client.request("POST", "/", body=b"hello")
        assert (response.status, response.body) == (200, b"ok")


async def test_http_1_0_has_no_expectations(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"HTTP/1.1 100 Continue\r\n\r\n" + ok()
    response = await client.request("POST", "/", [EXPECT], b"hello", version="HTTP/1.0")
    assert (response.status, response.informational) == (200, [])
    assert origin.requests[0].body == b"hello"


async def test_another_expectation_is_the_upstreams_to_judge(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: ok(status=b"417 Expectation Failed")
    response = await client.request("GET", "/", [("Expect", "magic")])
    assert response.status == 417
    assert origin.requests[0].value("expect") == b"magic"


async def test_a_refusal_of_the_gateways_own_comes_without_continue(start: Start) -> None:
    gateway = await start(ingress={"routes": [{"path": "/a", "upstream": "app"}]})
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("POST", "/nowhere", [EXPECT, ("Content-Length", "5")]))
        response = await client.response()
        assert_problem(response, 404)
        assert response.closes
        assert await client.wire.end() == "fin"
