"""Requests held for an upstream that is still starting: it has never yet accepted a connection.

The first request that finds nobody there begins the waiting; from there on one task looks for the upstream, and all
requests wait for what that finds. It lasts until the upstream accepts, the time for starting is over, or all who
waited have left; then they connect, a few at a time. What a request holds meanwhile (caps, its client's connection)
bounds how many there are; none that waits holds a place in the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Literal

from gateway.background import Background, Bug
from gateway.errors import ConnectFailed, ConnectTimeout, GatewayError, NameNotResolved, NotStarted
from gateway.rules import startup
from gateway.upstreams.connection import NEVER, UpstreamConnection
from gateway.upstreams.pool import Pool

#: Seconds for one look; who cannot be reached in them is looked for again.
_LOOK = 1.0

#: So many of those who have waited connect at the same time: of a crowd, most would run out of time to connect.
AT_ONCE = 50

#: It is waited for; it has accepted a connection; the time for that is over.
Told = Literal["waiting", "up", "over"]


class Startup:
    """Goes between an upstream's requests and its pool until the upstream is up. `over` is on the monotonic clock."""

    __slots__ = ("_ended", "_looker", "_looking", "_pool", "_tell", "_turns", "_up", "held", "over")

    def __init__(self, pool: Pool, over: float, tell: Callable[[Told], None], bug: Bug) -> None:
        """`tell` is told of each change; of `up` or `over` once, and nobody needs this object then."""
        self._pool = pool
        self.over = over
        self._tell = tell
        self._looker = Background("startup", bug)
        self._looking: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._ended = False
        #: How many requests wait.
        self.held = 0

    async def obtain(self, now: float, connect: float, deadline: float) -> UpstreamConnection:
        """As Pool.obtain, once there is somebody to connect to. Raises NotStarted when that took too long."""
        pool = self._pool
        before = pool.accepted
        if self._looking is None:
            try:
                connection = await pool.obtain(now, connect, deadline)
            except (ConnectFailed, ConnectTimeout, NameNotResolved):
                until = startup.held_until(monotonic(), self.over, deadline, accepted=pool.accepted)
                if until is None and pool.accepted == before:
                    self._end()
                    raise
            else:
                self._end()
                return connection
        else:
            until = startup.held_until(now, self.over, deadline, accepted=before)
        if until is not None:
            await self._hold(until)
            return await self._in_turn(connect, until, deadline)
        return await pool.obtain(monotonic(), connect, deadline)

    async def _in_turn(self, connect: float, until: float, deadline: float) -> UpstreamConnection:
        """A connection for one of the crowd that has waited; perhaps one that another has done with.

        Where the app's queue was full, it is tried again until `until`: to its system that is a lost packet.
        """
        try:
            async with asyncio.timeout(None if deadline == NEVER else deadline - monotonic()):
                await self._turns.acquire()
        except TimeoutError:
            raise NotStarted from None
        try:
            while True:
                now = monotonic()
                try:
                    return self._pool.take(now, repeatable=False) or await self._pool.obtain(now, connect, deadline)
                except ConnectTimeout:
                    if monotonic() >= until:
                        raise
        finally:
            self._turns.release()

    async def _hold(self, until: float) -> None:
        if self._looking is None:
            self._tell("waiting")
            self._looking = self._looker.spawn(self._look())
        self.held += 1
        try:
            async with asyncio.timeout(until - monotonic()):
                await self._up.wait()
        except TimeoutError:
            if until >= self.over:  # not: now, for a timer may be a moment early
                self._end()
            raise NotStarted from None
        finally:
            self.held -= 1
            if not self.held and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        tries = 0
        while not self._pool.accepted and monotonic() < self.over:
            await asyncio.sleep(startup.pause(tries))
            tries += 1
            try:
                await self._pool.reach(_LOOK)
            except GatewayError:
                continue
        self._end()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._pool.accepted:
            self._up.set()
        self._tell("up" if self._pool.accepted else "over")
