"""Ten thousand clients that asked once and keep their connections: what each costs, and whether others notice."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.soak.memory import MIB, resident
from tests.soak.result import Result
from tests.support.client import Address
from tests.support.gateway import Gateway, until

REQUEST = b"GET / HTTP/1.1\r\nHost: soak.example\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
AT_ONCE = 100  # connections made at the same time
SPARE = 500  # descriptors that both processes need besides
PER_CONNECTION = 16.0  # KiB
MORE = 4.0  # MiB


class Quiet(asyncio.Protocol):
    """A client that holds nothing but its transport."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\nok") and not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("closed"))


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(ANSWER)


@asynccontextmanager
async def small_origin() -> AsyncIterator[Address]:
    """An origin that answers two bytes."""
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield server.sockets[0].getsockname()[:2]


def room(wanted: int) -> int:
    """As many connections as descriptors allow, after asking for as many as may be had."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - SPARE)


async def hold(gateway: Gateway, count: int) -> list[Result]:
    """Open `count` connections, have each ask once, measure, ask on some of them, close all; and twice again."""
    clients: list[Quiet] = []
    await _open(gateway.ingress, AT_ONCE, clients)
    await _gone(gateway, clients, gateway.fds())
    descriptors, before = gateway.fds(), resident(gateway.pid)

    began = time.monotonic()
    await _open(gateway.ingress, count, clients)
    opening = time.monotonic() - began
    assert await gateway.metric("gateway_connections", listener="ingress") == count
    memory = resident(gateway.pid) - before

    delays = []
    for client in clients[:: max(1, count // 500)]:
        began = time.monotonic()
        client.ask()
        await asyncio.wait_for(client.answered, 10)
        delays.append((time.monotonic() - began) * 1000)
    assert not any(client.lost for client in clients), "some were closed before they had been idle for long"

    await _gone(gateway, clients, descriptors)
    kept = resident(gateway.pid) - before
    for _ in range(2):
        await _open(gateway.ingress, count, clients)
        again = resident(gateway.pid) - before
        await _gone(gateway, clients, descriptors)
    name = f"{count:,} idle connections"
    return [
        Result(f"{name}: memory of each", memory / count / 1024, "KiB", PER_CONNECTION),
        Result(f"{name}: opened and asked on", count / opening, "a second"),
        Result(f"{name}: median of an answer meanwhile", statistics.median(delays), "ms"),
        Result(f"{name}: slowest answer of {len(delays)} meanwhile", max(delays), "ms"),
        Result(f"{name}: memory kept for the next ones", kept / MIB, "MiB"),
        Result(f"{name}: more of it when they are there for the third time", (again - memory) / MIB, "MiB", MORE),
    ]


async def _open(address: Address, count: int, clients: list[Quiet]) -> None:
    loop = asyncio.get_running_loop()
    while len(clients) < count:
        batch = min(AT_ONCE, count - len(clients))
        made = await asyncio.gather(*(loop.create_connection(Quiet, *address) for _ in range(batch)))
        clients += [client for _, client in made]
        async with asyncio.timeout(30):
            await asyncio.gather(*(client.answered for _, client in made))


async def _gone(gateway: Gateway, clients: list[Quiet], descriptors: int) -> None:
    """Close all, and wait until the gateway has let go of all."""
    await _close(clients)
    await gateway.metric_is(0, "gateway_connections", listener="ingress", within=30)
    await until(lambda: gateway.fds() <= descriptors, "the descriptors' return", 30)


async def _close(clients: list[Quiet]) -> None:
    for client in clients:
        client.transport.close()
    clients.clear()
    await asyncio.sleep(0)
