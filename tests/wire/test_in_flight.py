"""In-flight caps over sockets: held to the last byte, given back whatever happens, and never more than there are."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from tests.support.client import Client, fetch
from tests.support.config import config, url
from tests.support.expect import assert_problem, assert_within
from tests.support.gateway import Gateway
from tests.support.message import Request, Response
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start, StartOnce
from tests.wire.test_tunnels import tunnel

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


def route(name: str, in_flight: Any) -> dict[str, Any]:
    return {"name": name, "path": f"/{name}", "upstream": "app", "in_flight": in_flight}


ROUTES = [
    route("one", {"limit": 1, "name": "cap-one"}),
    route("queue", {"limit": 1, "queue": 1, "wait": "10s", "name": "cap-queue"}),
    {**route("short", {"limit": 1, "queue": 1, "wait": "10s", "name": "cap-short"}), "upstream": "hasty"},
    route("each", [{"limit": 1, "by": "header:X-User-Id", "name": "cap-each"}, {"limit": 50, "name": "cap-all"}]),
    route("load", {"limit": 5, "queue": 200, "wait": "30s", "name": "cap-load"}),
    route("free", False),
    {"name": "rest", "path": "/**", "upstream": "app"},
]


@pytest.fixture(scope="module")
def capped(start_once: StartOnce, listener: socket.socket) -> Gateway:
    hasty = {"url": url(listener.getsockname()), "breaker": False, "timeout": {"total": "300ms"}}
    return start_once(
        ingress={"routes": ROUTES, "in_flight": {"limit": 40, "name": "cap-listener"}}, upstreams={"hasty": hasty}
    )


async def in_flight(gateway: Gateway, cap: str, value: float, what: str = "capped") -> None:
    """Wait until that many hold a slot of a cap, or with `queued` wait for one."""
    scope = {"ingress//": "listener", "upstream/": "upstream"}.get(cap[:9], "route")
    assert [key for key in await gateway.samples("gateway_in_flight_capped") if ("name", cap) in key]
    await gateway.metric_is(value, f"gateway_in_flight_{what}", scope=scope, name=cap)


def assert_full(response: Response, cap: str, status: int = 503) -> None:
    problem = assert_problem(response, status, "connection_limit_reached")
    assert f"'{cap}'" in problem["detail"]
    retry_after = response.value("retry-after")
    assert retry_after is not None
    assert 1 <= int(retry_after) <= 60


async def test_a_stream_holds_its_slot_to_the_last_byte(capped: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(capped.ingress) as client:
        client.ask("GET", "/one")
        upstream, _ = await origin.request()
        upstream.send(CHUNKED)
        response = await client.response_head()
        await in_flight(capped, "ingress/one/cap-one", 1)
        assert_full(await fetch(capped.ingress, "GET", "/one"), "cap-one")
        upstream.send(b"0\r\n\r\n")
        assert await client.body(response).rest() == b"hello"
        await in_flight(capped, "ingress/one/cap-one", 0)
    origin.serve()
    assert (await fetch(capped.ingress, "GET", "/one")).status == 200


async def test_a_tunnel_holds_its_slot_to_its_end(capped: Gateway, origin: Origin) -> None:
    async with await Client.connect(capped.ingress) as client:
        upstream, _ = await tunnel(client, origin, "/one")
        assert_full(await fetch(capped.ingress, "GET", "/one"), "cap-one")
        client.wire.half_close()
        await upstream.wire.end()
        assert_full(await fetch(capped.ingress, "GET", "/one"), "cap-one")  # the other way is open yet
        upstream.wire.close()
    await in_flight(capped, "ingress/one/cap-one", 0)


async def test_an_upstream_that_breaks_off_gives_it_back(capped: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(capped.ingress) as client:
        client.ask("GET", "/one")
        upstream, _ = await origin.request()
        upstream.send(CHUNKED)
        await client.response_head()
        upstream.wire.reset()
        await in_flight(capped, "ingress/one/cap-one", 0)


async def test_a_client_that_leaves_gives_up_its_slot_and_one_that_waits_its_place(
    capped: Gateway, origin: Origin
) -> None:
    origin.hold()
    async with (
        await Client.connect(capped.ingress) as first,
        await Client.connect(capped.ingress) as leaving,
        await Client.connect(capped.ingress) as third,
    ):
        first.ask("GET", "/queue")
        await origin.request()
        leaving.ask("GET", "/queue")
        await in_flight(capped, "ingress/queue/cap-queue", 1, "queued")
        assert_full(await fetch(capped.ingress, "GET", "/queue"), "cap-queue")
        leaving.wire.close()
        await in_flight(capped, "ingress/queue/cap-queue", 0, "queued")
        third.ask("GET", "/queue")
        await in_flight(capped, "ingress/queue/cap-queue", 1, "queued")
        first.wire.close()
        upstream, _ = await origin.request()
        upstream.send(ok())
        assert (await third.response()).status == 200
    await in_flight(capped, "ingress/queue/cap-queue", 0)
    assert len(origin.requests) == 2, "who left the queue was never sent on"


async def test_nobody_waits_longer_than_its_own_timeout(capped: Gateway, origin: Origin) -> None:
    """The one that holds the slot is an event stream, which that timeout does not cut."""
    origin.hold()
    async with await Client.connect(capped.ingress) as client:
        client.ask("GET", "/short")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await client.response_head()
        began = time.monotonic()
        assert_full(await fetch(capped.ingress, "GET", "/short"), "cap-short")
        assert_within(time.monotonic() - began, 0.3)
    await in_flight(capped, "ingress/short/cap-short", 0)


async def test_a_caller_has_slots_of_its_own(capped: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(capped.ingress) as client:
        client.ask("GET", "/each", [("X-User-Id", "ann")])
        upstream, _ = await origin.request()
        origin.serve()
        refused = await fetch(capped.ingress, "GET", "/each", [("X-User-Id", "ann")])
        assert_full(refused, "cap-each", 429)
        assert refused.value("ratelimit-policy") == b'"cap-each";q=1;qu="concurrent-requests"'
        assert (await fetch(capped.ingress, "GET", "/each", [("X-User-Id", "bob")])).status == 200
        await in_flight(capped, "ingress/each/cap-all", 1)
        upstream.send(ok())
        assert (await client.response()).status == 200
    await in_flight(capped, "ingress/each/cap-each", 0)
    await in_flight(capped, "ingress/each/cap-all", 0)


async def test_the_origin_never_sees_more_than_the_cap(capped: Gateway, origin: Origin) -> None:
    """30 connections, 300 requests, a cap of 5 and a queue for the rest."""
    now = most = 0

    async def answer(request: Request) -> bytes:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        return ok()

    origin.answer = answer

    async def crowd() -> list[int]:
        async with await Client.connect(capped.ingress) as client:
            return [(await client.request("GET", "/load")).status for _ in range(10)]

    statuses = await asyncio.gather(*(crowd() for _ in range(30)))
    assert statuses == [[200] * 10] * 30
    assert most == 5
    await in_flight(capped, "ingress/load/cap-load", 0)
    await in_flight(capped, "ingress//cap-listener", 0)


async def test_a_listeners_cap_is_over_all_its_routes_but_those_that_are_free_of_it(
    start: Start, origin: Origin
) -> None:
    gateway = await start(ingress={"routes": ROUTES[-2:], "in_flight": {"limit": 1, "name": "cap-listener"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/other")
        await origin.request()
        origin.serve()
        assert_full(await fetch(gateway.ingress, "GET", "/another"), "cap-listener")
        assert (await fetch(gateway.ingress, "GET", "/free")).status == 200
    await in_flight(gateway, "ingress//cap-listener", 0)


async def test_an_upstreams_cap_and_a_reload_that_raises_it(start: Start, origin: Origin) -> None:
    cap = {"limit": 1, "queue": 5, "wait": "30s"}
    gateway = await start(upstream={"in_flight": cap})
    origin.hold()
    async with await Client.connect(gateway.ingress) as first, await Client.connect(gateway.ingress) as second:
        first.ask("GET", "/first")
        upstream, _ = await origin.request()
        second.ask("GET", "/second")
        await in_flight(gateway, "upstream/app/app-1", 1, "queued")
        gateway.write(config(origin.address, upstream={"in_flight": {**cap, "limit": 2}}))
        gateway.sighup()
        other, request = await origin.request()
        assert request.target == b"/second"
        await in_flight(gateway, "upstream/app/app-1", 2)
        other.send(ok())
        assert (await second.response()).status == 200
        upstream.send(ok())
        assert (await first.response()).status == 200
    await in_flight(gateway, "upstream/app/app-1", 0)


WHOLE, OWN = {"limit": 3, "name": "whole"}, {"limit": 1, "name": "own", "queue": 5, "wait": "10s"}


async def _beside_a_queue_of_one_caller(gateway: Gateway, origin: Origin, cap: str) -> int:
    """What another caller is answered, while one has one request under way and two in the queue of its own cap."""
    free, under_way = asyncio.Event(), asyncio.Event()

    async def answer(_: Request) -> bytes:
        under_way.set()
        await free.wait()
        return ok()

    origin.answer = answer
    mine = [asyncio.create_task(fetch(gateway.ingress, "GET", "/", [("X-User-Id", "a")])) for _ in range(3)]
    await under_way.wait()
    await gateway.metric_is(2, "gateway_in_flight_queued", name=cap)
    other = asyncio.create_task(fetch(gateway.ingress, "GET", "/", [("X-User-Id", "b")]))
    await asyncio.wait([other], timeout=0.2)
    free.set()
    await asyncio.gather(*mine)
    return (await other).status


async def test_a_caller_who_waits_keeps_no_slot_of_its_upstream_from_others(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"in_flight": [WHOLE, {**OWN, "by": "user"}]})
    assert await _beside_a_queue_of_one_caller(gateway, origin, "upstream/app/own") == 200


async def test_a_cap_that_a_reload_makes_each_callers_own_comes_before_the_others_too(
    start: Start, origin: Origin
) -> None:
    def sections(**more: str) -> dict[str, Any]:
        caps = [WHOLE, {**OWN, **more}]
        return {"ingress": {"routes": [{"name": "all", "path": "/**", "upstream": "app", "in_flight": caps}]}}

    gateway = await start(**sections())
    gateway.write(config(origin.address, **sections(by="user")))
    gateway.sighup()
    await gateway.event(event="config_reloaded")
    assert await _beside_a_queue_of_one_caller(gateway, origin, "ingress/all/own") == 200
