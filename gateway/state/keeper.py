"""What keeps replicas in step through a Redis, beside requests.

One task asks the server for news while it is there, and tries for it while it is gone; another listens. Before it
counts as up again the server's news are known here, and ours there. Nothing raises for their sake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from random import random
from typing import Protocol

from gateway.background import Bug, end
from gateway.state.availability import Availability
from gateway.state.ports import Unavailable
from gateway.state.redis_calls import Calls, Run
from gateway.state.redis_client import reason

#: Seconds between two questions for news.
POLL = 0.5
#: Seconds between two tries to listen: at first, and at most.
_AGAIN, _SLOWEST = 0.1, 5.0
#: What an answer that no Redis gives may raise.
_NONSENSE = (ValueError, TypeError, LookupError)


class Bus(Protocol):
    """One replica's end of what all of them have to know."""

    channel: bytes
    #: Is called when an `exchange` should be soon; the keeper sets it.
    wake: Callable[[], None]

    async def exchange(self, run: Run) -> None:
        """Learn the server's news and tell ours; whatever `run` raises comes through. One at a time."""

    def heard(self, message: bytes) -> None:
        """What was published on the channel."""


class Keeper:
    """Of one bus; `where` names it to `bug`. `start` it and `close` it on one event loop."""

    def __init__(self, where: str, calls: Calls, bus: Bus, availability: Availability, bug: Bug) -> None:
        self._where = where
        self._calls = calls
        self._bus = bus
        self._availability = availability
        self._bug = bug
        self._wake = asyncio.Event()
        bus.wake = self.look
        #: Why it last had to listen anew.
        self.deaf = ""
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect; return when the server is there, or after up to 3 s when it is not."""
        try:
            await self._return()
        except Unavailable as error:
            self._availability.started(str(error))
        else:
            self._availability.started("")
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(self._keep()), loop.create_task(self._listen())]

    def look(self) -> None:
        """Look after it now."""
        self._wake.set()

    async def close(self) -> None:
        """End both tasks."""
        await end(self.tasks)

    # ---- inside

    async def _keep(self) -> None:
        while True:
            try:
                await (self._live() if self._availability.up else self._try_again())
            except Exception as error:  # noqa: BLE001 - a bug; the task must not end by it
                self._bug(self._where, error)
                await asyncio.sleep(POLL)

    async def _live(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._wake.wait()
        self._wake.clear()
        if not self._availability.up:
            return
        try:
            await self._bus.exchange(self._calls.run)
        except Unavailable:
            await asyncio.sleep(_AGAIN)
        except _NONSENSE as error:
            self._availability.failed(1, f"an answer that makes no sense ({type(error).__name__})")
            await asyncio.sleep(_AGAIN)

    async def _try_again(self) -> None:
        await asyncio.sleep(self._availability.wait)
        permit = self._availability.admit()
        if permit is None:
            return  # a timer may be a little early
        try:
            await self._return()
        except Unavailable as error:
            self._availability.probed(permit, str(error))
        else:
            self._availability.probed(permit, "")

    async def _return(self) -> None:
        """All that has to be done before it is up: know its news, and tell it ours."""
        try:
            await self._bus.exchange(self._calls.try_again)
        except _NONSENSE as error:
            raise Unavailable(f"an answer that makes no sense ({type(error).__name__})") from None

    async def _listen(self) -> None:
        pause = _AGAIN
        while True:
            if self._availability.up:
                try:
                    async with aclosing(self._calls.messages(self._bus.channel)) as messages:
                        async for message in messages:
                            pause = _AGAIN
                            self._hear(message)
                except Exception as error:  # noqa: BLE001 - whatever it is, news are asked for meanwhile
                    self.deaf = reason(error)
            await asyncio.sleep(pause * (0.5 + random()))  # noqa: S311 - jitter
            pause = min(2 * pause, _SLOWEST) if self._availability.up else _AGAIN

    def _hear(self, message: bytes) -> None:
        if message:
            self._bus.heard(message)
        else:
            self._wake.set()  # what was published before it listened
