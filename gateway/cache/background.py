"""Tasks of the gateway's own: held while they run, told of when they fail, ended when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

#: Is told of a bug: where, and what.
Bug = Callable[[str, BaseException], None]


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
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bug(self._where, error)
