"""Records in a Redis or a Valkey, through aiocache's backend for it: this is the only file that knows aiocache.

It connects as the rest of the gateway does (state/redis_client.py): one server, Sentinel, Cluster, with TLS or not;
no retries, a bounded pool of connections of its own, so that large bodies hold up nobody's rate limit. aiocache's own
timeouts, locks and `clear` (which runs KEYS) are not used; its client is ours, for it would only know single servers.

Every question is over within its time and raises nothing but Unavailable. While the server counts as gone, nobody
asks it (state/availability.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from aiocache import RedisCache  # type: ignore[import-untyped]
from aiocache.backends.redis import RedisBackend  # type: ignore[import-untyped]
from aiocache.serializers import BaseSerializer  # type: ignore[import-untyped]

from gateway.background import end
from gateway.state.availability import Availability
from gateway.state.ports import Unavailable
from gateway.state.redis_client import ERRORS, PATIENCE, Client, RedisTls, reason
from gateway.state.redis_scripts import Script
from gateway.state.redis_url import RedisUrl

#: When a question's clock comes this much too late, seconds, the event loop was held up, and its answer may lie
#: unread. It gets as much longer, once.
_LATE = 0.005

_Answer = TypeVar("_Answer")


class _Bytes(BaseSerializer):  # type: ignore[misc]  # aiocache has no types
    """Bytes stay bytes; aiocache's other serializers make strings of them or fail."""

    DEFAULT_ENCODING = None

    def dumps(self, value: Any) -> Any:
        """As it is."""
        return value

    def loads(self, value: Any) -> Any:
        """As it is."""
        return value


class _Cache(RedisCache):  # type: ignore[misc]
    """aiocache's, over a client of ours: the one that it makes is for a host and a port."""

    def __init__(self, client: Any) -> None:
        super(RedisBackend, self).__init__(serializer=_Bytes(), timeout=None)
        self.client = client

    async def _set(self, key: Any, value: Any, ttl: Any = None, _cas_token: Any = None, _conn: Any = None) -> Any:
        """As it was, without the SETEX that redis-py warns of."""
        return await self.client.set(key, value, ex=ttl)


class Backend:
    """Made and used on one event loop; `close` it. All that asks raises Unavailable."""

    def __init__(self, url: RedisUrl, tls: RedisTls, timeout: float, availability: Availability) -> None:
        """Connects to nothing yet. `timeout` is seconds. Raises OSError when a certificate file cannot be read."""
        self._client = Client(url, tls, timeout)
        self._cache = _Cache(self._client.commands)
        self._availability = availability
        self._timeout = timeout
        #: Seconds for what nobody waits for.
        self._patience = max(PATIENCE, timeout)
        self._calls: set[asyncio.Future[Any]] = set()

    async def get(self, key: bytes) -> bytes | None:
        """A value; None where there is none."""
        value: bytes | None = await self.ask(lambda: self._cache.get(key), self._timeout)
        return value

    async def get_several(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of their keys."""
        values: list[bytes | None] = await self.ask(lambda: self._cache.multi_get(keys), self._timeout)
        return values

    async def put(self, key: bytes, value: bytes, ttl: int) -> None:
        """Store a value for `ttl` seconds, more than 0. Nobody waits for it, so it may take a second."""
        await self.ask(lambda: self._cache.set(key, value, ttl=ttl), self._patience)

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """A script's answer."""
        return await self.ask(lambda: self._client.run(script, keys, arguments), self._timeout)

    async def try_again(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Connect anew and run a script, though the server counts as gone."""
        try:
            async with asyncio.timeout(3 * self._patience):
                await self._client.drop()
                await self._client.ping()
                return await self._client.run(script, keys, arguments)
        except Exception as error:  # noqa: BLE001 - whatever answers there, it is not the server
            raise Unavailable(reason(error)) from None

    def messages(self, channel: bytes) -> AsyncGenerator[bytes, None]:
        """What is published there from now on; first nothing (b""), once it listens. Raises whatever it meets."""
        return self._client.messages(channel)

    async def close(self) -> None:
        """Drop all connections."""
        await end(self._calls)
        with suppress(*ERRORS, TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._client.close()

    async def ask(self, call: Callable[[], Awaitable[_Answer]], within: float) -> _Answer:
        """The answer, while the server is there and in so many seconds; how it ends is told to the breaker."""
        if not self._availability.up:
            raise Unavailable(self._availability.why)
        try:
            answer = await self._within(call, within)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers go on without the second tier
            why = "timeout" if isinstance(error, TimeoutError) else reason(error)
            # One that is full answers, and what it has is worth as much as before.
            if why.startswith("OutOfMemoryError"):
                self._availability.succeeded()
            else:
                self._availability.failed(1, why)
            raise Unavailable(why) from None
        self._availability.succeeded()
        return answer

    async def _within(self, call: Callable[[], Awaitable[_Answer]], seconds: float) -> _Answer:
        """The call's result, or TimeoutError when the loop had that long to bring it.

        It is a task of its own: redis-py sends by asyncio.wait_for, in which Python 3.11 can lose a cancellation, and
        neither this one's time nor a caller's leaving may depend on that.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(call())
        self._calls.add(task)
        task.add_done_callback(self._ended)
        deadline = loop.time() + seconds
        try:
            await asyncio.wait([task], timeout=seconds)
            late = loop.time() - deadline
            if late > _LATE:
                await asyncio.wait([task], timeout=min(late, seconds))
            if not task.done():
                raise TimeoutError
            return task.result()
        finally:
            task.cancel()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # whoever wanted it has gone
