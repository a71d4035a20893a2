"""A client's connection without a socket, and a listener that serves by echoing what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from gateway.exchange import BodySink, Exchange, Fields, Reply
from gateway.listeners.client_connection import ClientConnection
from gateway.listeners.listener import Limits, Listener, Service
from gateway.rules.request_head import Interest
from gateway.settings import Limits as LimitSettings
from gateway.upstreams import relay
from tests.support.transport import MemoryTransport

INTEREST = Interest("X-Correlation-ID", ingress=True)


class Whole:
    """A sink that is done when the body is."""

    def __init__(self) -> None:
        self.body = b""
        self.done = asyncio.Event()

    def chunk(self, data: bytes) -> None:
        assert not self.done.is_set()
        self.body += data

    def end(self, trailers: Fields) -> None:
        assert not self.done.is_set()
        self.done.set()


class Echo:
    """Serves exchanges: waits for the body, keeps it, and answers with the target."""

    def __init__(self) -> None:
        self.served: list[tuple[bytes, bytes, bytes]] = []
        self.refused: list[int] = []
        self.left = 0
        self.running = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.running += 1
        try:
            if exchange.refused is not None:
                self.refused.append(exchange.refused.status)
                relay.reply(exchange, Reply(exchange.refused.status), b"Refused")
                return
            sink = Whole()
            if exchange.body.source is not None:
                exchange.body.attach(cast("BodySink", sink))
                await sink.done.wait()
            self.served.append((exchange.method, exchange.path, sink.body))
            relay.reply(exchange, Reply(200, [(b"X-Answers", exchange.path)], b"ok"), b"OK")
        except asyncio.CancelledError:
            error = exchange.body.error
            if error is None:
                self.left += 1
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            self.refused.append(error.status)
            relay.reply(exchange, Reply(error.status), b"Refused")
        finally:
            self.running -= 1


class Slow:
    """Serves everything in the connection's task."""

    def __init__(self, serve: Callable[[Exchange], Awaitable[None]]) -> None:
        self.serve = serve

    def begin(self, exchange: Exchange) -> bool:
        return False

    def abandon(self, exchange: Exchange) -> None:
        pass


class Counts:
    """Counts connections as the metrics do."""

    def __init__(self) -> None:
        self.now = self.refused = self.ever = 0

    def opened(self) -> None:
        self.now += 1
        self.ever += 1

    def closed(self) -> None:
        self.now -= 1
        assert self.now >= 0

    def refuse(self) -> None:
        self.refused += 1


class Listening:
    """A listener, what it serves with, and what it counted."""

    def __init__(self, serve: Callable[[Exchange], Awaitable[None]] | None = None, **limits: object) -> None:
        self.echo = Echo()
        self.counts = Counts()
        self.bugs: list[BaseException] = []
        self.listener = Listener(
            "ingress",
            cast("Limits", LimitSettings.model_validate(limits)),
            INTEREST,
            cast("Service", Slow(serve or self.echo)),
            lambda where, error: self.bugs.append(error),
            self.counts,
        )

    def connect(self, peer: str = "192.0.2.1") -> tuple[ClientConnection, MemoryTransport]:
        """A client that comes by memory."""
        connection = ClientConnection(self.listener)
        transport = MemoryTransport(connection)
        transport.extra["peername"] = (peer, 4711)
        connection.connection_made(transport)
        return connection, transport


async def deliver(transport: MemoryTransport, data: bytes) -> None:
    """Bytes come once somebody reads."""
    for _ in range(200):
        if transport.reading or transport.closing:
            break
        await asyncio.sleep(0)
    if not transport.closing:
        transport.deliver(data)


async def turns(count: int = 10) -> None:
    """Let everybody run."""
    for _ in range(count):
        await asyncio.sleep(0)
