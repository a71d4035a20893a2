"""Rate limits in real servers: the contract on each kind, and what only a server can do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from gateway.state.redis import RedisState
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from tests.state.contract import BucketsContract
from tests.state.reports import Reports
from tests.support.redis import REDIS, VALKEY, RedisCluster, RedisServer

TIMEOUT = 5.0  # seconds; these are no tests of time


class RedisSubject:
    """See `contract.Subject`. The server's clock is this machine's."""

    def __init__(self, state: RedisState) -> None:
        self.buckets = state

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.fixture(scope="module", params=["valkey", "redis", "cluster"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    server: RedisServer | RedisCluster
    if request.param == "cluster":
        server = RedisCluster()
    else:
        server = RedisServer(VALKEY if request.param == "valkey" else REDIS)
    with server:
        yield server.url


@pytest_asyncio.fixture
async def state(url: str) -> AsyncIterator[RedisState]:
    state = RedisState(parse_redis_url(url), RedisTls(), "gateway", TIMEOUT, Reports())
    yield state
    await state.close(leave=True)


class TestContract(BucketsContract):
    @pytest.fixture
    def subject(self, state: RedisState) -> RedisSubject:
        return RedisSubject(state)
