"""Tasks of the gateway's own: held while they run, told of when they fail, ended when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

#: Is told of a bug: where, and what.
Bug = Callable[[str, BaseException], None]

#: Seconds after which a task that was cancelled and goes on is cancelled again.
_AGAIN = 0.05


class Background:
    """All of one part's tasks, which `where` names."""

    def __init__(self, where: str, bug: Bug) -> None:
        self._where = where
        self._bug = bug
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have it done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self, within: float) -> None:
        """Give what runs so many seconds, then end it."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within)
            await end(late)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bug(self._where, error)


async def end(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel tasks until they have ended: one may lose a cancellation in Python 3.11's asyncio.wait_for."""
    left: Collection[asyncio.Future[Any]] = list(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN)
