"""TLS to upstreams: certificates are verified, the name is asked for (SNI), and failures have their own error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client, fetch, head
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.origin import Origin, ok
from tests.support.tls import Authority
from tests.wire.conftest import Start


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def through(start: Start, secure: Origin, host: str, **tls: Any) -> Gateway:
    """A gateway in front of a TLS origin, called by that host name."""
    section = {"url": f"https://{host}:{secure.address[1]}", "breaker": False, "tls": tls}
    return await start(upstreams={"app": section})


async def test_a_verified_upstream(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("localhost")) as secure:
        gateway = await through(start, secure, "localhost", ca=str(authority.file))
        secure.answer = lambda request: ok(request.body * 2)
        body = b"x" * 500_000
        for _ in range(2):
            response = await fetch(gateway.ingress, "POST", "/", body=body)
            assert (response.status, len(response.body)) == (200, 2 * len(body))
        assert len(secure.connections) == 1
        assert authority.asked == ["localhost"]


async def test_an_address_has_no_name_to_ask_for(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("127.0.0.1")) as secure:
        gateway = await through(start, secure, "127.0.0.1", ca=str(authority.file))
        assert (await fetch(gateway.ingress, "GET", "/")).status == 200
        assert authority.asked == [None]


async def test_an_unknown_authority(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("localhost")) as secure:
        gateway = await through(start, secure, "localhost")
        response = await fetch(gateway.ingress, "GET", "/")
        assert_problem(response, 502, "tls_certificate_error")
        assert secure.requests == []


async def test_a_certificate_for_another_name(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("other.example")) as secure:
        gateway = await through(start, secure, "localhost", ca=str(authority.file))
        assert_problem(await fetch(gateway.ingress, "GET", "/"), 502, "tls_certificate_error")
        assert secure.requests == []


async def test_another_name_may_be_asked_for(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("other.example")) as secure:
        gateway = await through(start, secure, "localhost", ca=str(authority.file), server_name="other.example")
        assert (await fetch(gateway.ingress, "GET", "/")).status == 200
        assert authority.asked == ["other.example"]


async def test_verification_may_be_off(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("other.example")) as secure:
        gateway = await through(start, secure, "localhost", verify=False)
        assert (await fetch(gateway.ingress, "GET", "/")).status == 200


async def test_an_upstream_that_speaks_no_tls(start: Start, origin: Origin) -> None:
    gateway = await start(upstreams={"app": {"url": origin.url.replace("http:", "https:"), "breaker": False}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream = await origin.accept()
        await upstream.wire.read_some()
        upstream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert_problem(await client.response(), 502, "tls_protocol_error")


async def test_a_stream_over_tls_flows_and_is_cut_when_it_breaks_off(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("localhost")) as secure:
        gateway = await through(start, secure, "localhost", ca=str(authority.file))
        secure.hold()
        async with await Client.connect(gateway.ingress) as client:
            client.send(head("GET", "/"))
            upstream, _ = await secure.request()
            upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            body = client.body(await client.response_head())
            assert await body.read(5) == b"hello"
            upstream.wire.reset()
            await client.wire.end()
            assert b"0\r\n\r\n" not in client.wire.received


async def test_a_client_that_leaves_ends_the_upstreams_connection(start: Start, authority: Authority) -> None:
    async with Origin(tls=authority.server("localhost")) as secure:
        gateway = await through(start, secure, "localhost", ca=str(authority.file))
        secure.hold()
        async with await Client.connect(gateway.ingress) as client:
            client.send(head("GET", "/"))
            upstream, _ = await secure.request()
            client.wire.reset()
            await upstream.wire.wait(lambda: bool(upstream.wire.ended or upstream.wire.closed), "the end", 1)
