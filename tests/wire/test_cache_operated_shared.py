"""Purging at one of two gateways that share a Redis, and what is seen of the tier that they share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway
from tests.support.origin import Origin
from tests.support.redis import RedisServer
from tests.wire.conftest import Start
from tests.wire.test_admin import ask, command
from tests.wire.test_cache_operated import ROUTES, stored


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def begun(start: Start, server: RedisServer) -> Gateway:
    return await start(ingress={"routes": ROUTES}, state={"redis": server.url, "timeout": "500ms"})


async def test_the_others_are_told_and_the_tier_is_seen(start: Start, origin: Origin, server: RedisServer) -> None:
    one, other = await begun(start, server), await begun(start, server)
    assert not await stored(one, "/kept/a")
    memory, redis = (await ask(one, "GET", "/cache"))["tiers"]
    assert (redis["tier"], redis["up"], redis["entries"], redis["misses"]) == ("redis", True, None, 1)
    assert redis["seconds"] > 0
    assert memory["entries"] == 1
    assert await one.metric("gateway_cache_seconds_count", tier="redis") >= 1
    assert await one.metric("gateway_cache_look_ups_total", tier="redis", result="miss") == 1
    purged = await ask(one, "POST", "/cache/purge", {"tag": "kept"})
    assert (purged["purged"], purged["replicas_told"]) == (1, True)
    assert not await stored(other, "/kept/a"), "it is not in the shared tier any more either"
    assert (await ask(other, "GET", "/cache"))["purges"]["seen"] == 1


async def test_while_the_server_is_gone_purges_wait_and_it_is_said(
    start: Start, origin: Origin, server: RedisServer
) -> None:
    gateway = await begun(start, server)
    await stored(gateway, "/kept/a")
    server.stop()
    code, said = await command(gateway, "cache", "purge", "--tag", "kept")
    assert (code, said) == (0, "removed: 1; the other replicas will be told when the shared state answers\n")
    stats = await ask(gateway, "GET", "/cache")
    assert stats["purges"]["waiting"] == 1
    assert not await stored(gateway, "/kept/a")


async def test_look_ups_count_behind_limits_that_replicas_share(
    start: Start, origin: Origin, server: RedisServer
) -> None:
    ingress = {"routes": ROUTES, "rate_limit": {"limit": "100/s"}}
    gateway = await start(ingress=ingress, state={"redis": server.url, "timeout": "500ms"})
    assert [await stored(gateway, "/kept/a") for _ in range(3)] == [False, True, True]
    for result, count in (("hit", 2), ("miss", 1)):
        assert await gateway.metric("gateway_cache_look_ups_total", tier="memory", result=result) == count
