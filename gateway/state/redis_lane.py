"""The way of calls to one script: those made in the same turn of the event loop, or while others are under way,
go as one call. A call of redis-py costs more than the whole of a request's way through the gateway; a call among
sixty costs a tenth of it, here and at the server.

Each call is over within `timeout`, whatever becomes of the server or of a connection: it ends by a clock of the
lane's own, not with the call that carries it. How calls end is reported, each once, but for those whose caller has
gone. Nothing waits unboundedly: so many calls are under way, so many may wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from gateway.state.ports import Unavailable
from gateway.state.redis_client import PATIENCE, Client, reason
from gateway.state.redis_codec import Keys
from gateway.state.redis_scripts import Script

#: Requests in one call: a script holds up all others at the server while it runs.
_BATCH = 128
#: Keys after which no further request joins a call.
_KEYS = 512
#: Calls that may wait.
_WAITING = 10_000
#: When the lane's clock comes this much too late, seconds, the event loop was held up: answers may lie unread, or
#: questions not have been asked. They get as much longer, once.
_LATE = 0.005

Pack = Callable[[Keys], bytes]
Orphan = Callable[[Any], None]


class Reports(Protocol):
    """Is told how calls end."""

    def succeeded(self) -> None:
        """Calls were answered."""

    def failed(self, count: int, why: str) -> None:
        """So many calls were not. `why` holds no secret and no address."""


class _Call:
    __slots__ = ("deadline", "future", "orphan", "pack", "spared")

    def __init__(self, pack: Pack, future: asyncio.Future[Any], deadline: float, orphan: Orphan | None) -> None:
        self.pack = pack
        self.future = future
        self.deadline = deadline
        self.orphan = orphan
        self.spared = False


class Lane:
    """Calls to `script`, at most `width` of them under way. `prefix` are arguments that come before all others."""

    def __init__(
        self,
        client: Client,
        script: Script,
        timeout: float,
        reports: Reports,
        width: int,
        prefix: tuple[bytes, ...] = (),
    ) -> None:
        self._client = client
        self._script = script
        self._timeout = timeout
        self._longest = 3 * max(PATIENCE, timeout)
        self._reports = reports
        self._width = width
        self._prefix = prefix
        self._waiting: deque[_Call] = deque()
        #: Every call that is not over, and some that are, in the order of their deadlines.
        self._pending: deque[_Call] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = False
        self._closed = False

    def call(self, pack: Pack, orphan: Orphan | None = None) -> asyncio.Future[Any]:
        """One request's answer. `orphan` is given one for which nobody waits any more. Raises Unavailable.

        The future raises Unavailable too.
        """
        if self._closed or len(self._waiting) >= _WAITING:
            raise Unavailable("closed" if self._closed else "too many calls wait")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        call = _Call(pack, future, loop.time() + self._timeout, orphan)
        self._waiting.append(call)
        self._pending.append(call)
        if self._timer is None:
            self._timer = loop.call_at(call.deadline, self._expire)
        if not self._woken and len(self._tasks) < self._width:
            self._woken = True
            loop.call_soon(self._wake)
        return future

    def close(self) -> list[asyncio.Task[None]]:
        """Fail every call. What is still under way is cancelled; await it."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for call in self._pending:
            _fail(call, "closed")
        self._pending.clear()
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    # ---- inside

    def _wake(self) -> None:
        self._woken = False
        if self._waiting and len(self._tasks) < self._width:
            task = asyncio.get_running_loop().create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        while self._waiting:
            batch, keys, arguments = self._gather()
            if not batch:
                continue
            try:
                async with asyncio.timeout(self._longest):
                    answers = await self._client.run(self._script, list(keys.indexes), arguments)
                if len(answers) != len(batch):
                    raise EOFError("another number of answers than of requests")
            except Exception as error:  # noqa: BLE001 - whatever it is, callers go on without the shared state
                self._failed(batch, reason(error))
            else:
                self._answered(batch, answers)

    def _gather(self) -> tuple[list[_Call], Keys, list[bytes]]:
        """The next requests, but for those for which nobody waits any more."""
        waiting = self._waiting
        batch: list[_Call] = []
        keys = Keys()
        arguments = list(self._prefix)
        while waiting and len(batch) < _BATCH and len(keys.indexes) < _KEYS:
            call = waiting.popleft()
            if call.future.done():
                continue
            try:
                arguments.append(call.pack(keys))
            except Exception as error:  # noqa: BLE001 - one request that cannot be packed must not hold up the others
                self._failed([call], reason(error))
                continue
            batch.append(call)
        return batch, keys, arguments

    def _answered(self, batch: list[_Call], answers: list[Any]) -> None:
        wanted = False
        for call, answer in zip(batch, answers, strict=True):
            if not call.future.done():
                call.future.set_result(answer)
                wanted = True
            elif call.orphan is not None:
                call.orphan(answer)
        if wanted:
            self._reports.succeeded()

    def _failed(self, batch: list[_Call], why: str) -> None:
        failed = sum(_fail(call, why) for call in batch)
        if failed:
            self._reports.failed(failed, why)

    def _expire(self) -> None:
        """Fail what is over its time, and come again when the next one may be."""
        self._timer = None
        pending = self._pending
        loop = asyncio.get_running_loop()
        now = loop.time()
        while pending and pending[0].future.done():
            pending.popleft()
        late = now - pending[0].deadline if pending else 0.0
        if late > _LATE:
            self._spare(now + min(late, self._timeout))
        failed = 0
        while pending and (pending[0].future.done() or pending[0].deadline <= now):
            failed += _fail(pending.popleft(), "timeout")
        if pending:
            self._timer = loop.call_at(pending[0].deadline, self._expire)
        if failed:
            self._reports.failed(failed, "timeout")

    def _spare(self, deadline: float) -> None:
        """Give each that is pending until then, unless it had been given more before."""
        for call in self._pending:
            if call.deadline >= deadline:
                break
            if not call.spared:
                call.spared = True
                call.deadline = deadline


def _fail(call: _Call, why: str) -> bool:
    """End a call; False when it was over."""
    if call.future.done():
        return False
    call.future.set_exception(Unavailable(why))
    return True
