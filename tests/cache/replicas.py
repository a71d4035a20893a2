"""Replicas of a gateway, as far as the second tier sees them: each with its purges and its own memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.cache.entry import Entry
from gateway.cache.shared_tier import RedisTier
from gateway.rules.purge import Kind, Purge, PurgeLog
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from tests.cache.entries import entry, fields

#: Seconds; what a question may take, and for how long nobody asks when the server is gone.
TIMEOUT = 0.1
RESET = 0.3
NOTHING = fields()


class Replica(RedisTier):
    """One of them."""

    def __init__(
        self, url: str, tls: RedisTls | None = None, failures: int = 10, timeout: float = TIMEOUT, **more: Any
    ) -> None:
        self.log = PurgeLog()
        #: Others' purges, as they came.
        self.applied: list[Purge] = []
        self.moves: list[tuple[bool, str]] = []
        self.bugs: list[BaseException] = []
        super().__init__(
            parse_redis_url(url),
            tls or RedisTls(),
            "gateway",
            timeout,
            failures,
            RESET,
            self.log,
            self.applied.append,
            lambda up, why: self.moves.append((up, why)),
            lambda _where, error: self.bugs.append(error),
            **more,
        )

    def fetched(self, key: bytes = b"key", body: bytes = b"content", **more: Any) -> Entry:
        """What an upstream answers now."""
        return entry(key, body, **{"version": self.log.version, **more})

    async def store(self, stored: Entry) -> Entry:
        """Put it, and wait until it is there."""
        self.put(stored, NOTHING)
        await until(lambda: not self._waiting)
        return stored

    async def body(self, key: bytes = b"key", values: Any = NOTHING) -> bytes | None:
        """What it finds."""
        found = await self.find(key, values)
        return None if found is None else found.body


Open = Callable[..., Awaitable[Replica]]

TAGGED = Purge(Kind.TAG, b"news")


async def until(what: Callable[[], object], within: float = 5.0) -> float:
    """Wait for it; how long it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() < began + within
        await asyncio.sleep(0.005)
    return time.monotonic() - began
