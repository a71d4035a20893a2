"""Lines to a file descriptor that may be slow, full or broken, without ever making the caller wait.

The caller adds to a buffer; one thread takes it away and writes. What does not fit, or what the descriptor refuses,
is dropped and counted. The buffer is one run of bytes rather than a list of lines: thousands of small objects that
live for 50 ms cost more than the lines are worth, in memory fetched and given back each time.
"""

from __future__ import annotations

import atexit
import os
import select
from collections.abc import Callable
from threading import Event, RLock, Thread
from typing import Protocol

#: Bytes gathered at which the thread is woken before its time, and the most that it writes at one go. To wake it
#: takes some 40 us, as long as a dozen lines; so it is not woken for less.
BATCH = 256 * 1024
#: Seconds for which `close` waits for the descriptor to take what is left.
CLOSE_TIMEOUT = 1.0
_NEWLINE = 0x0A


class HasFileno(Protocol):
    """Anything with a file descriptor beneath it."""

    def fileno(self) -> int:
        """The descriptor."""


#: Told when dropping begins (True) and ends (False): why, and how many lines were dropped in all. It may be called
#: on the caller's thread or on the writer's, and must neither wait nor write a line here.
OnDropping = Callable[[bool, str, int], None]


class LineWriter:
    """Writes lines in order to a duplicate of `sink`'s descriptor.

    Lines wait up to `delay` seconds for company, and at most `max_buffered` bytes of them wait at all. Any thread
    may call it.
    """

    def __init__(
        self,
        sink: int | HasFileno,
        max_buffered: int,
        *,
        delay: float,
        on_dropping: OnDropping | None = None,
    ) -> None:
        # A descriptor of our own: the thread may still hang in a write when the caller has closed theirs and the
        # number stands for another file.
        self._fd = os.dup(sink if isinstance(sink, int) else sink.fileno())
        self._max_buffered = max_buffered
        self._hurry_at = min(BATCH, max_buffered // 2)
        self._delay = delay
        self._on_dropping = on_dropping
        self._lock = RLock()  # the collector may run anywhere, and a __del__ may log
        self._buffer = bytearray()
        self._in_hand = 0  # bytes that the thread has taken and not yet written
        self._overflowed = 0
        self._lost = 0
        self._overflowing = False
        self._failing = ""
        self._torn = False
        self._closing = False
        self._abandoned = False
        self._wake = Event()
        self._hurry = Event()
        self._thread = Thread(target=self._run, name="gateway-lines", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def buffered(self) -> int:
        """Bytes accepted and not yet written."""
        return len(self._buffer) + self._in_hand

    @property
    def dropped(self) -> int:
        """Lines dropped so far."""
        return self._overflowed + self._lost

    @property
    def dropping(self) -> str:
        """Why lines are being dropped right now; empty when they are not."""
        return self._failing or ("the sink is slow" if self._overflowing else "")

    def write(self, line: bytes) -> None:
        """Take a line, with its newline, or drop it."""
        with self._lock:
            buffer = self._buffer
            first = not buffer
            buffered = len(buffer) + len(line) + self._in_hand
            fits = buffered <= self._max_buffered and not self._closing
            if fits:
                buffer += line
            else:
                self._overflow()
        if first and fits:
            self._wake.set()
        elif buffered >= self._hurry_at and not self._hurry.is_set():
            self._hurry.set()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Write what is left, for at most `timeout` seconds; lines that come later are dropped."""
        atexit.unregister(self.close)
        with self._lock:
            self._closing = True
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout)
        self._abandoned = True

    def _overflow(self) -> None:
        """Drop a line; the lock is held."""
        self._overflowed += 1
        if not self._overflowing and not self._closing:
            self._overflowing = True
            self._tell(True, "the sink is slow")

    def _tell(self, dropping: bool, why: str) -> None:
        if self._on_dropping is not None:
            self._on_dropping(dropping, why, self.dropped)

    def _run(self) -> None:
        try:
            closing = False
            while not closing and not self._abandoned:
                self._wake.wait()
                self._hurry.wait(self._delay)
                with self._lock:
                    closing = self._closing
                    self._wake.clear()
                    self._hurry.clear()
                    batch, self._buffer = self._buffer, bytearray()
                    self._in_hand = len(batch)
                if batch:
                    self._send(batch)
        finally:
            os.close(self._fd)

    def _send(self, batch: bytearray) -> None:
        if self._torn:  # end the line that a failed write had begun, so that only that one is unreadable
            batch[:0] = b"\n"
        done = 0
        with memoryview(batch) as view:
            while done < len(batch) and not self._abandoned:
                try:
                    done += os.write(self._fd, view[done : done + BATCH])
                except BlockingIOError:  # whoever started us made the descriptor non-blocking
                    self._wait_writable()
                except OSError as error:  # EPIPE, ENOSPC, EIO
                    self._lose(batch, done, error.strerror or type(error).__name__)
                    return
                self._in_hand = len(batch) - done
                self._settle()
        self._torn = False
        if self._failing:
            self._failing = ""
            self._tell(False, "the sink takes lines again")

    def _settle(self) -> None:
        """End an overflow once there is room for a good while."""
        if not self._overflowing:
            return
        with self._lock:
            if self.buffered < self._max_buffered // 2:
                self._overflowing = False
                self._tell(False, "the sink takes lines again")

    def _lose(self, batch: bytearray, done: int, why: str) -> None:
        """Give up the rest of a batch; a line of which only a part was written counts as lost."""
        lost = batch.count(b"\n", done)
        if done:
            self._torn = batch[done - 1] != _NEWLINE
        elif self._torn:
            lost -= 1  # the newline that was to end the torn line, which has been counted
        self._lost += lost
        self._in_hand = 0
        if not self._failing:
            self._failing = why
            self._tell(True, why)
        self._settle()

    def _wait_writable(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll(100)
