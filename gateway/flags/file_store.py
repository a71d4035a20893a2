"""Live values in a file that the config names, for a gateway without a Redis: `ports.Store`.

It is JSON that people can read, and it is always whole: what is new is written beside it and put in its place. Who
writes holds a lock beside it meanwhile, so gateways may share one. It is looked at every half second, and what is
there may have been written by hand. While it cannot be read, or is gone, the last known values stay.

All that touches the disk runs on one thread of its own; a disk that hangs holds up nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.background import Bug, end
from gateway.flags import document
from gateway.flags.document import Document, Fault
from gateway.flags.merging import NOTHING, later, nobody
from gateway.flags.ports import Change, State
from gateway.state.availability import Moved
from gateway.state.ports import Unavailable

#: Seconds between two looks.
POLL = 0.5
#: Seconds that the start, a look or a change may take.
_PATIENCE = 3.0

_Result = TypeVar("_Result")


class FileStore:
    """See `ports.Store`. `moved` is told when the file can no longer be had, and when it can again."""

    kept = "file"

    def __init__(self, path: str, moved: Moved, bug: Bug) -> None:
        self.learned = nobody
        self.live = NOTHING
        self.known = False
        self._path = Path(path)
        self._moved = moved
        self._bug = bug
        self._document = Document()
        self._seen: document.Signature | None = None
        #: Why it cannot be read or written; empty: it can.
        self._why = ""
        self._tried = False
        self._thread = ThreadPoolExecutor(1, "flags-file")
        self._watcher: asyncio.Task[None] | None = None

    @property
    def mark(self) -> bytes:
        """See `ports.Store`."""
        return self._document.mark

    async def start(self) -> None:
        """See `ports.Store`."""
        await self._look()
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """See `ports.Store`."""
        if self._watcher is not None:
            await end([self._watcher])
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def put(self, change: Change, upon: bytes) -> bool:
        """See `ports.Store`."""
        known = self._document
        if upon != known.mark:
            return False
        made = change._replace(when=later(time.time(), self.live.get(change.flag)))
        try:
            written = await self._on_disk(partial(document.write, self._path, made, known))
        except Fault as fault:
            self._is(str(fault))
            raise Unavailable(f"{self._path} cannot be written: {fault}") from None
        if written is None:
            await self._look()
            return False
        self._is("")
        self._learn(written)
        return True

    async def history(self, flag: str, most: int) -> list[Change]:
        """See `ports.Store`."""
        return list(self._document.history.get(flag, ()))[: -most - 1 : -1]

    def health(self) -> State:
        """See `ports.Store`."""
        if not self._why:
            return "healthy", ""
        values = "the last known values stay" if self.known else "the config file's values are in force"
        return "degraded", f"{self._path} cannot be kept ({self._why}); {values}"

    # ---- inside

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - a bug; the task must not end by it
                self._bug("flags.file_store", error)

    async def _look(self) -> None:
        """Learn what is there, if it is another one, and whether it could be written."""
        try:
            seen, found = await self._on_disk(self._read)
        except (Fault, Unavailable) as fault:
            self._is(str(fault))
            return
        self._seen = seen
        if found is not None:
            self._learn(found)
        elif seen is None and not self.known:
            self._learn(Document())
        if seen is None and self._document.mark:
            self._is("it is gone")
        elif self._why or not self._tried:
            await self._try()

    def _read(self) -> tuple[document.Signature | None, Document | None]:
        seen = document.signature(self._path)
        return seen, document.read(self._path) if seen is not None and seen != self._seen else None

    async def _try(self) -> None:
        """Find out whether it could be written."""
        self._tried = True
        try:
            await self._on_disk(partial(document.writable, self._path))
        except (Fault, Unavailable) as fault:
            self._is(str(fault))
        else:
            self._is("")

    async def _on_disk(self, call: Callable[[], _Result]) -> _Result:
        """Run it on the thread. Raises Unavailable where that takes too long."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except TimeoutError:
            raise Unavailable("the disk does not answer") from None

    def _learn(self, found: Document) -> None:
        """Go by what was read or written."""
        if self.known and found.mark == self._document.mark:
            return
        self._document = found
        self.live, self.known = found.live, True
        self.learned()

    def _is(self, why: str) -> None:
        before, self._why = self._why, why
        if bool(before) != bool(why):
            self._moved(not why, why)
