"""Real sinks for log lines: pipes that are read late, never, or no more, and a wait for what a thread does."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

DEADLINE = 10.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


class Pipe:
    """A pipe of one page, so that it is soon full."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        self._open = True

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_reading()
        os.close(self.writer)

    def stop_reading(self) -> None:
        """Close the reader's end: from now on a write meets EPIPE."""
        if self._open:
            self._open = False
            os.close(self.reader)

    def lines(self, count: int) -> list[bytes]:
        """Read until `count` lines are here."""
        data = b""
        while data.count(b"\n") < count:
            part = os.read(self.reader, 65536)
            assert part, f"ended after {data.count(bytes([10]))} lines of {count}"
            data += part
        return data.splitlines()
