"""Caps with requests as tasks: each enters, waits where it must, and holds its slot until it is told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from gateway.caps.cap import Cap, Read
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import WAIT
from gateway.policies.in_flight import InFlightCap
from tests.support.exchanges import exchange


def by_header(one: Exchange) -> bytes | None:
    """A key as rules/rate_key.py reads it, of a field that stands in for the head's."""
    values = one.head.values(b"x-forwarded-for")
    return values[0] if values else None


def cap(read: Read | None = None, **fields: Any) -> Cap:
    return Cap("ingress/generate/all", "generate", "all", InFlightCap(**fields), read)


def reconfigure(one: Cap, read: Read | None = None, **fields: Any) -> None:
    """What a reload does."""
    one.configure(one.scope, one.name, InFlightCap(**fields), read)


class Request:
    """One exchange of a caller, in a task of its own."""

    def __init__(self, on: Cap, caller: bytes | None = None, deadline: float = inf) -> None:
        fields = [] if caller is None else [(b"X-Forwarded-For", caller)]
        self.exchange = exchange(fields=fields)
        self.cap = on
        self.error: GatewayError | None = None
        self.holds = False
        self._over = asyncio.Event()
        self._deadline = deadline
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """As the pipeline has it: whatever happens, the exchange ends."""
        try:
            verdict = self.cap.enter(self.exchange, monotonic())
            if verdict is WAIT:
                verdict = await self.cap.queue_up(self.exchange, self._deadline)
            assert verdict is not WAIT
            self.error = verdict
            if verdict is None:
                self.holds = True
                await self._over.wait()
            self.exchange.status = 200 if verdict is None else verdict.status
        except asyncio.CancelledError:
            self.exchange.status = 499
            raise
        finally:
            self.holds = False
            self.exchange.end()

    def finish(self) -> None:
        """Have it end well; the next turn of the loop sees to it."""
        self._over.set()

    async def ended(self) -> GatewayError | None:
        await self.task
        return self.error


async def turns(count: int = 4) -> None:
    """Let everybody run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(true: Callable[[], object], seconds: float = 3.0) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.002)


def counts(one: Cap) -> tuple[int, int]:
    """Who holds and who waits."""
    return one.in_flight, one.queued
