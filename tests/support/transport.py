"""A transport without a socket: what is written stays, what comes is handed over, ends come by the loop."""

from __future__ import annotations

import asyncio
from typing import Any


class MemorySocket:
    """The socket that there is not: it is open as far as anybody can tell, and keeps the options that are set."""

    def __init__(self) -> None:
        self.options: list[tuple[int, int, int | bytes]] = []

    def fileno(self) -> int:
        return 1_000_000  # nobody has so many

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self.options.append((level, option, value))

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        return bytes([1]) * length  # of TCP_INFO: established


class MemoryTransport(asyncio.Transport):
    """The transport of one connection."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.written = bytearray()
        self.reading = True
        self.closing = False
        self.aborted = False
        self.ended = False
        self.lost = False
        self.extra: dict[str, Any] = {"socket": MemorySocket()}

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing, f"written to a connection that is closing: {bytes(data)!r}"
        assert not self.ended, f"written behind the end: {bytes(data)!r}"
        self.written += data

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True

    def write_eof(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self.aborted = True
        self._end(None)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.extra.get(name, default)

    def _end(self, exc: Exception | None) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.lose, exc)

    # what a test does from the other end

    def lose(self, exc: Exception | None = None) -> None:
        """The connection is gone."""
        if not self.lost:
            self.closing = self.lost = True
            self._protocol.connection_lost(exc)

    def deliver(self, data: bytes) -> None:
        """Bytes come in one read; nothing comes where nobody reads."""
        assert self.reading
        if not self.closing:
            self._protocol.data_received(data)

    def block(self) -> None:
        """The peer takes no more."""
        self._protocol.pause_writing()

    def unblock(self) -> None:
        self._protocol.resume_writing()
