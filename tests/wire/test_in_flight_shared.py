"""A cap that two gateways share through one Redis-protocol server, as the origin behind both counts it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client, fetch
from tests.support.config import config
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.support.redis import RedisServer
from tests.wire.conftest import Start

LIMIT = 4


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Counting:
    """An origin's answer, after a moment, with the most that were under way at once."""

    def __init__(self, origin: Origin) -> None:
        self.now = self.most = 0
        origin.answer = self.answer

    async def answer(self, request: Request) -> bytes:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return ok()


async def two(start: Start, server: RedisServer, **more: object) -> list[Gateway]:
    cap = {"limit": LIMIT, "shared": True, **more}
    sections = {"upstream": {"in_flight": cap}, "state": {"redis": server.url, "timeout": "500ms"}}
    return [await start(**sections), await start(**sections)]


async def crowd(gateway: Gateway, clients: int, requests: int) -> list[int]:
    async def one() -> list[int]:
        async with await Client.connect(gateway.ingress) as client:
            return [(await client.request("GET", "/")).status for _ in range(requests)]

    return [status for each in await asyncio.gather(*(one() for _ in range(clients))) for status in each]


async def test_two_gateways_together_never_have_more_under_way(
    start: Start, origin: Origin, server: RedisServer
) -> None:
    gateways = await two(start, server, queue=50, wait="30s")
    counting = Counting(origin)
    statuses = await asyncio.gather(*(crowd(gateway, 8, 10) for gateway in gateways))
    assert statuses == [[200] * 80] * 2
    assert counting.most == LIMIT


async def test_without_the_server_each_lets_in_its_share(start: Start, origin: Origin, server: RedisServer) -> None:
    """The one that has come last knows at once that there are two; the other learns it within a heartbeat."""
    gateways = await two(start, server)
    counting = Counting(origin)
    for gateway in gateways:
        assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    server.kill()
    statuses = await crowd(gateways[1], 8, 5)
    assert set(statuses) == {200, 503}
    assert counting.most == LIMIT // 2


async def test_a_queue_does_not_hold_up_a_reload(start: Start, origin: Origin, server: RedisServer) -> None:
    """Another state leaves the queue of the one before to its own; nobody waits for it, the config least of all."""
    free, under_way = asyncio.Event(), asyncio.Event()

    async def answer(_: Request) -> bytes:
        under_way.set()
        await free.wait()
        return ok()

    def sections(timeout: str) -> dict[str, Any]:
        cap = {"limit": 1, "shared": True, "queue": 5, "wait": "30s"}
        return {"upstream": {"in_flight": cap}, "state": {"redis": server.url, "timeout": timeout}}

    origin.answer = answer
    gateway = await start(**sections("500ms"))
    both = [asyncio.create_task(fetch(gateway.ingress, "GET", "/")) for _ in range(2)]
    await under_way.wait()
    await gateway.metric_is(1, "gateway_in_flight_queued", name="upstream/app/app-1")
    gateway.write(config(origin.address, **sections("501ms")))
    gateway.sighup()
    try:
        await gateway.event(event="config_reloaded", within=5)
    finally:
        free.set()
        assert [response.status for response in await asyncio.gather(*both)] == [200, 200]
