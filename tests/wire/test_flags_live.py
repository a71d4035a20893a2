"""Flags that are changed at run time: three replicas and one Redis, a file, and a start without either."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.client import Client, fetch
from tests.support.gateway import Gateway, until
from tests.support.redis import RedisServer
from tests.wire.conftest import Start

pytestmark = [pytest.mark.loads_the_machine, pytest.mark.usefixtures("origin")]

#: Seconds within which every replica has to follow.
SOON = 1.0
#: Requests a second, to all replicas together, and clients of each.
RATE, CLIENTS = 500, 5
INGRESS = {"routes": [{"name": "new", "path": "/new", "upstream": "app", "require": "NEW"}]}
DEFINE = {"NEW": False, "OTHER": True}


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def admin(gateway: Gateway, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One question to the admin API."""
    fields = [("Connection", "close"), *([("Content-Type", "application/json")] if body is not None else [])]
    raw = None if body is None else json.dumps(body).encode()
    response = await fetch(gateway.address("admin"), method, f"/api/v1{path}", fields, raw, host="127.0.0.1")
    return response.status, json.loads(response.body)


async def turn(gateway: Gateway, on: bool, why: str = "a test") -> int:
    """Turn the flag on or off; the status."""
    body = {"live": {"enabled": on}, "who": "ann", "why": why}
    return (await admin(gateway, "PUT", "/flags/NEW", body))[0]


async def is_on(gateway: Gateway) -> bool:
    """What a request finds."""
    return (await fetch(gateway.ingress, "GET", "/new", [("Connection", "close")])).status == 200


async def health(gateway: Gateway) -> dict[str, str]:
    """How flags do."""
    found: dict[str, str] = json.loads((await gateway.get("/health")).body)["parts"]["flags"]
    return found


class Seen(NamedTuple):
    """One request: when it began, whose it was, and its status."""

    began: float
    replica: int
    status: int


class Traffic:
    """So many requests a second to each replica."""

    def __init__(self, replicas: list[Gateway]) -> None:
        self.seen: list[Seen] = []
        self._replicas = replicas
        self._ends = False

    async def __aenter__(self) -> Traffic:
        each = [(number, one) for number, one in enumerate(self._replicas) for _ in range(CLIENTS)]
        self._tasks = [asyncio.create_task(self._ask(number, one)) for number, one in each]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ends = True
        await asyncio.gather(*self._tasks)

    async def _ask(self, number: int, replica: Gateway) -> None:
        pause = CLIENTS * len(self._replicas) / RATE
        async with await Client.connect(replica.ingress) as client:
            due = time.monotonic()
            while not self._ends:
                began = time.monotonic()
                response = await client.request("GET", "/new")
                self.seen.append(Seen(began, number, response.status))
                due = max(due + pause, began - 1.0)
                await asyncio.sleep(due - time.monotonic())

    async def all_follow(self, on: bool, since: float) -> float:
        """Seconds until all replicas have answered so; none goes back."""
        status = 200 if on else 404
        first: dict[int, float] = {}

        def there() -> bool:
            for one in self.seen:
                if one.began >= since and one.status == status:
                    first.setdefault(one.replica, one.began)
            return len(first) == len(self._replicas)

        await until(there, f"{status} of all replicas", 5 * SOON)
        took = max(first.values()) - since
        await asyncio.sleep(0.1)
        for one in self.seen:
            if one.began > first[one.replica] and one.began > since:
                assert one.status == status
        return took


async def test_three_replicas_follow_under_traffic_and_stay_when_the_redis_goes(
    start: Start, server: RedisServer
) -> None:
    flags, state = {"define": DEFINE}, {"redis": server.url}
    replicas = [await start(ingress=INGRESS, flags=flags, state=state, log={"access": False}) for _ in range(3)]
    async with Traffic(replicas) as traffic:
        for step in range(6):
            on = step % 2 == 0
            since = time.monotonic()
            assert await turn(replicas[step % 3], on, f"step {step}") == 200
            assert await traffic.all_follow(on, since) < SOON
        assert await turn(replicas[0], on=True) == 200
        await traffic.all_follow(on=True, since=time.monotonic())
        killed = time.monotonic()
        server.kill()
        for one in replicas:
            await one.event(event="flag_store_down")
        assert await turn(replicas[0], on=False) == 503
        assert "the last known values stay" in (await health(replicas[1]))["detail"]
        await asyncio.sleep(0.2)
        assert {one.status for one in traffic.seen if one.began > killed} == {200}
        await asyncio.to_thread(server.start)
        for one in replicas:
            await one.event(event="flag_store_up")
        assert {one.status for one in traffic.seen if one.began > killed} == {200}, "an empty server is told"
        since = time.monotonic()
        assert await turn(replicas[2], on=False, why="enough") == 200
        assert await traffic.all_follow(on=False, since=since) < SOON
    assert {one.status for one in traffic.seen} == {200, 404}
    for one in replicas:
        assert len([line for line in one.events if line["event"] == "flag_store_down"]) == 1
        line = await one.event(event="flag_changed", why="enough")
        assert (line["flag"], line["who"], line["live_keys"]) == ("NEW", "ann", ["enabled"])
        assert (await health(one))["state"] == "healthy"


async def test_a_restart_loses_nothing_that_a_file_keeps(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    flags = {"define": DEFINE, "store": str(path)}
    first = await start(ingress=INGRESS, flags=flags)
    assert not await is_on(first)
    assert await turn(first, on=True, why="go") == 200
    assert await is_on(first)
    await asyncio.to_thread(first.stop)
    second = await start(ingress=INGRESS, flags=flags, environment={"FEATURE_NEW": "false", "FEATURE_NWE": "true"})
    assert await is_on(second), "live is above the environment"
    status, shown = await admin(second, "GET", "/flags/NEW")
    assert status == 200
    assert (shown["file"], shown["environment"], shown["live"]) == (
        {"enabled": False}, {"enabled": False}, {"enabled": True},
    )  # fmt: skip
    assert (shown["changed"]["who"], shown["changed"]["why"]) == ("ann", "go")
    assert (await second.event(event="flag_variables_unknown"))["variables"] == ["FEATURE_NWE"]
    path.write_text("{")
    await second.event(event="flag_store_down")
    assert await is_on(second)
    assert (await health(second))["state"] == "degraded"
    assert await turn(second, on=False) == 503


async def test_variables_are_above_the_file(start: Start) -> None:
    variables = {"FEATURE_NEW": "true", "ROLLOUT_OTHER": "12x"}
    gateway = await start(ingress=INGRESS, flags={"define": DEFINE}, environment=variables)
    assert await is_on(gateway)
    assert (await gateway.event(event="flag_variables_wrong"))["mistakes"] == [
        "ROLLOUT_OTHER: a share of 0 to 100 % is wanted"
    ]
    assert (await health(gateway))["state"] == "degraded"


async def test_what_is_live_outlives_a_reload(start: Start) -> None:
    gateway = await start(ingress=INGRESS, flags={"define": DEFINE})
    assert await turn(gateway, on=True) == 200
    config = {**yaml.safe_load(gateway.path.read_text()), "flags": {"define": {**DEFINE, "THIRD": True}}}
    gateway.write(config)
    gateway.sighup()
    await gateway.event(event="config_reloaded")
    assert await is_on(gateway)
    assert (await admin(gateway, "GET", "/flags/THIRD"))[0] == 200
    gateway.write({**config, "flags": {"define": {"NEW": {"rolout": 5}}}})
    gateway.sighup()
    await gateway.event(event="config_refused")
    assert await is_on(gateway)
