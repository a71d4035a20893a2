"""What a request is charged, and how long it waits to be: refusals by others cost nothing, and all questions together
wait no longer than one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Client, fetch
from tests.support.config import config
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.support.redis import RedisServer
from tests.wire.conftest import Start


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Held:
    """An origin that answers when it is told to."""

    def __init__(self, origin: Origin) -> None:
        self.now = self.most = 0
        self._go = asyncio.Event()
        origin.answer = self._answer

    async def _answer(self, _: Request) -> bytes:
        self.now += 1
        self.most = max(self.most, self.now)
        await self._go.wait()
        self.now -= 1
        return ok()

    async def has(self, count: int) -> None:
        """Wait until so many requests are here."""
        async with asyncio.timeout(10):
            while self.now < count:
                await asyncio.sleep(0.01)

    def answer(self) -> None:
        """Let them all go."""
        self._go.set()


def routes(**keys: Any) -> dict[str, Any]:
    return {"bind": "127.0.0.1:0", "routes": [{"name": "all", "path": "/**", "upstream": "app", **keys}]}


@pytest.mark.parametrize("by", ["route", "user"])
async def test_what_a_cap_refuses_is_not_charged(start: Start, origin: Origin, by: str) -> None:
    rule = {"limit": "4/calendar-day" if by == "user" else "4/day", "by": by}
    gateway = await start(ingress=routes(rate_limit=[rule], in_flight=1))
    held = Held(origin)
    first = asyncio.create_task(fetch(gateway.ingress, "GET", "/"))
    await held.has(1)
    assert [(await fetch(gateway.ingress, "GET", "/")).status for _ in range(5)] == [503] * 5
    held.answer()
    assert (await first).status == 200
    assert [(await fetch(gateway.ingress, "GET", "/")).status for _ in range(4)] == [200, 200, 200, 429]


async def test_what_a_shared_cap_refuses_is_not_charged_to_shared_rules(
    start: Start, origin: Origin, server: RedisServer
) -> None:
    gateway = await start(
        ingress=routes(rate_limit=[{"limit": "2/day"}], in_flight=1), state={"redis": server.url, "timeout": "1s"}
    )
    held = Held(origin)
    first = asyncio.create_task(fetch(gateway.ingress, "GET", "/"))
    await held.has(1)
    assert (await fetch(gateway.ingress, "GET", "/")).status == 503
    held.answer()
    assert (await first).status == 200
    assert [(await fetch(gateway.ingress, "GET", "/")).status for _ in range(2)] == [200, 429]


async def test_who_leaves_while_the_shared_state_is_asked_is_not_charged(
    start: Start, origin: Origin, server: RedisServer
) -> None:
    rules = [{"limit": "3/day", "shared": False, "name": "own"}, {"limit": "1000/day", "name": "exact"}]
    gateway = await start(ingress=routes(rate_limit=rules), state={"redis": server.url, "timeout": "2s"})
    server.stop()
    for _ in range(3):
        async with await Client.connect(gateway.ingress) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.sleep(0.1)
    server.go_on()
    await asyncio.sleep(0.1)
    assert [(await fetch(gateway.ingress, "GET", "/")).status for _ in range(4)] == [200, 200, 200, 429]


async def test_all_questions_together_wait_no_longer_than_one(
    start: Start, origin: Origin, server: RedisServer
) -> None:
    cap = {"limit": 50, "shared": True}
    gateway = await start(
        ingress=routes(rate_limit=[{"limit": "1000/s"}], in_flight=[cap, {"limit": 5, "by": "ip", "shared": True}])
        | {"in_flight": cap},
        upstream={"in_flight": cap},
        state={"redis": server.url, "timeout": "200ms", "breaker": {"failures": 100_000}},
    )
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    server.stop()
    try:
        for _ in range(2):
            begun = time.monotonic()
            assert (await fetch(gateway.ingress, "GET", "/")).status == 200
            assert time.monotonic() - begun < 0.6, "five questions would take a second"
    finally:
        server.go_on()


async def test_a_change_of_the_state_lets_nobody_in_twice(start: Start, origin: Origin, server: RedisServer) -> None:
    def sections(timeout: str) -> dict[str, Any]:
        return {
            "upstream": {"in_flight": {"limit": 2, "shared": True}},
            "state": {"redis": server.url, "timeout": timeout},
        }

    gateway = await start(**sections("500ms"))
    held = Held(origin)
    first = [asyncio.create_task(fetch(gateway.ingress, "GET", "/")) for _ in range(2)]
    await held.has(2)
    gateway.write(config(origin.address, **sections("501ms")))
    await gateway.event(event="config_reloaded")
    second = [asyncio.create_task(fetch(gateway.ingress, "GET", "/")) for _ in range(2)]
    assert [response.status for response in await asyncio.gather(*second)] == [503, 503]
    assert held.most == 2
    held.answer()
    await asyncio.gather(*first)


async def test_another_spelling_of_a_key_does_not_pass_it_by(start: Start, origin: Origin) -> None:
    """An app may not tell X_User_Id from X-User-Id, so it must not get to see the one that was not counted."""
    gateway = await start(ingress=routes(rate_limit=[{"limit": "1/min", "by": "user", "absent": "skip"}]))
    assert (await fetch(gateway.ingress, "GET", "/", [("X_User_Id", "alice"), ("X_Other", "b")])).status == 200
    assert origin.requests[-1].value("x_user_id") is None
    assert origin.requests[-1].value("x_other") == b"b"
    user = [("X-User-Id", "alice")]
    assert [(await fetch(gateway.ingress, "GET", "/", user)).status for _ in range(2)] == [200, 429]
