"""The gateway as a child process: started on a config, listened to, and ended with its parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress

MAX_LINE = 1024 * 1024  # bytes of one of its log lines


class Child:
    """A gateway's process, and what its log says. Its access lines go where this process's own output goes."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._told_ready = asyncio.Event()
        #: HOST:PORT of each listener, by name; complete once it is ready.
        self.addresses: dict[str, str] = {}
        #: Done when the log has said so.
        self.ready: asyncio.Task[object] = asyncio.create_task(self._told_ready.wait())
        #: Gives the exit code, once all that it logged has been passed on.
        self.ended: asyncio.Task[int] = asyncio.create_task(self._relay())

    @classmethod
    async def start(cls, config: str, environment: dict[str, str]) -> Child:
        """Start it on `config`, with `environment` added to this process's own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "run", "--config", config),
            env={**os.environ, **environment},
            stdin=DEVNULL,
            stderr=PIPE,
            limit=MAX_LINE,
        )
        return cls(process)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def kill(self) -> None:
        """Nothing of it is left after this."""
        self.ready.cancel()
        if self._process.returncode is None:
            self.signal(signal.SIGKILL)
        with suppress(asyncio.CancelledError):
            await self.ended

    async def _relay(self) -> int:
        """Pass its log on to this process's stderr, and pick out where it listens and when it is ready."""
        assert self._process.stderr is not None  # noqa: S101 - for the type checker: it was asked for
        while line := await self._process.stderr.readline():
            event = event_of(line.decode(errors="replace"))
            if event.get("event") == "listening":
                self.addresses[str(event.get("listener"))] = str(event.get("address"))
            elif event.get("event") == "ready":
                self._told_ready.set()
            with suppress(OSError):  # ours may be closed; the child must not notice
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
        return await self._process.wait()


def event_of(line: str) -> dict[str, object]:
    """The fields of a log line in either of its formats; nothing of a line that is none."""
    with suppress(ValueError):
        fields = json.loads(line)
        return fields if isinstance(fields, dict) else {}
    words = line.split()
    if len(words) < 3:
        return {}
    return {"event": words[2], **dict(word.split("=", 1) for word in words[3:] if "=" in word)}
