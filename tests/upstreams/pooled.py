"""A pool over connections in memory, as requests see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from gateway.settings.upstream import Pool as PoolSettings
from gateway.upstreams.connection import NEVER, UpstreamConnection
from gateway.upstreams.connector import Connector
from gateway.upstreams.pool import Pool
from tests.support.exchanges import exchange
from tests.upstreams.memory import INTEREST, Dials

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Task = asyncio.Task[UpstreamConnection]


class Pooled:
    """A pool whose connector connects when it is told to."""

    def __init__(self, **limits: Any) -> None:
        self.dials = Dials()
        self.pool = Pool(cast("Connector", self.dials), PoolSettings(**limits), INTEREST)

    async def obtain(self, deadline: float = NEVER, connect: float = 1.0) -> UpstreamConnection:
        """What a request does: take, or obtain; then send."""
        now = time.monotonic()
        connection = self.pool.take(now) or await self.pool.obtain(now, connect, deadline)
        connection.send(b"", time.monotonic(), exchange(), NEVER, NEVER, NEVER)
        return connection

    def request(self, deadline: float = NEVER) -> Task:
        return asyncio.get_running_loop().create_task(self.obtain(deadline))

    async def connected(self) -> UpstreamConnection:
        """A busy connection, newly opened."""
        task = self.request()
        await turns()
        self.dials.pending[-1].set_result("ok")
        return await task

    def finish(self, connection: UpstreamConnection, response: bytes = OK) -> None:
        self.dials.transports[connection].deliver(response)
        self.pool.give_back(connection, time.monotonic())

    def states(self, **expected: int) -> None:
        assert self.pool.states() == {"idle": 0, "busy": 0, "connecting": 0, "waiting": 0, **expected}


async def turns(count: int = 5) -> None:
    """Let everybody run."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def pooled(**limits: Any) -> AsyncIterator[Pooled]:
    one = Pooled(**limits)
    yield one
    await one.pool.close()
    await turns()
    one.states()
