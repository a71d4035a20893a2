"""One end of a TCP connection for tests: every byte is kept, every wait is bounded, every way to end it is at hand.

Origin and client both stand on it. Nothing here knows HTTP; message.py does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable
from typing import cast

DEADLINE = 5.0  # seconds; how long a read waits before the test fails


class Ended(Exception):
    """The peer ended the connection before what was waited for had come.

    how: "fin" or "reset"; rest: the bytes that had come and were not read.
    """

    def __init__(self, waited_for: str, how: str, rest: bytes) -> None:
        super().__init__(f"the peer ended the connection ({how}) before {waited_for}; unread: {rest[:200]!r}")
        self.how = how
        self.rest = rest


class Wire(asyncio.Protocol):
    """A connection's end: `received` keeps all that ever came, reads move on through it."""

    def __init__(self, on_made: Callable[[Wire], None] | None = None) -> None:
        self.received = bytearray()
        self.taken = 0
        self.ended = ""  # how the peer ended it: "", "fin" or "reset"
        self.ended_at = 0.0  # time.monotonic() of that
        self.closed = False  # nothing more comes or goes, whoever ended it
        self.transport: asyncio.Transport
        self._on_made = on_made
        self._waiters: set[asyncio.Future[None]] = set()
        self._writable = True
        self._tls = False

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._tls = transport.get_extra_info("sslcontext") is not None
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._wake()

    def eof_received(self) -> bool:
        self._end("fin")
        return not self._tls  # plain TCP stays half open; TLS cannot

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if exc is not None:
            self._end("reset")
        self._wake()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._wake()

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended, self.ended_at = how, time.monotonic()
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # reading

    @property
    def unread(self) -> bytes:
        return bytes(self.received[self.taken :])

    async def wait(self, ready: Callable[[], bool], what: str, within: float = DEADLINE) -> None:
        """Wait until `ready()`; the test fails after `within` seconds."""
        until = time.monotonic() + within
        while not ready():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                async with asyncio.timeout(max(until - time.monotonic(), 0)):
                    await waiter
            except TimeoutError:
                raise AssertionError(
                    f"waited {within} s for {what}; ended: {self.ended or 'no'}; unread: {self.unread[:500]!r}"
                ) from None
            finally:
                self._waiters.discard(waiter)

    async def _bytes(self, ready: Callable[[], bool], what: str, within: float) -> None:
        await self.wait(lambda: ready() or bool(self.ended) or self.closed, what, within)
        if not ready():
            raise Ended(what, self.ended or "closed here", self.unread)

    async def read_until(self, mark: bytes, within: float = DEADLINE) -> bytes:
        """All bytes up to and with `mark`. Raises Ended."""
        await self._bytes(lambda: self.received.find(mark, self.taken) >= 0, f"{mark!r}", within)
        return self._take(self.received.find(mark, self.taken) + len(mark) - self.taken)

    async def read(self, count: int, within: float = DEADLINE) -> bytes:
        """Exactly `count` bytes. Raises Ended."""
        await self._bytes(lambda: len(self.received) - self.taken >= count, f"{count} bytes", within)
        return self._take(count)

    async def read_some(self, within: float = DEADLINE) -> bytes:
        """What has come, at least one byte. Raises Ended."""
        await self._bytes(lambda: len(self.received) > self.taken, "a byte", within)
        return self._take(len(self.received) - self.taken)

    async def read_to_end(self, within: float = DEADLINE) -> bytes:
        """All that comes until the peer ends the connection, however it does that; see `ended`."""
        await self.end(within)
        return self._take(len(self.received) - self.taken)

    async def end(self, within: float = DEADLINE) -> str:
        """Wait until the peer has ended the connection: "fin" or "reset"."""
        await self.wait(lambda: bool(self.ended), "the end of the connection", within)
        return self.ended

    async def silence(self, seconds: float = 0.1) -> None:
        """Nothing comes for that long, neither a byte nor an end."""
        had = len(self.received)
        await asyncio.sleep(seconds)
        assert not self.ended, f"ended ({self.ended}) where nothing was to happen"
        assert len(self.received) == had, f"came where nothing was to come: {bytes(self.received[had:])!r}"

    def _take(self, count: int) -> bytes:
        data = bytes(self.received[self.taken : self.taken + count])
        self.taken += count
        return data

    def pause(self) -> None:
        """Read nothing from the socket until resume(): a reader that has stopped."""
        self.transport.pause_reading()

    def resume(self) -> None:
        self.transport.resume_reading()

    # writing

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def drain(self, within: float = DEADLINE) -> None:
        """Wait until what was sent has gone into the kernel, nearly all of it, or the connection is over."""
        await self.wait(lambda: self._writable or self.closed, "room to write", within)

    async def fill(self, limit: int = 64 << 20, stalled: float = 0.3) -> int:
        """Send until the peer takes nothing for `stalled` seconds; the number of bytes handed over."""
        sent = 0
        while sent < limit:
            self.send(b"f" * 65536)
            sent += 65536
            try:
                async with asyncio.timeout(stalled):
                    await self.drain()
            except TimeoutError:
                return sent
        raise AssertionError(f"the peer took {sent} bytes and never stopped")

    def unsent(self) -> int:
        """Bytes that the peer's kernel has not taken yet."""
        sock = self.transport.get_extra_info("socket")
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))
        return int(queued) + self.transport.get_write_buffer_size()

    # ending

    def half_close(self) -> None:
        """Send a FIN and go on reading."""
        with contextlib.suppress(OSError):  # the peer has reset it meanwhile; reading tells
            self.transport.write_eof()

    def close(self) -> None:
        self.transport.close()

    def reset(self) -> None:
        """End with a RST, where it has not ended."""
        if self.closed or (self._tls and self.transport.is_closing()):
            return
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
