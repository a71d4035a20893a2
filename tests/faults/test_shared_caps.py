"""Gateways that share an in-flight cap: one is killed that holds slots, and these come back when their leases end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.state.redis import LEASE
from tests.faults.fleet import fleet
from tests.faults.steady import Steady
from tests.support.client import Client, fetch
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.support.redis import RedisServer

pytestmark = pytest.mark.loads_the_machine

LIMIT = 5
CAP = {"limit": LIMIT, "shared": True, "name": "few"}
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin
    assert not origin.violations, origin.violations[:5]


@pytest_asyncio.fixture
async def two(origin: Origin, server: RedisServer, tmp_path: Path) -> AsyncIterator[list[Gateway]]:
    state = {"redis": server.url, "timeout": "500ms"}
    async with fleet(tmp_path, origin.address, 2, upstream={"in_flight": CAP}, state=state) as gateways:
        yield gateways


async def test_the_origin_never_sees_more(two: list[Gateway], origin: Origin) -> None:
    """At three times as much as gets through; who does not is told when to come again."""
    now = most = 0

    async def answer(request: Request) -> bytes:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return ok()

    origin.answer = answer
    async with Steady([gateway.ingress for gateway in two], lambda _: "/", 3 * LIMIT / 0.05) as load:
        await asyncio.sleep(1)
    assert most == LIMIT
    assert load.statuses().keys() == {200, 503}
    assert {one.gateway for one in load.asked if one.status == 200} == {0, 1}


async def streams(stack: AsyncExitStack, gateway: Gateway, count: int) -> None:
    """Open so many that hold a slot each."""
    for _ in range(count):
        client = await stack.enter_async_context(await Client.connect(gateway.ingress))
        client.ask("GET", "/")
        assert (await client.response_head()).status == 200


async def test_a_killed_gateways_slots_come_back(two: list[Gateway], origin: Origin, server: RedisServer) -> None:
    """When its leases end, 30 s after it last renewed them. `make soak` waits for that; here their end is moved."""
    origin.answer = lambda request: STREAM
    killed, other = two
    async with AsyncExitStack() as stack:
        await streams(stack, killed, 3)
        await asyncio.to_thread(killed.kill)
        await streams(stack, other, 2)
        full = await fetch(other.ingress, "GET", "/")
        assert_problem(full, 503, "connection_limit_reached")
        assert int(full.value("retry-after") or 0) >= 1
        with server.client() as redis:
            [name] = [key for key in redis.scan_iter() if redis.type(key) == b"zset" and redis.zcard(key) == LIMIT]
            seconds, micros = redis.time()
            first = redis.zrange(name, 0, 2, withscores=True)
            assert all(0 < until / 1000 - seconds - micros / 1e6 <= LEASE for _, until in first)
            for lease, _ in first:
                redis.zincrby(name, -LEASE * 1000, lease)
        await streams(stack, other, 3)
        assert_problem(await fetch(other.ingress, "GET", "/"), 503, "connection_limit_reached")
