"""Three replicas and one Redis: one fetch for all of them, and without the Redis each for itself and nothing more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.client import Client, fetch
from tests.support.config import config
from tests.support.gateway import Gateway, until
from tests.support.origin import Origin
from tests.support.redis import RedisServer
from tests.wire.conftest import Start
from tests.wire.stage import Stage, answers, ask, crowd, joined, told

FRESH = b"Cache-Control: max-age=60"
CACHED = {"name": "all", "path": "/**", "upstream": "app", "cache": {}}
EACH = 20  # clients of each replica
TIMEOUT = 0.2  # seconds; what a question to the Redis may take


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def replicas(start: Start, server: RedisServer) -> list[Gateway]:
    """Three of one deployment."""
    state = {"redis": server.url, "timeout": f"{TIMEOUT}s", "breaker": {"failures": 3}}
    return [await start(ingress={"routes": [CACHED]}, state=state) for _ in range(3)]


@contextlib.asynccontextmanager
async def crowds(replicas: list[Gateway], target: str) -> AsyncIterator[list[list[Client]]]:
    """Clients of each replica, who all want the same."""
    async with contextlib.AsyncExitStack() as stack:
        everybody = [await stack.enter_async_context(crowd(replica, EACH)) for replica in replicas]
        for clients in everybody:
            ask(clients, target)
        await asyncio.gather(*(joined(replica, EACH) for replica in replicas))
        yield everybody


async def bodies(everybody: list[list[Client]]) -> list[bytes]:
    """What each of them gets; all must be answered well."""
    responses = await answers([client for clients in everybody for client in clients])
    assert {one.status for one in responses} == {200}, [one.body for one in responses if one.status != 200][:3]
    return [one.body for one in responses]


async def test_one_fetch_for_all_replicas(replicas: list[Gateway], stage: Stage) -> None:
    async with crowds(replicas, "/one") as everybody:
        call = await stage.call()
        await stage.nothing_more(0.2)
        call.answer(b"for all", FRESH)
        assert await bodies(everybody) == [b"for all"] * (3 * EACH)
    for replica in replicas:
        assert told(await fetch(replica.ingress, "GET", "/one")).startswith("gateway; hit")
    assert stage.count == 1


async def test_what_one_has_fetched_another_has_too(replicas: list[Gateway], stage: Stage) -> None:
    async with crowd(replicas[0], 1) as clients:
        ask(clients, "/told")
        (await stage.call()).answer(b"x" * 300_000, FRESH)
        (first,) = await answers(clients)
    response = await fetch(replicas[1].ingress, "GET", "/told")
    assert told(response).startswith("gateway; hit")
    assert response.body == first.body
    assert stage.count == 1


async def test_a_cache_that_comes_by_a_reload_is_shared_too(
    start: Start, origin: Origin, stage: Stage, server: RedisServer
) -> None:
    state = {"redis": server.url, "timeout": f"{TIMEOUT}s"}
    gateway = await start(state=state)
    other = await start(ingress={"routes": [CACHED]}, state=state)
    gateway.write(config(origin.address, ingress={"routes": [CACHED]}, state=state))
    gateway.sighup()
    await gateway.event(event="config_reloaded")
    async with crowd(gateway, 1) as clients:
        ask(clients, "/told")
        (await stage.call()).answer(b"once", FRESH)
        assert (await answers(clients))[0].body == b"once"
    assert told(await fetch(other.ingress, "GET", "/told")).startswith("gateway; hit")
    gateway.write(config(origin.address, state=state))
    gateway.sighup()
    await until(lambda: sum(one["event"] == "config_reloaded" for one in gateway.events) == 2, "the second reload")
    assert "cache" not in json.loads((await gateway.get("/health")).body)["parts"]


async def test_the_redis_is_killed_in_the_middle(replicas: list[Gateway], stage: Stage, server: RedisServer) -> None:
    """Whoever has the fetch goes on with it; the others wait no longer and fetch for themselves; nobody fails."""
    async with crowds(replicas, "/killed") as everybody:
        calls = [await stage.call()]
        await stage.nothing_more()
        server.kill()
        began = time.monotonic()
        calls += [await stage.call(), await stage.call()]
        assert time.monotonic() - began < 10 * TIMEOUT
        for call in calls:
            call.answer(b"for mine", FRESH)
        assert await bodies(everybody) == [b"for mine"] * (3 * EACH)
    for number, replica in enumerate(replicas):
        assert told(await fetch(replica.ingress, "GET", "/killed")).startswith("gateway; hit")
        async with crowd(replica, 1) as clients:
            ask(clients, f"/without-{number}")
            (await stage.call()).answer(b"ok", FRESH)
            await answers(clients)
    assert stage.count == 6


async def test_the_redis_stands_still_in_the_middle(
    replicas: list[Gateway], stage: Stage, server: RedisServer
) -> None:
    async with crowds(replicas, "/still") as everybody:
        calls = [await stage.call()]
        server.stop()
        try:
            calls += [await stage.call(), await stage.call()]
            for call in calls:
                call.answer(b"for mine", FRESH)
            assert await bodies(everybody) == [b"for mine"] * (3 * EACH)
        finally:
            server.go_on()
    assert stage.count == 3


async def test_a_body_that_may_not_be_shared_holds_no_replica(replicas: list[Gateway], stage: Stage) -> None:
    """The others are let go at once, each client with a request of his own."""
    async with crowds(replicas, "/own") as everybody:
        (await stage.call()).answer(b"number 0", b"Cache-Control: private")
        for number in range(1, 3 * EACH):
            (await stage.call()).answer(b"number %d" % number, b"Cache-Control: private")
        assert len(set(await bodies(everybody))) == 3 * EACH
    assert stage.count == 3 * EACH


async def test_a_replica_is_killed_that_had_the_fetch(replicas: list[Gateway], stage: Stage) -> None:
    """Another takes it over before long, one for the two that are left."""
    async with crowd(replicas[0], 1) as leaders:
        ask(leaders, "/orphan")
        first = await stage.call()
        async with crowd(replicas[1], EACH) as some, crowd(replicas[2], EACH) as others:
            ask(some + others, "/orphan")
            await joined(replicas[1], EACH)
            await joined(replicas[2], EACH)
            replicas[0].kill()
            await first.gone()
            (await stage.call(within=20)).answer(b"second", FRESH)
            for response in await answers(some + others):
                assert response.body == b"second"
    assert stage.count == 2


async def test_a_purge_reaches_a_fetch_under_way_elsewhere(replicas: list[Gateway], stage: Stage) -> None:
    """What was asked for before the purge is not stored after it, in no replica."""
    async with crowd(replicas[0], 1) as clients:
        ask(clients, "/purged")
        call = await stage.call()
        async with await Client.connect(replicas[1].address("admin")) as admin:
            assert (await admin.request("PURGE", "/purged", host="localhost")).status == 200
        await asyncio.sleep(1.0)  # within which it is everywhere
        call.answer(b"before", FRESH)
        assert [one.body for one in await answers(clients)] == [b"before"]
        for _ in range(2):
            ask(clients, "/purged")
            if stage.count == 1:
                (await stage.call()).answer(b"after", FRESH)
            assert [one.body for one in await answers(clients)] == [b"after"]
    assert (await fetch(replicas[2].ingress, "GET", "/purged")).body == b"after"
    assert stage.count == 2
