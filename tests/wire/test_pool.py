"""Upstream connections: used again, bounded, waited for, let go when idle or old."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.client import Client, fetch, head
from tests.support.expect import assert_problem, assert_within
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, Start, StartOnce


async def test_a_connection_is_used_again(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        for _ in range(5):
            await client.request("GET", f"{side.prefix}/")
        for _ in range(5):
            await client.request("POST", f"{side.prefix}/", body=b"x")
    for _ in range(5):
        assert (await fetch(side.address, "GET", f"{side.prefix}/")).status == 200
    assert len(origin.connections) == 1
    assert len(origin.requests) == 15


async def test_requests_at_once_have_a_connection_each(gateway: Gateway, origin: Origin) -> None:
    release = asyncio.Event()

    async def answer(request: Request) -> bytes:
        await release.wait()
        return ok()

    origin.answer = answer
    waiting = [asyncio.create_task(fetch(gateway.ingress, "GET", "/")) for _ in range(3)]
    while len(origin.requests) < 3:
        await asyncio.sleep(0.005)
    release.set()
    await asyncio.gather(*waiting)
    assert len(origin.connections) == 3
    await fetch(gateway.ingress, "GET", "/")
    assert len(origin.connections) == 3


async def test_both_listeners_share_an_upstreams_pool_by_name(start: Start, origin: Origin) -> None:
    gateway = await start(egress={"routes": [{"path": "/**", "upstream": "app"}]})
    await fetch(gateway.ingress, "GET", "/")
    await fetch(gateway.egress, "GET", "/")
    assert len(origin.connections) == 1


async def test_connections_are_counted_by_state(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        samples = await gateway.samples("gateway_upstream_connections")
        assert sum(v for labels, v in samples.items() if ("upstream", "app") in labels) == 1
        busy = {labels for labels, value in samples.items() if value == 1}
        upstream.send(ok())
        await client.response()
    samples = await gateway.samples("gateway_upstream_connections")
    idle = {labels for labels, value in samples.items() if value == 1}
    assert len(busy) == len(idle) == 1
    assert busy != idle
    upstream.wire.close()
    await gateway.metric_is(0, "gateway_upstream_connections", upstream="app")


@pytest.fixture(scope="module")
def small(start_once: StartOnce) -> Gateway:
    """Two connections at most; one request may wait, for 300 ms."""
    return start_once(upstream={"pool": {"connections": 2, "wait": "300ms", "queue": 1}})


async def busy(gateway: Gateway, origin: Origin, count: int) -> list[Client]:
    """So many clients, each with a request that the origin has and does not answer."""
    origin.hold()
    clients = []
    for number in range(count):
        clients.append(await Client.connect(gateway.ingress))
        clients[-1].ask("GET", f"/{number}")
        await origin.request()
    return clients


async def test_a_full_pool_is_waited_for(small: Gateway, origin: Origin) -> None:
    clients = await busy(small, origin, 2)
    async with await Client.connect(small.ingress) as third:
        third.ask("GET", "/third")
        await third.wire.silence(0.1)
        origin.connections[0].send(ok(b"first"))
        assert (await clients[0].response()).body == b"first"
        assert (await origin.connections[0].request()).target == b"/third"
        origin.connections[0].send(ok(b"third"))
        assert (await third.response()).body == b"third"
    assert len(origin.connections) == 2
    for client in clients:
        client.wire.close()


async def test_a_full_pool_is_waited_for_no_longer_than_said(small: Gateway, origin: Origin) -> None:
    clients = await busy(small, origin, 2)
    started = time.monotonic()
    response = await fetch(small.ingress, "GET", "/third")
    assert_within(time.monotonic() - started, 0.3)
    assert_problem(response, 503, "connection_limit_reached")
    retry_after = response.value("retry-after")
    assert retry_after is not None
    assert int(retry_after) >= 1
    assert len(origin.connections) == 2
    for client in clients:
        client.wire.close()


async def test_a_full_queue_refuses_at_once(small: Gateway, origin: Origin) -> None:
    clients = await busy(small, origin, 2)
    async with await Client.connect(small.ingress) as waiting:
        waiting.ask("GET", "/waiting")
        await waiting.wire.silence(0.05)
        started = time.monotonic()
        assert_problem(await fetch(small.ingress, "GET", "/fourth"), 503, "connection_limit_reached")
        assert time.monotonic() - started < 0.15
    for client in clients:
        client.wire.close()


async def test_a_place_in_the_queue_is_given_back(small: Gateway, origin: Origin) -> None:
    clients = await busy(small, origin, 2)
    for _ in range(3):
        async with await Client.connect(small.ingress) as waiting:
            waiting.ask("GET", "/leaves")
            await waiting.wire.silence(0.03)
        await small.access_line(status=499)
        small.access.clear()
    async with await Client.connect(small.ingress) as waiting:
        waiting.ask("GET", "/stays")
        await waiting.wire.silence(0.03)
        origin.connections[1].send(ok())
        assert (await origin.connections[1].request()).target == b"/stays"
        origin.connections[1].send(ok())
        assert (await waiting.response()).status == 200
    for client in clients:
        client.wire.close()


async def test_a_client_that_leaves_gives_the_connections_place_back(small: Gateway, origin: Origin) -> None:
    for _ in range(3):
        clients = await busy(small, origin, 2)
        for client, upstream in zip(clients, origin.connections[-2:], strict=True):
            client.wire.reset()
            await upstream.gone()
    origin.serve()
    assert (await fetch(small.ingress, "GET", "/")).status == 200


async def test_a_failed_connection_gives_its_place_back(small: Gateway, origin: Origin) -> None:
    for _ in range(5):
        origin.hold()
        async with await Client.connect(small.ingress) as client:
            client.ask("GET", "/")
            upstream, _ = await origin.request()
            upstream.wire.reset()
            assert_problem(await client.response(), 502, "connection_terminated")
    origin.serve()
    assert (await fetch(small.ingress, "GET", "/")).status == 200


async def test_waiting_requests_are_served_when_a_busy_connection_dies(small: Gateway, origin: Origin) -> None:
    clients = await busy(small, origin, 2)
    async with await Client.connect(small.ingress) as third:
        third.ask("GET", "/third")
        await third.wire.silence(0.05)
        origin.connections[0].wire.reset()
        upstream, request = await origin.request()
        assert request.target == b"/third"
        upstream.send(ok())
        assert (await third.response()).status == 200
    for client in clients:
        client.wire.close()


async def test_a_tunnel_holds_its_connection(small: Gateway, origin: Origin) -> None:
    origin.hold()
    upgrade = [("Connection", "upgrade"), ("Upgrade", "x")]
    clients = []
    for _ in range(2):
        clients.append(await Client.connect(small.ingress))
        clients[-1].send(head("GET", "/", upgrade))
        upstream = await origin.accept()
        await upstream.head()
        upstream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        assert (await clients[-1].response_head()).status == 101
    assert_problem(await fetch(small.ingress, "GET", "/"), 503)
    for client in clients:
        client.wire.close()
    for upstream in origin.connections:
        await upstream.gone()
        upstream.wire.close()
    origin.serve()
    assert (await fetch(small.ingress, "GET", "/")).status == 200


async def test_an_idle_connection_is_let_go(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"pool": {"idle": "700ms"}})
    await fetch(gateway.ingress, "GET", "/")
    answered = time.monotonic()
    (upstream,) = origin.connections
    assert await upstream.gone() == "fin"
    assert_within(upstream.wire.ended_at - answered, 0.7)
    await gateway.metric_is(0, "gateway_upstream_connections", upstream="app")
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    assert len(origin.connections) == 2


async def test_an_idle_limit_of_the_upstreams_own_is_kept(start: Start, origin: Origin) -> None:
    """Keep-Alive: timeout=1 means that the upstream closes then: it must not be used to the last moment."""
    gateway = await start()
    origin.answer = lambda request: ok(b"ok", b"Keep-Alive: timeout=1")
    await fetch(gateway.ingress, "GET", "/")
    assert len(origin.connections) == 1
    await asyncio.sleep(0.8)
    assert (await fetch(gateway.ingress, "POST", "/", body=b"x")).status == 200
    assert len(origin.connections) == 2


async def test_an_old_connection_takes_no_more_requests(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"pool": {"lifetime": "400ms"}})
    started = time.monotonic()
    async with await Client.connect(gateway.ingress) as client:
        while time.monotonic() - started < 1.0:
            assert (await client.request("GET", "/")).status == 200
            await asyncio.sleep(0.02)
    assert 2 <= len(origin.connections) <= 4
    assert len(origin.connections[0].requests) > 1


async def test_a_connection_in_use_may_outlive_its_lifetime(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"pool": {"lifetime": "200ms"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        await client.wire.silence(0.5)
        upstream.send(ok(b"late"))
        assert (await client.response()).body == b"late"
        assert await upstream.gone() == "fin"
