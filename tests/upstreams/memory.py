"""Upstream connections without sockets: what is sent stays, what comes is handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.errors import ConnectFailed
from gateway.exchange import Exchange
from gateway.rules.field_lines import Pieces
from gateway.rules.response_head import Interest
from gateway.upstreams.connection import NEVER, UpstreamConnection
from tests.support.exchanges import exchange as make_exchange
from tests.support.transport import MemoryTransport

INTEREST = Interest("X-Correlation-ID")


class Names:
    """A resolver for which the name stands for every address, until it does not."""

    def __init__(self) -> None:
        self.current = "10.0.0.1"

    def knows(self, address: str) -> bool:
        return address == self.current

    async def close(self) -> None:
        pass


class Dials:
    """A connector that connects when it is told to."""

    def __init__(self, on_dial: Callable[[], None] = lambda: None) -> None:
        self.resolver = Names()
        self.pending: list[asyncio.Future[str]] = []
        self.transports: dict[UpstreamConnection, MemoryTransport] = {}
        self._on_dial = on_dial

    async def connect(self, make: Callable[[], UpstreamConnection], limit: float | None) -> UpstreamConnection:
        assert limit is None or limit >= 0
        self._on_dial()
        dial: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.pending.append(dial)
        try:
            how = await dial
        finally:
            self.pending.remove(dial)
        if how == "refused":
            raise ConnectFailed
        connection = make()
        self.transports[connection] = transport = MemoryTransport(connection)
        connection.connection_made(transport)
        connection.address = self.resolver.current
        if how == "dead":
            transport.lose()
        return connection


class Body:
    """A sink that keeps a response's body."""

    def __init__(self) -> None:
        self.body = b""
        self.trailers: list[tuple[bytes, bytes]] | None = None

    def chunk(self, data: bytes) -> None:
        assert self.trailers is None, "bytes behind the end"
        self.body += data

    def end(self, trailers: list[tuple[bytes, bytes]]) -> None:
        assert self.trailers is None, "two ends"
        self.trailers = list(trailers)


class Peer:
    """A connection and the other end of it."""

    def __init__(self, on_closed: Callable[[UpstreamConnection], None] | None = None) -> None:
        self.informational: list[tuple[int, bytes, bytes]] = []
        self.closed = 0
        self._on_closed = on_closed
        self.connection = UpstreamConnection(INTEREST, self._lost, self._informed)
        self.transport = MemoryTransport(self.connection)
        self.connection.connection_made(self.transport)

    def _lost(self, connection: UpstreamConnection) -> None:
        self.closed += 1
        if self._on_closed is not None:
            self._on_closed(connection)

    def _informed(self, exchange: Exchange, status: int, reason: bytes, kept: Pieces) -> None:
        self.informational.append((status, reason, b"".join(kept)))

    def send(
        self,
        exchange: Exchange | None = None,
        *,
        headers: float = NEVER,
        idle: float = NEVER,
        total: float = NEVER,
    ) -> asyncio.Future[None]:
        """Begin an exchange; `headers` and `idle` in seconds, `total` too, from now."""
        exchange = exchange or make_exchange()
        now = asyncio.get_running_loop().time()
        waiter = self.connection.send(b"head\r\n\r\n", now, exchange, headers, idle, now + total)
        exchange.body.attach(self.connection) if exchange.body.source is not None else None
        return waiter

    async def whole(self, response: bytes, exchange: Exchange | None = None) -> bytes:
        """Have a request answered in one read; the body."""
        waiter = self.send(exchange)
        self.transport.deliver(response)
        await waiter
        self.connection.final_head()
        return b"".join(self.connection.take() or [])
