"""A port on which nobody listens until the test has an origin there: an app that starts late, and may go again."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.client import Address
from tests.support.origin import Origin


class LatePort:
    """Bound, so that no other takes it, but refusing."""

    def __init__(self) -> None:
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self.address: Address = self._sock.getsockname()[:2]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Origin]:
        """The origin is there; after this it is gone, and the port refuses again."""
        self._sock.listen(1024)
        try:
            async with Origin(self._sock) as origin:
                yield origin
        finally:
            self._sock.close()

    def close(self) -> None:
        self._sock.close()
