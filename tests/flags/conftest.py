"""A real server, for those that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
