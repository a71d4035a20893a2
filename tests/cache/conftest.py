"""A real server, and replicas on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.cache.replicas import Open, Replica
from tests.support.redis import RedisServer


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    """One for a module's tests."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> Iterator[RedisServer]:
    """It, empty and alive."""
    if running.dead:
        running.start()
    with running.client() as client:
        client.flushall()
    yield running
    if not running.dead:
        running.go_on()


@pytest_asyncio.fixture
async def replica(server: RedisServer, no_leaked_tasks: None) -> AsyncIterator[Open]:
    """Starts replicas; they end with the test, which none of them may have found a bug in."""
    opened: list[Replica] = []

    async def start(url: str = server.url, **more: Any) -> Replica:
        one = Replica(url, **more)
        opened.append(one)
        await one.start()
        return one

    yield start
    for one in opened:
        await one.close()
    assert [bug for one in opened for bug in one.bugs] == []
