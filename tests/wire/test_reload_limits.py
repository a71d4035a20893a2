"""A reload keeps what limits know: used tokens, blocks, counts, and who is in flight, here and in a shared state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.client import Client, fetch
from tests.support.config import config
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.origin import Origin, Upstream, echo
from tests.support.redis import RedisServer
from tests.wire.conftest import Start

KEY = [(b"X-Api-Key", b"k1")]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def route(name: str, **policies: Any) -> dict[str, Any]:
    return {"name": name, "path": f"/{name}", "upstream": "app", **policies}


def written(origin: Origin, *more: dict[str, Any], cap: int = 1, **sections: Any) -> dict[str, Any]:
    """A config with rules and a cap; `more` routes come last."""
    each = {"limit": "5/h", "by": "header:X-Api-Key"}
    routes = [
        route("used", rate_limit=each),
        route("leased", rate_limit={**each, **({"mode": "leased"} if "state" in sections else {})}),
        route("blocked", rate_limit={"limit": "1/h", "by": "header:X-Api-Key", "block": {"after": 1}}),
        route(
            "capped",
            in_flight={"limit": cap, "queue": 1, "wait": "30s", "name": "few", "shared": "state" in sections},
        ),
        *more,
    ]
    return config(origin.address, ingress={"routes": routes}, **sections)


async def ask(gateway: Gateway, path: str) -> int:
    return (await fetch(gateway.ingress, "GET", path, KEY)).status


async def reload(gateway: Gateway, new: dict[str, Any]) -> None:
    gateway.write(new)
    gateway.sighup()
    await gateway.event(event="config_reloaded")


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
async def test_another_route_changes_nothing_for_these(
    start: Start, origin: Origin, server: RedisServer, shared: bool
) -> None:
    sections = {"state": {"redis": server.url, "timeout": "500ms"}} if shared else {}
    gateway = await start(whole=written(origin, **sections))
    for path in ("/used", "/leased"):
        assert [await ask(gateway, path) for _ in range(3)] == [200] * 3
    assert [await ask(gateway, "/blocked") for _ in range(3)] == [200, 429, 429]
    async with stream(gateway, origin) as upstream:
        await reload(gateway, written(origin, route("more"), **sections))
        assert await ask(gateway, "/more") == 200
        for path in ("/used", "/leased"):
            assert [await ask(gateway, path) for _ in range(3)] == [200, 200, 429]
        blocked = await fetch(gateway.ingress, "GET", "/blocked", KEY)
        assert assert_problem(blocked, 429)["type"] == "urn:gateway:problem:blocked"
        for decision, count in (("allowed", 5), ("refused", 1)):
            labels = {"route": "used", "decision": decision}
            assert await gateway.metric("gateway_rate_limit_decisions_total", **labels) == count
        async with await Client.connect(gateway.ingress) as waiting:
            waiting.ask("GET", "/capped")
            await queued(gateway, 1)
            assert_problem(await fetch(gateway.ingress, "GET", "/capped"), 503, "connection_limit_reached")
            upstream.send(b"0\r\n\r\n")
            assert (await waiting.response()).status == 200
    await gateway.metric_is(0, "gateway_in_flight_capped", name="ingress/capped/few")


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
async def test_a_cap_that_is_raised_lets_in_who_waits(
    start: Start, origin: Origin, server: RedisServer, shared: bool
) -> None:
    sections = {"state": {"redis": server.url, "timeout": "500ms"}} if shared else {}
    gateway = await start(whole=written(origin, **sections))
    async with stream(gateway, origin), await Client.connect(gateway.ingress) as waiting:
        waiting.ask("GET", "/capped")
        await queued(gateway, 1)
        await reload(gateway, written(origin, cap=2, **sections))
        assert (await waiting.response()).status == 200
        await gateway.metric_is(1, "gateway_in_flight_capped", name="ingress/capped/few")
    await gateway.metric_is(0, "gateway_in_flight_capped", name="ingress/capped/few")


@asynccontextmanager
async def stream(gateway: Gateway, origin: Origin) -> AsyncIterator[Upstream]:
    """A response under way that holds a slot of the cap."""
    origin.answer = lambda request: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/capped")
        assert (await client.response_head()).status == 200
        origin.answer = echo
        [upstream] = [one for one in origin.connections if one.requests[-1].target == b"/capped"]
        await gateway.metric_is(1, "gateway_in_flight_capped", name="ingress/capped/few")
        yield upstream


async def queued(gateway: Gateway, count: int) -> None:
    await gateway.metric_is(count, "gateway_in_flight_queued", name="ingress/capped/few")
