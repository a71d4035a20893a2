"""Calls to a Redis or a Valkey, each over within its time, for whatever is not on every request's way.

They raise nothing but Unavailable, and how they end is told to a breaker of their owner's (availability.py); while
the server counts as gone, nobody asks it. The connections are their owner's alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from gateway.background import end
from gateway.state.availability import Availability
from gateway.state.ports import Unavailable
from gateway.state.redis_client import ERRORS, PATIENCE, Client, RedisTls, reason
from gateway.state.redis_scripts import Script
from gateway.state.redis_url import RedisUrl

#: When a question's clock comes this much too late, seconds, the event loop was held up, and its answer may lie
#: unread. It gets as much longer, once.
_LATE = 0.005

#: Runs a script: its keys, and its arguments.
Run = Callable[[Script, Sequence[bytes], Sequence[bytes]], Awaitable[Any]]

_Answer = TypeVar("_Answer")


class Calls:
    """Made and used on one event loop; `close` it. All that asks raises Unavailable."""

    def __init__(self, url: RedisUrl, tls: RedisTls, timeout: float, availability: Availability) -> None:
        """Connects to nothing yet. `timeout` is seconds. Raises OSError when a certificate file cannot be read."""
        self._client = Client(url, tls, timeout)
        self._availability = availability
        self._timeout = timeout
        #: Seconds for what nobody waits for.
        self._patience = max(PATIENCE, timeout)
        self._calls: set[asyncio.Future[Any]] = set()

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
        except Exception as error:  # noqa: BLE001 - whatever it is, callers go on without it
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
