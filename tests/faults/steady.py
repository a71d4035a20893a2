"""A steady load: so many requests a second over some gateways in turn, whatever becomes of those before.

Load's clients wait for each answer, so that a gateway that holds requests up is asked less; these do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.support.client import Address, Client
from tests.support.message import Cut
from tests.support.wire import Ended

_TICK = 0.002  # seconds
NO_ANSWER = 0


@dataclass(slots=True)
class Asked:
    """A request and its end; times are time.monotonic()'s. status: NO_ANSWER when its connection broke."""

    target: str
    gateway: int
    status: int
    began: float
    ended: float

    @property
    def took(self) -> float:
        return self.ended - self.began


class Steady:
    """`rate` requests a second, each to the next of `gateways`, with the target that `plan` makes of its number."""

    def __init__(self, gateways: Sequence[Address], plan: Callable[[int], str], rate: float) -> None:
        self._gateways = list(gateways)
        self._plan = plan
        self._rate = rate
        self._idle: list[list[Client]] = [[] for _ in gateways]
        self._under_way: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None
        #: When the first request went out, and the last.
        self.first = self.last = 0.0
        self.asked: list[Asked] = []

    async def __aenter__(self) -> Steady:
        self._sender = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask no more, and wait for the answers."""
        assert self._sender is not None
        self._sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sender
        await asyncio.gather(*self._under_way)
        for idle in self._idle:
            for client in idle:
                client.wire.close()
        await asyncio.sleep(0)

    @property
    def ended(self) -> float:
        """When the last answer came."""
        return max(one.ended for one in self.asked)

    def since(self, began: float, until: float = float("inf")) -> list[Asked]:
        """Those that went out in a time."""
        return [one for one in self.asked if began <= one.began < until]

    def statuses(self, target: str | None = None) -> Counter[int]:
        return Counter(one.status for one in self.asked if target in (None, one.target))

    async def _send(self) -> None:
        self.first = time.monotonic()
        sent = 0
        while True:
            for number in range(sent, int((time.monotonic() - self.first) * self._rate) + 1):
                task = asyncio.create_task(self._ask(number))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                sent = number + 1
            await asyncio.sleep(_TICK)

    async def _ask(self, number: int) -> None:
        gateway = number % len(self._gateways)
        idle = self._idle[gateway]
        target = self._plan(number)
        self.last = began = time.monotonic()
        status = NO_ANSWER
        client = idle.pop() if idle else None
        with contextlib.suppress(OSError, Ended, Cut):
            if client is None:
                client = await Client.connect(self._gateways[gateway])
            response = await client.request("GET", target)
            status = response.status
        self.asked.append(Asked(target, gateway, status, began, time.monotonic()))
        if client is not None:
            idle.append(client) if status != NO_ANSWER else client.wire.close()
