"""The connections to one upstream: reused last in, first out; bounded in number, in waiting and in age.

What to do is decided at once and without waiting (`take`); only opening a connection, or waiting for one, does.
Every connection counts from the moment it is begun until its socket is gone, tunnels too; an idle one that is
closed here counts no more at once, though TLS may take a moment to say goodbye.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Protocol

from gateway.errors import PoolExhausted
from gateway.rules.response_head import Interest
from gateway.upstreams import relay
from gateway.upstreams.connection import NEVER, UpstreamConnection
from gateway.upstreams.connector import Connector

#: An upstream that says for how long it keeps idle connections is believed, less this margin in seconds.
_MARGIN = 1.0

#: What may not be sent twice does not go out in the clear on a connection that has been idle for longer, in seconds:
#: uvicorn and Node.js close theirs after five and do not say so.
FRESH = 4.0

#: How often idle connections are looked at, in seconds.
_SWEEP = 1.0


class PoolLimits(Protocol):
    """Sizes in connections and waiters, times in seconds."""

    connections: int
    idle: float
    lifetime: float | None
    wait: float
    queue: int


class Pool:
    """The connections to one upstream."""

    def __init__(self, connector: Connector, limits: PoolLimits, interest: Interest) -> None:
        self._connector = connector
        self.limits = limits
        self.interest = interest
        self._idle: deque[UpstreamConnection] = deque()
        self._open: set[UpstreamConnection] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._retired = False

    def states(self) -> dict[str, int]:
        """How many connections are in which state, and how many requests wait for one."""
        idle = len(self._idle)
        return {
            "idle": idle,
            "busy": len(self._open) - idle,
            "connecting": self._connecting,
            "waiting": len(self._waiting),
        }

    @property
    def accepted(self) -> bool:
        """Whether the upstream has ever accepted a connection."""
        return self._connector.accepted

    async def reach(self, limit: float) -> None:
        """See whether it does, within `limit` seconds. Raises why not."""
        await self._connector.reach(limit)

    def take(self, now: float, *, repeatable: bool = True) -> UpstreamConnection | None:
        """An idle connection that is fit to be used; None when there is none.

        For what may not be sent twice it must be `FRESH`: no second try would hide that the upstream had just closed.
        """
        idle = self._idle
        while idle:
            if not repeatable and self._may_be_stale(idle[-1], now):
                return None
            connection = idle.pop()
            if not connection.closed and self._fit(connection, now):
                return connection
            self._drop(connection)
        return None

    async def obtain(self, now: float, connect: float, deadline: float) -> UpstreamConnection:
        """A connection: a new one, or the next that comes free. Raises PoolExhausted, or why it could not connect.

        `connect` is seconds, `deadline`, for the waiting too, on the monotonic clock; NEVER for none.
        """
        until = min(now + self.limits.wait, deadline)
        while len(self._open) + self._connecting >= self.limits.connections:
            connection = await self._wait(until - now)
            now = monotonic()
            if connection is None:
                break
            if not connection.closed:
                return connection
            # It broke on its way here, with nothing of ours on it.
        else:
            self._connecting += 1
        # The place is ours, counted in _connecting.
        limit = min(connect, deadline - now)
        try:
            connection = await self._connector.connect(self._make, None if limit == NEVER else max(limit, 0.0))
        except BaseException:
            self._connecting -= 1
            self._pass_place_on()
            raise
        self._connecting -= 1
        lifetime = self.limits.lifetime
        connection.expires = NEVER if lifetime is None else now + lifetime
        if connection.closed:
            self._pass_place_on()
        else:
            self._open.add(connection)
        return connection

    def give_back(self, connection: UpstreamConnection, now: float) -> None:
        """The exchange is over: keep the connection when it can be used again, close it otherwise."""
        if not connection.reusable() or self._retired or now >= connection.expires:
            connection.dismiss()
            return
        connection.rest(now)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweep_soon()

    def reconfigure(self, limits: PoolLimits, interest: Interest) -> None:
        """Go by other limits from now on; where they leave more room, who waits gets it."""
        if interest.noted != self.interest.noted:
            while self._idle:  # they would read the next response by the old one
                self._drop(self._idle.pop())
        self.limits = limits
        self.interest = interest
        self._pass_place_on()

    def retire(self) -> None:
        """Close what is idle now, and the rest as it comes back."""
        self._retired = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._idle:
            self._drop(self._idle.pop())

    async def close(self) -> None:
        """Close everything."""
        self.retire()
        for connection in list(self._open):
            connection.abort()
        await self._connector.resolver.close()

    # ---- inside

    def _make(self) -> UpstreamConnection:
        return UpstreamConnection(self.interest, self._closed, relay.informational)

    def _closed(self, connection: UpstreamConnection) -> None:
        if connection in self._open:
            self._open.discard(connection)
            if not connection.busy:
                with suppress(ValueError):
                    self._idle.remove(connection)
            self._pass_place_on()

    def _drop(self, connection: UpstreamConnection) -> None:
        """Close an idle connection; its place is free from now."""
        self._open.discard(connection)
        connection.close()

    def _pass_place_on(self) -> None:
        """A place has come free: who waits longest may open a connection on it."""
        while self._waiting and len(self._open) + self._connecting < self.limits.connections:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._connecting += 1
                waiter.set_result(None)

    async def _wait(self, limit: float) -> UpstreamConnection | None:
        """Wait `limit` seconds for a connection; None is a place to open one on, counted already."""
        if len(self._waiting) >= self.limits.queue:
            raise PoolExhausted("Too many requests wait for a connection to the upstream.")
        waiter: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(limit):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._give_up(waiter.result())  # it came just as we stopped waiting
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                raise PoolExhausted("All connections to the upstream stayed busy.") from None
            raise

    def _give_up(self, connection: UpstreamConnection | None) -> None:
        if connection is None:
            self._connecting -= 1
            self._pass_place_on()
        else:
            self.give_back(connection, monotonic())

    def _fit(self, connection: UpstreamConnection, now: float) -> bool:
        limit, told = self.limits.idle, connection.idle_limit
        if told is not None:
            limit = min(limit, max(told - _MARGIN, told / 2))
        return now - connection.idle_since < limit and now < connection.expires

    def _may_be_stale(self, connection: UpstreamConnection, now: float) -> bool:
        """Providers keep connections for minutes, and a handshake with them is dear; app servers do neither."""
        return (
            now - connection.idle_since > FRESH
            and connection.idle_limit is None
            and not connection.over_tls
            and len(self._open) + self._connecting < self.limits.connections
        )

    def _sweep_soon(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(min(_SWEEP, self.limits.idle), self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle too long, is too old, or whose address the name no longer stands for."""
        self._sweeper = None
        now = monotonic()
        knows = self._connector.resolver.knows
        keep: deque[UpstreamConnection] = deque()
        for connection in self._idle:
            if connection.closed or not self._fit(connection, now) or not knows(connection.address):
                self._drop(connection)
            else:
                keep.append(connection)
        self._idle = keep
        if keep:
            self._sweep_soon()
