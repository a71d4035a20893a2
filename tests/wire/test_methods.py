"""Every method that llhttp knows goes through as it is; CONNECT and what it does not know do not."""

from __future__ import annotations

import pytest

from tests.support.client import Client, head
from tests.support.expect import assert_problem
from tests.support.origin import Origin
from tests.wire.conftest import Side, Start

_METHODS = """
ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS PATCH
POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE
"""
METHODS = _METHODS.split()


async def test_every_method_passes(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        for method in METHODS:
            response = await client.request(method, f"{side.prefix}/{method}")
            assert response.status == 200
            assert response.value("x-answers") == f"/{method}".encode()
    assert [request.method.decode() for request in origin.requests] == METHODS


async def test_every_method_may_carry_a_body(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        for method in METHODS:
            response = await client.request(method, f"{side.prefix}/", body=b"content of " + method.encode())
            assert response.status == 200
    assert [request.body for request in origin.requests] == [b"content of " + m.encode() for m in METHODS]


async def test_a_request_without_a_body_gains_no_framing(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        for method in ("GET", "DELETE", "OPTIONS", "QUERY"):
            await client.request(method, f"{side.prefix}/")
    for request in origin.requests:
        assert not request.names() & {"content-length", "transfer-encoding"}


async def test_connect_is_not_allowed(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        client.send(b"CONNECT origin.example:443 HTTP/1.1\r\nHost: origin.example:443\r\n\r\nnot HTTP")
        assert_problem(await client.response(), 405)
        assert await client.wire.read_to_end() == b""
    assert origin.connections == []


@pytest.mark.parametrize("method", ["FOO", "get", "Get", "DESCRIBE", "GETT", "G\xc9T", "G@T", "GET\t", "PRI"])
async def test_a_method_that_llhttp_does_not_know_is_refused(method: str, client: Client, origin: Origin) -> None:
    client.send(head(method, "/"))
    assert_problem(await client.response(), 400)
    assert await client.wire.read_to_end() == b""
    assert origin.connections == []


async def test_http2_by_prior_knowledge_is_refused(client: Client, origin: Origin) -> None:
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
    assert_problem(await client.response(), 400)
    assert await client.wire.read_to_end() == b""
    assert origin.connections == []


async def test_a_route_for_other_methods_says_which(start: Start, origin: Origin) -> None:
    gateway = await start(
        ingress={
            "routes": [
                {"path": "/only", "methods": ["POST", "PUT"], "upstream": "app"},
                {"path": "/only", "methods": ["PATCH"], "upstream": "app"},
                {"path": "/read", "methods": ["GET"], "upstream": "app"},
            ]
        }
    )
    async with await Client.connect(gateway.ingress) as client:
        refused = await client.request("DELETE", "/only")
        assert_problem(refused, 405)
        allow = refused.value("allow")
        assert allow is not None
        assert {method.strip() for method in allow.split(b",")} == {b"POST", b"PUT", b"PATCH"}
        for method, path in (("POST", "/only"), ("PATCH", "/only"), ("GET", "/read"), ("HEAD", "/read")):
            assert (await client.request(method, path)).status == 200
    assert [request.method for request in origin.requests] == [b"POST", b"PATCH", b"GET", b"HEAD"]
