"""A client that was held back while its upload had nowhere to go is read again, whichever way the upload ended."""

from __future__ import annotations

import socket

import pytest

from tests.support.client import Client, head
from tests.support.gateway import Gateway, until
from tests.support.origin import Origin, listen, ok
from tests.wire.conftest import Start

WHOLE = 65_600  # bytes: just more than the gateway holds for a body without a taker, so that the last read tells


async def test_an_upload_that_was_whole_before_it_had_a_connection(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"pool": {"connections": 1, "wait": "5s"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as busy, await Client.connect(gateway.ingress) as client:
        busy.ask("GET", "/busy")
        upstream, _ = await origin.request()
        client.ask("POST", "/whole", body=b"x" * WHOLE)
        await gateway.metric_is(1, "gateway_upstream_connections", upstream="app", state="waiting")
        upstream.send(ok())
        assert (await busy.response()).status == 200
        assert len((await upstream.request()).body) == WHOLE
        upstream.send(ok())
        assert (await client.response()).status == 200
        client.ask("GET", "/next")
        assert (await upstream.request(2)).target == b"/next"
        upstream.send(ok())
        assert (await client.response()).status == 200


async def test_an_upload_that_never_had_a_connection(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"pool": {"connections": 1, "wait": "100ms"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as busy, await Client.connect(gateway.ingress) as client:
        busy.ask("GET", "/busy")
        upstream, _ = await origin.request()
        assert (await client.request("POST", "/whole", body=b"x" * WHOLE)).status == 503
        upstream.send(ok())
        assert (await busy.response()).status == 200
        client.ask("GET", "/next")
        assert (await upstream.request(2)).target == b"/next"
        upstream.send(ok())
        assert (await client.response()).status == 200


async def test_an_upload_answered_before_the_upstream_took_it(start: Start) -> None:
    """The gateway has all of it, the upstream has not read it and answers; the rest is read behind the answer."""
    small = listen()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with small:
        async with Origin(small) as other:
            gateway = await start(whole=_in_front_of(other))
            other.hold()
            for size in (80_000, 100_000, 130_000, 160_000):
                await answered_early(gateway, other, size)


async def answered_early(gateway: Gateway, origin: Origin, size: int) -> None:
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("POST", "/early", [("Content-Length", str(size))]))
        upstream = await origin.accept()
        request = await upstream.head()
        upstream.wire.pause()
        client.send(b"x" * size)
        await until(lambda: client.wire.unsent() == 0, "the upload to leave the client")
        upstream.send(ok())
        assert (await client.response()).status == 200
        upstream.wire.resume()
        assert len(await upstream.body(request).rest()) == size
        client.ask("GET", "/next")
        if not client.wire.ended:  # closing it would do as well
            assert (await upstream.request(2)).target == b"/next"
            upstream.send(ok(b"", b"Connection: close"))
            assert (await client.response()).status == 200
            upstream.wire.close()


def _in_front_of(origin: Origin) -> dict[str, object]:
    upstream = {"url": origin.url, "breaker": False}
    return {
        "ingress": {"bind": "127.0.0.1:0", "routes": [{"path": "/**", "upstream": "app"}]},
        "upstreams": {"app": upstream},
        "metrics": {"bind": "127.0.0.1:0"},
        "admin": False,
    }


@pytest.mark.parametrize("size", [10, 5000])
async def test_requests_behind_a_refused_upgrade(gateway: Gateway, origin: Origin, size: int) -> None:
    """They waited for the upgrade's answer, the large ones past what is held; when that is no 101 all are served."""
    count = 30
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("GET", "/upgrade", [("Connection", "Upgrade"), ("Upgrade", "other")]))
        client.send(head("GET", "/behind", [("X-Large", "x" * size)]) * count)
        for _ in range(count + 1):
            assert (await client.response(within=2)).status == 200
        assert (await client.request("GET", "/next", within=2)).status == 200
    assert len(origin.requests) == count + 2
