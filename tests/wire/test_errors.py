"""The table of what a client sees: every row of it that applies so far is problem+json with Proxy-Status."""

from __future__ import annotations

import json

import pytest

from tests.support.client import Client, fetch, head
from tests.support.config import url
from tests.support.expect import assert_problem
from tests.support.faults import black_hole, refusing, unreachable
from tests.support.gateway import Gateway
from tests.support.message import Request, Response
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, Start, StartOnce


@pytest.fixture(scope="module")
def strict(start_once: StartOnce) -> Gateway:
    """One route, small limits."""
    return start_once(
        ingress={
            "routes": [{"path": "/a", "methods": ["GET", "POST"], "upstream": "app"}],
            "limits": {"request_line": "256B", "header_count": 10, "header_size": "1KiB"},
        }
    )


async def test_no_route(strict: Gateway, origin: Origin) -> None:
    assert_problem(await fetch(strict.ingress, "GET", "/b"), 404)


async def test_no_route_for_the_method(strict: Gateway, origin: Origin) -> None:
    response = await fetch(strict.ingress, "DELETE", "/a")
    assert_problem(response, 405)
    assert {word.strip() for word in response.values("allow")[0].split(b",")} >= {b"GET", b"POST"}


async def test_target_too_long(strict: Gateway, origin: Origin) -> None:
    assert_problem(await fetch(strict.ingress, "GET", "/" + "a" * 300), 414)


async def test_too_many_or_too_large_fields(strict: Gateway, origin: Origin) -> None:
    assert_problem(await fetch(strict.ingress, "GET", "/a", [("X", "y")] * 11), 431)
    assert_problem(await fetch(strict.ingress, "GET", "/a", [("X", "y" * 1100)]), 431)


async def test_malformed(strict: Gateway, origin: Origin) -> None:
    assert_problem(await fetch(strict.ingress, "GET", "nonsense"), 400)
    assert origin.connections == []


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b"", 502, "connection_terminated"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 502, "connection_terminated"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 502, "http_protocol_error"),
    ],
)
async def test_broken_off_before_a_byte_went_out(
    client: Client, origin: Origin, answer: bytes, status: int, error: str
) -> None:
    origin.hold()
    for how in ("fin", "reset"):
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        upstream.send(answer)
        upstream.wire.half_close() if how == "fin" or answer else upstream.wire.reset()
        response = await client.response()
        assert_problem(response, status, error)
        assert not response.closes


async def test_no_connection(start: Start) -> None:
    with refusing() as refused, unreachable() as hanging, black_hole() as silent:
        upstreams = {
            "refused": {"url": url(refused)},
            "hanging": {"url": url(hanging), "timeout": {"connect": "100ms"}},
            "silent": {"url": url(silent), "timeout": {"headers": "100ms"}},
            "unknown": {"url": "http://no-such-host.invalid"},
            "no-tls": {"url": url(silent).replace("http:", "https:"), "timeout": {"connect": "100ms"}},
        }
        routes = [{"path": f"/{name}", "upstream": name} for name in upstreams]
        gateway = await start(upstreams=upstreams, ingress={"routes": routes})
        for path, status, error in (
            ("/refused", 502, "connection_refused"),
            ("/hanging", 504, "connection_timeout"),
            ("/silent", 504, "http_response_timeout"),
            ("/unknown", 502, "dns_error"),
            ("/no-tls", 504, "connection_timeout"),
        ):
            assert_problem(await fetch(gateway.ingress, "POST", path, body=b"x"), status, error)


async def test_the_answer_is_framed_for_its_request(strict: Gateway, origin: Origin) -> None:
    """A HEAD's refusal has no body; one behind a whole body leaves the connection open; HTTP/1.0 gets no chunks."""
    async with await Client.connect(strict.ingress) as client:
        response = await client.request("HEAD", "/b")
        assert (response.status, response.body) == (404, b"")
        assert response.value("content-type") == b"application/problem+json"
        response = await client.request("POST", "/b", body=b"whole")
        assert_problem(response, 404)
        assert not response.closes
        assert (await client.request("GET", "/a")).status == 200
        response = await client.request("GET", "/b", version="HTTP/1.0")
        assert_problem(response, 404)
        assert await client.wire.end() == "fin"


async def test_an_unread_upload_ends_the_connection_behind_the_refusal(strict: Gateway, origin: Origin) -> None:
    async with await Client.connect(strict.ingress) as client:
        client.send(head("POST", "/b", [("Content-Length", "10000000")]))
        for _ in range(16):
            client.send(b"x" * 65536)
            await client.wire.drain()
        response = await client.response()
        assert_problem(response, 404)
        assert response.closes
        assert await client.wire.end()


async def test_nothing_of_the_request_or_the_upstream_is_told(side: Side, origin: Origin) -> None:
    """A refusal shows neither addresses, nor fields, nor the upstream's bytes."""
    origin.answer = lambda request: b"secret-in-nonsense\r\n\r\n"
    async with await side.connect() as client:
        fields = [("Authorization", "Bearer secret-token"), ("X-Api-Key", "secret-key")]
        response = await client.request("GET", f"{side.prefix}/secret-path?key=secret-query", fields)
    assert_problem(response, 502)
    everything = response.raw_head + response.body
    assert b"secret" not in everything
    assert str(origin.address[1]).encode() not in everything


async def test_an_upstreams_own_problem_passes_untouched(side: Side, origin: Origin) -> None:
    def answer(request: Request) -> bytes:
        return ok(b'{"type":"about:blank"}', b"Content-Type: application/problem+json", status=b"404 Not Found")

    origin.answer = answer
    async with await side.connect() as client:
        response: Response = await client.request("GET", f"{side.prefix}/")
    assert (response.status, json.loads(response.body)) == (404, {"type": "about:blank"})
    assert "proxy-status" not in response.names()
