"""Clients that ask one request each, so many a second: what each got, whole or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.support.client import Address

_TICK = 0.005  # seconds
_PATIENCE = 30.0  # seconds


class _Ask(asyncio.Protocol):
    """One request on a connection of its own; `answer` is all that came, when the server has closed it."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._received = bytearray()
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"GET {self._target} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(bytes(self._received))


class PassersBy:
    """`rate` requests a second for what `plan` makes of their numbers: target, and the right answer's body."""

    def __init__(self, address: Address, plan: Callable[[int], tuple[str, bytes]], rate: float) -> None:
        self._address = address
        self._plan = plan
        self._rate = rate
        self._under_way: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None
        self.asked: list[str] = []
        #: What did not get the right answer, and what it got.
        self.lost: list[tuple[str, bytes]] = []
        self.seconds = 0.0

    async def __aenter__(self) -> PassersBy:
        self._sender = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._sender is not None
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        await asyncio.gather(*self._under_way)

    async def _send(self) -> None:
        began = time.monotonic()
        while True:
            self.seconds = time.monotonic() - began
            while len(self.asked) < self.seconds * self._rate:
                target, right = self._plan(len(self.asked))
                self.asked.append(target)
                task = asyncio.create_task(self._ask(target, right))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(_TICK)

    async def _ask(self, target: str, right: bytes) -> None:
        got = b"no connection"
        try:
            async with asyncio.timeout(_PATIENCE):
                loop = asyncio.get_running_loop()
                _, ask = await loop.create_connection(lambda: _Ask(target), *self._address)
                got = b"no answer"
                got = await ask.answer
        except (OSError, TimeoutError):
            pass
        if not (got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"\r\n\r\n" + right)):
            self.lost.append((target, got[:300]))
