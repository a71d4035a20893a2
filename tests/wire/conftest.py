"""The fixtures of the wire tests: one origin and one gateway for all that do not disturb each other.

The shared gateway outlives a test, its origin does not: each test has an origin of its own on the same port,
and at its end every upstream connection is closed by the origin and let go by the gateway, so that none is left
for the next test to find stale.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.client import Address, Client
from tests.support.config import config
from tests.support.gateway import Gateway
from tests.support.origin import Origin, listen
from tests.wire.cached_routes import sections
from tests.wire.stage import Asking, Stage

Start = Callable[..., Awaitable[Gateway]]
StartOnce = Callable[..., Gateway]


@pytest.fixture(autouse=True)
def tidy(no_leaked_tasks: None) -> None:
    """Every wire test ends with no task of its own running."""


@pytest.fixture(scope="session")
def listener() -> Iterator[socket.socket]:
    """Holds the origin's port for the whole run."""
    with listen() as sock:
        yield sock


@pytest.fixture(scope="session")
def shared(listener: socket.socket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Gateway]]:
    """The shared gateway, replaced when a test has killed it."""
    gateways: list[Gateway] = []
    yield gateways
    for gateway in gateways:
        gateway.stop()


@pytest_asyncio.fixture
async def origin(listener: socket.socket) -> AsyncIterator[Origin]:
    """An origin for this test alone, behind the shared gateway."""
    origin = Origin(listener)
    await origin.start()
    yield origin
    await origin.stop()
    assert not origin.violations, f"the origin saw what it must never see: {origin.violations}"


@pytest_asyncio.fixture
async def gateway(
    origin: Origin, shared: list[Gateway], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    """The shared gateway with plain settings, no breaker, in front of `origin` on both sides."""
    if not shared or not shared[-1].alive:
        shared.append(Gateway(tmp_path_factory.mktemp("gateway"), config(origin.address)))
        await asyncio.to_thread(shared[-1].start)
    yield shared[-1]
    assert shared[-1].alive, f"the gateway died:\n{shared[-1].stderr}"
    shared[-1].check_output()


@pytest_asyncio.fixture
async def start(origin: Origin, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a gateway of the test's own: start(upstream={...}, ingress={...}), or start(whole=CONFIG)."""
    started: list[Gateway] = []

    async def begin(
        *, whole: dict[str, Any] | None = None, environment: dict[str, str] | None = None, **sections: Any
    ) -> Gateway:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        gateway = Gateway(directory, whole or config(origin.address, **sections))
        started.append(gateway)
        await asyncio.to_thread(gateway.start, environment)
        return gateway

    yield begin
    for gateway in started:
        await asyncio.to_thread(gateway.stop)


@pytest.fixture(scope="module")
def start_once(listener: socket.socket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartOnce]:
    """Starts a gateway for all tests of a module, in front of the port where each test has its `origin`."""
    started: list[Gateway] = []

    def begin(**sections: Any) -> Gateway:
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), config(listener.getsockname()[:2], **sections))
        started.append(gateway)
        return gateway.start()

    yield begin
    for gateway in started:
        gateway.stop()


@pytest.fixture(scope="module")
def cached(start_once: StartOnce, listener: socket.socket) -> Gateway:
    """A gateway with caches of every kind, for all tests of a module: each asks for what no other asks for."""
    return start_once(**sections(listener))


@pytest_asyncio.fixture
async def stage(origin: Origin) -> AsyncIterator[Stage]:
    """The `origin`, played request by request."""
    async with Stage(origin) as stage:
        yield stage


@pytest_asyncio.fixture
async def asking(cached: Gateway, stage: Stage) -> AsyncIterator[Asking]:
    """One client of `cached`, and the `stage` behind it."""
    async with await Client.connect(cached.ingress) as client:
        yield Asking(client, stage)


class Side:
    """One of the two listeners: its address, and how a path looks in front of it."""

    def __init__(self, name: str, gateway: Gateway) -> None:
        self.name = name
        self.address: Address = gateway.address(name)
        self.prefix = "" if name == "ingress" else "/provider"

    async def connect(self) -> Client:
        return await Client.connect(self.address)


@pytest.fixture(params=["ingress", "egress"])
def side(request: pytest.FixtureRequest, gateway: Gateway) -> Side:
    """Both listeners of the shared gateway, one after the other."""
    return Side(request.param, gateway)


@pytest_asyncio.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    """A connection to the shared gateway's ingress."""
    async with await Client.connect(gateway.ingress) as client:
        yield client
