"""What is done by hand to limits that two gateways share: a reset is for both, a block for the one that was asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import fetch
from tests.support.gateway import Gateway
from tests.support.origin import Origin
from tests.support.redis import RedisServer
from tests.wire.conftest import Start
from tests.wire.test_admin import answered, ask

KEY = "ann"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def two(start: Start, server: RedisServer) -> list[Gateway]:
    routes: list[dict[str, Any]] = [
        {
            "name": mode,
            "path": f"/{mode}",
            "upstream": "app",
            "rate_limit": {"limit": "4/h", "by": "user", "mode": mode},
        }
        for mode in ("exact", "leased")
    ]
    sections = {"ingress": {"routes": routes}, "state": {"redis": server.url, "timeout": "500ms"}}
    return [await start(**sections), await start(**sections)]


async def statuses(gateways: list[Gateway], path: str) -> list[int]:
    """What the gateways answer, one after the other."""
    return [(await fetch(gateway.ingress, "GET", path, [("X-User-Id", KEY)])).status for gateway in gateways]


async def test_a_reset_at_one_is_for_both(start: Start, origin: Origin, server: RedisServer) -> None:
    one, other = await two(start, server)
    for mode in ("exact", "leased"):
        [rule] = [rule for rule in (await ask(one, "GET", "/limits"))["rules"] if rule["mode"] == mode]
        assert rule["shared"]
        assert await statuses([one, other] * 3, f"/{mode}") == [200] * 4 + [429] * 2
        key = f"/limits/keys?rule={rule['id']}&key={KEY}"
        assert [(await ask(gateway, "GET", key))["remaining"] for gateway in (one, other)] == [0, 0]
        assert await ask(one, "DELETE", key) == {"reset": 1}
        assert (await ask(other, "GET", key))["known"] is False
        assert await statuses([one], f"/{mode}") == [200]
        began = time.monotonic()
        while await statuses([other], f"/{mode}") != [200]:
            assert mode == "leased"
            assert time.monotonic() - began < 3, "a refusal is believed for a second"
            await asyncio.sleep(0.05)


async def test_a_block_is_one_gateways_own_and_needs_no_server(
    start: Start, origin: Origin, server: RedisServer
) -> None:
    one, other = await two(start, server)
    rule = next(rule["id"] for rule in (await ask(one, "GET", "/limits"))["rules"] if rule["mode"] == "exact")
    server.kill()
    block = {"key": KEY, "rule": rule, "for": "10m", "reason": "too curious"}
    await ask(one, "POST", "/limits/blocked", block)
    assert await statuses([one, other], "/exact") == [429, 200]
    await ask(one, "DELETE", f"/limits/blocked/{KEY}")
    assert await statuses([one, other], "/exact") == [200, 200]
    status, problem = await answered(one, "DELETE", f"/limits/keys?rule={rule}&key={KEY}")
    assert (status, problem["status"]) == (503, 503)
