"""A gateway with everything on, and the load that makes it count everything that it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

from tests.support.client import Address, Client
from tests.support.config import config, url
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import ok
from tests.support.wire import Ended

SLOW = 0.15  # seconds that the app takes for what is slow
PATIENCE = 20.0  # seconds for an answer, on a machine that others use
PACE = 0.02  # seconds between two requests of one client

Step = Callable[[int], Awaitable[None]]


def everything(origin: Address, nobody: Address, redis: str, metrics: int) -> dict[str, Any]:
    """The config. Nobody listens at `nobody`, where the upstream `broken` is; `metrics` is that listener's port."""
    limit = {"limit": "1000/s", "by": "ip"}
    return config(
        origin,
        ingress={
            "rate_limit": limit,
            "in_flight": 500,
            "flags": ["NEW", "COLOUR"],
            "routes": [
                {"name": "cached", "path": "/cached/**", "upstream": "app", "cache": {"ttl": "1s"}},
                {"name": "limited", "path": "/limited", "upstream": "app", "rate_limit": {"limit": "5/s"}},
                {
                    "name": "capped",
                    "path": "/slow",
                    "upstream": "app",
                    "in_flight": [
                        {"limit": 1, "queue": 1, "wait": "100ms"},
                        {"limit": 2, "by": "ip", "name": "each"},
                    ],
                },
                {"name": "broken", "path": "/broken", "upstream": "broken"},
                {"name": "all", "path": "/**", "upstream": "app"},
            ],
        },
        upstreams={
            "app": {"url": url(origin), "breaker": {"failures": 1000}, "in_flight": {"limit": 100, "queue": 10}},
            "broken": {"url": url(nobody), "breaker": {"failures": 3, "reset": "1s"}},
        },
        flags={
            "define": {
                "NEW": {"rollout": "50%", "stickiness": "random"},
                "COLOUR": {"variants": [{"name": "red", "weight": 1}, {"name": "blue", "weight": 1}]},
            }
        },
        cache={"entries": 20},
        state={"redis": redis},
        metrics={"bind": f"127.0.0.1:{metrics}"},
    )


async def answer(request: Request) -> bytes | None:
    """The app's and the provider's: slow, in error, cut, not to be stored, or as plain as it gets."""
    path = request.target.partition(b"?")[0]
    if path == b"/slow":
        await asyncio.sleep(SLOW)
    if path == b"/error":
        return ok(b"no", status=b"500 Internal Server Error")
    if path == b"/cut":
        return None
    if path == b"/cached/private":
        return ok(b"mine", b"Cache-Control: private")
    return ok(b"plain")


class Load:
    """Clients at an easy pace, until told to stop: to each route what it is there for."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._stopping = False
        self._clients: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        ingress, egress = self._gateway.ingress, self._gateway.egress
        paths: list[tuple[Address, Callable[[int], str]]] = [
            (ingress, lambda number: f"/cached/{number % 2}"),
            (ingress, lambda number: f"/cached/rare?{number % 50}"),
            (ingress, lambda number: ("/cached/private", "/limited", "/plain")[number % 3]),
            (ingress, lambda number: ("/error", "/broken", "/cut", "/plain")[number % 4]),
            *[(ingress, lambda _: "/slow")] * 4,
            (egress, lambda number: ("/provider/x", "/nowhere")[number % 2]),
        ]
        self._clients = [asyncio.create_task(self._client(*one)) for one in paths]
        self._clients.append(asyncio.create_task(self._vandal(ingress)))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._clients)

    async def _client(self, address: Address, path: Callable[[int], str]) -> None:
        number, closed = 0, True
        async with AsyncExitStack() as stack:
            while not self._stopping:
                if closed:
                    client = await stack.enter_async_context(await Client.connect(address))
                number += 1
                fields = [("X-User-Id", f"u{number % 10}")]
                closed = (await client.request("GET", path(number), fields, within=PATIENCE)).closes
                await asyncio.sleep(PACE)

    async def _vandal(self, address: Address) -> None:
        """Sends what is no HTTP, and leaves before it is answered."""
        while not self._stopping:
            async with await Client.connect(address) as client:
                client.send(b"NONSENSE\r\n\r\n")
                with suppress(Ended):
                    await client.response(within=PATIENCE)
            async with await Client.connect(address) as client:
                client.ask("GET", "/slow")
                await asyncio.sleep(PACE)
            await asyncio.sleep(10 * PACE)
