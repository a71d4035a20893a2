"""A listening socket and its connections: accepting, sweeping for what waits too long, and draining."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from gateway import sockets
from gateway.exchange import Exchange
from gateway.listeners.client_connection import CLOSING, SERVING, TUNNEL, ClientConnection
from gateway.rules.request_head import Interest

#: How often connections are looked at, in seconds: at least four times in the shortest limit.
_SLOWEST_SWEEP, _FASTEST_SWEEP = 0.5, 0.02

#: How long a connection that is idle when its listener stops may still begin a request, in seconds.
_LAST_CHANCE = 0.5

#: In how many seconds the event loop has closed a listening socket that it was told to close.
_CLOSING = 0.01

#: So many connections over the limit are told so; beyond them, a flood is just cut.
_TOLD = 64


class Limits(Protocol):
    """What one client may take. Times in seconds, sizes in bytes, `body_rate` in bytes a second."""

    connections: int
    request_line: int
    header_size: int
    header_count: int
    header_timeout: float
    body_timeout: float
    body_rate: int
    keep_alive: float
    write_timeout: float
    linger: float


class ConnectionMetrics(Protocol):
    """Where connections are counted."""

    def opened(self) -> None:
        """One has come."""

    def closed(self) -> None:
        """One has gone."""

    def refuse(self) -> None:
        """One was turned away."""


class Service(Protocol):
    """Who answers exchanges."""

    def begin(self, exchange: Exchange) -> bool:
        """Take it as far as it goes without waiting. True when it is over; else `serve` must follow."""

    async def serve(self, exchange: Exchange) -> None:
        """Take it to its end. Cancelled when the client leaves."""

    def abandon(self, exchange: Exchange) -> None:
        """The client has left between the two."""


class Listener:
    """Accepts clients on one address and has their exchanges served."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        interest: Interest,
        service: Service,
        log_bug: Callable[[str, BaseException], None],
        metrics: ConnectionMetrics,
    ) -> None:
        self.name = name
        self.limits = limits
        self.interest = interest
        #: Another object whenever requests are read by other settings.
        self.epoch = object()
        self.service = service
        self.log_bug = log_bug
        self._metrics = metrics
        self.connections: set[ClientConnection] = set()
        #: True from the first sign of an end: responses then say `Connection: close`.
        self.draining = False
        self._server: asyncio.Server | None = None
        self._queues: list[socket.socket] = []
        #: Connections on which a request has begun to come in this turn of the event loop.
        self._arrivals: list[ClientConnection] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the real address. Raises OSError when it cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ClientConnection(self), host or None, port, backlog=4096, reuse_address=True
        )
        for sock in self._server.sockets:
            sockets.keep_alive(sock)
        address = self._server.sockets[0].getsockname()
        self._sweep()
        return str(address[0]), int(address[1])

    def reconfigure(self, limits: Limits, interest: Interest) -> None:
        """Take new limits from the next request on."""
        self.limits = limits
        self.interest = interest
        self.epoch = object()

    def opened(self, connection: ClientConnection) -> None:
        """A client has connected."""
        over = len(self.connections) - self.limits.connections
        self._metrics.opened()
        self.connections.add(connection)
        self._empty.clear()
        if over >= 0:
            self._metrics.refuse()
            if over < _TOLD:
                connection.turn_away()
            else:
                connection.cut()

    def arrived(self, connection: ClientConnection) -> None:
        """A request has begun to come; it is read when all are here that come in this turn of the event loop."""
        if not self._arrivals:
            asyncio.get_running_loop().call_soon(self._take_in)
        self._arrivals.append(connection)

    def _take_in(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        for connection in arrivals:
            try:
                connection.take_in()
            except Exception as bug:  # noqa: BLE001 - one connection's trouble must not be that of the others
                self.log_bug("arrival", bug)
                connection.cut()

    def in_flight(self) -> int:
        """How many exchanges are under way."""
        return sum(connection.phase in (SERVING, TUNNEL) for connection in self.connections)

    def closed(self, connection: ClientConnection) -> None:
        """A client's connection is gone."""
        self._metrics.closed()
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    def stop_accepting(self) -> None:
        """Take no more connections but those that the system has taken already."""
        if self._server is None:
            return
        # What waits in the system's queue would be reset with the last descriptor: one of ours stays open for it.
        self._queues = [socket.socket(fileno=os.dup(sock.fileno())) for sock in self._server.sockets]
        self._server.close()
        self._server = None

    async def drain(self, deadline: float) -> bool:
        """Let connections finish until `deadline` (the loop's time); what is left then is cut. True when none was.

        A kept-alive connection that is idle may have a request under way to us, so it gets a moment before it is
        closed; whatever is answered meanwhile carries `Connection: close`.
        """
        loop = asyncio.get_running_loop()
        await self._accept_the_rest()
        await self._wait_empty(min(loop.time() + _LAST_CHANCE, deadline))
        while self.connections and loop.time() < deadline:
            for connection in list(self.connections):
                connection.close_when_idle()
            await self._wait_empty(min(loop.time() + 0.05, deadline))
        clean = not any(connection.phase != CLOSING for connection in self.connections)
        for connection in list(self.connections):
            connection.cut("drain-timeout")
        await self._wait_empty(loop.time() + 1.0)
        self.stop()
        return clean

    def stop(self) -> None:
        """End a listener that has no connections."""
        self.stop_accepting()
        while self._queues:
            self._queues.pop().close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def _accept_the_rest(self) -> None:
        """Take what came until the event loop had closed its own descriptor, then close ours."""
        if self._queues:
            await asyncio.sleep(_CLOSING)
        loop = asyncio.get_running_loop()
        queues, self._queues = self._queues, []
        for queue in queues:
            queue.setblocking(False)
            accepted = []
            with suppress(OSError):  # when there is nothing left, BlockingIOError
                while True:
                    accepted.append(queue.accept()[0])
            queue.close()
            for sock in accepted:
                await loop.connect_accepted_socket(lambda: ClientConnection(self), sock)

    async def _wait_empty(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._empty.wait()
        except TimeoutError:
            pass

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self.connections):
            try:
                connection.check(now)
            except Exception as bug:  # noqa: BLE001 - one connection's trouble must not end the sweeping of the others
                self.log_bug("sweep", bug)
        limits = self.limits
        shortest = min(
            limits.header_timeout, limits.body_timeout, limits.keep_alive, limits.write_timeout, limits.linger
        )
        self._sweeper = loop.call_later(min(_SLOWEST_SWEEP, max(_FASTEST_SWEEP, shortest / 4)), self._sweep)
