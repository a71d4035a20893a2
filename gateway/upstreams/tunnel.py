"""A connection that has changed its protocol (WebSocket or another): bytes both ways until either side ends.

Each end holds the other back while it cannot write, so that neither grows in memory. A side's half-close is passed
on as a half-close; its loss ends both.
"""

from __future__ import annotations

import asyncio
from time import monotonic

#: The longest time between two looks at whether anything moved, in seconds.
_LOOK = 5.0

#: For how long one direction may be idle once the other has ended, in seconds.
_HALF_OPEN = 30.0


class _End(asyncio.Protocol):
    """One side of a tunnel; what it reads goes to the other."""

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, owner: asyncio.Protocol) -> None:
        self._tunnel = tunnel
        self._owner = owner
        self.transport = transport
        self.other: _End
        self.count = 0
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.count += len(data)
        self._tunnel.moved = monotonic()
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.other.ended or not self.other.transport.can_write_eof():
            self.other.transport.close()
            return False
        self.other.transport.write_eof()
        self._tunnel.half_open()
        return self.transport.can_write_eof()  # TLS cannot stay half open, and asyncio says so in the log

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if exc is None:
            self.other.transport.close()
        else:
            self.other.transport.abort()
        self._tunnel.lost()
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()


class Tunnel:
    """Joins two transports. `idle` and `total` are seconds and the monotonic clock; NEVER for none."""

    def __init__(
        self,
        client: tuple[asyncio.Transport, asyncio.Protocol],
        upstream: tuple[asyncio.Transport, asyncio.Protocol],
        idle: float,
        total: float,
    ) -> None:
        self._client = _End(self, *client)
        self._upstream = _End(self, *upstream)
        self._client.other, self._upstream.other = self._upstream, self._client
        self._idle = idle
        self._total = total
        self.moved = monotonic()
        self._half_open = False
        self._open = 2
        self._over = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def bytes_in(self) -> int:
        """Bytes that came from the client."""
        return self._client.count

    @property
    def bytes_out(self) -> int:
        """Bytes that came from the upstream."""
        return self._upstream.count

    async def run(self, early_from_client: bytes, early_from_upstream: bytes) -> None:
        """Carry bytes until both sides are gone; cancelled, both are cut."""
        ends = (self._client, self._upstream)
        for end in ends:
            end.transport.set_protocol(end)
        try:
            # Before the early bytes are written, which may hold a side back at once. What the sides read comes later.
            for end in ends:
                if not end.transport.is_closing():
                    end.transport.resume_reading()
            if early_from_client:
                self._client.data_received(early_from_client)
            if early_from_upstream:
                self._upstream.data_received(early_from_upstream)
            self._look()
            await self._over
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for end in ends:
                end.transport.abort()

    def half_open(self) -> None:
        """One side has ended; the other gets its time."""
        self._half_open = True
        self.moved = monotonic()

    def lost(self) -> None:
        """A side is gone; what the other has not taken yet has its time to go out."""
        self._open -= 1
        self.half_open()
        if self._open == 0 and not self._over.done():
            self._over.set_result(None)

    def _look(self) -> None:
        now = monotonic()
        due = min(self.moved + self._idle, self._total)
        if self._half_open:
            due = min(due, self.moved + _HALF_OPEN)
        if now >= due:
            for end in (self._client, self._upstream):
                end.transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(min(_LOOK, max(due - now, 0.001)), self._look)
