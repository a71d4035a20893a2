"""A pool and a way to an address, built as assembly builds them; at its end nothing may be left of either."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.policies.timeout import Timeout, TimeoutOverride, resolve
from gateway.rules.response_head import Interest
from gateway.settings.upstream import Pool as PoolSettings
from gateway.upstreams.breaker import Breaker
from gateway.upstreams.connection import UpstreamConnection
from gateway.upstreams.connector import Connector, Endpoint
from gateway.upstreams.forward import Way, forward
from gateway.upstreams.pool import Pool
from gateway.upstreams.upstream import Upstream
from tests.support.client import Address
from tests.support.exchanges import Fields, Taker, exchange
from tests.support.faults import descriptors

INTEREST = Interest("X-Correlation-ID")
NOTHING = {"idle": 0, "busy": 0, "connecting": 0, "waiting": 0}


class Calls:
    """Counts calls as the metrics do."""

    def __init__(self) -> None:
        self.begun = 0
        self.outcomes: list[str] = []
        self.refused: list[str] = []

    def begin(self) -> None:
        self.begun += 1

    def end(self, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.outcomes.append(outcome)

    def refuse(self, outcome: str) -> None:
        self.refused.append(outcome)


class Rig:
    """One upstream, one way to it, and what its exchanges' clients got."""

    def __init__(
        self,
        address: Address,
        *,
        timeout: dict[str, Any] | None = None,
        on_route: dict[str, Any] | None = None,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
        breaker: Breaker | None = None,
        **pool: Any,
    ) -> None:
        self.calls = Calls()
        self.connector = Connector(Endpoint(address[0], address[1], tls, name or address[0]))
        self.pool = Pool(self.connector, PoolSettings(**pool), INTEREST)
        self.upstream = Upstream("app", b"app.example", b"", self.pool, breaker, self.calls)
        timeouts = resolve(Timeout(**(timeout or {})), TimeoutOverride(), TimeoutOverride(**(on_route or {})))
        self.way = Way(self.upstream, timeouts, b"", own_host=False)

    async def forward(self, exchange: Exchange) -> tuple[bytes, GatewayError | None]:
        """Forward it; what its client got, and the error that the pipeline would answer with."""
        error = await forward(exchange, self.way)
        assert isinstance(exchange.client_side, Taker)
        return bytes(exchange.client_side.written), error

    async def states(self, **expected: int) -> None:
        """Wait until the pool is in these states, the others being zero."""
        wanted = {**NOTHING, **expected}
        try:
            async with asyncio.timeout(5):
                while self.pool.states() != wanted:
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise AssertionError(f"{self.pool.states()}, expected {wanted}") from None


Task = asyncio.Task[tuple[bytes, GatewayError | None]]


def start(rig: Rig, method: bytes = b"GET", fields: Fields = (), body: bytes | None = None) -> tuple[Exchange, Task]:
    """Begin an exchange; with `body`, that is all of its body."""
    one = exchange(method, fields=fields)
    if body is not None:
        one.body.feed(body)
        one.body.finish()
    return one, asyncio.create_task(rig.forward(one))


async def leave(task: Task) -> None:
    """What a client's leaving does to its exchange."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def sockets() -> int:
    """This process's open sockets."""
    return sum(target.startswith("socket:") for target in descriptors(os.getpid()))


@asynccontextmanager
async def rigged(address: Address, **settings: Any) -> AsyncIterator[Rig]:
    """A rig whose pool must be empty at the end, once closed."""
    rig = Rig(address, **settings)
    try:
        yield rig
    finally:
        await rig.pool.close()
    await rig.states()


def open_connections(pool: Pool) -> set[UpstreamConnection]:
    """The pool's own set of what is open."""
    return set(pool._open)
