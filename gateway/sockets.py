"""Socket options that both sides set."""

from __future__ import annotations

import socket
from typing import Protocol

#: After so many seconds of silence the system asks whether the other end is still there, and so often again.
#: Address translators forget a silent connection after a few minutes, and a vanished peer says nothing.
_KEEPALIVE = 60


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


def keep_alive(sock: _Socket) -> None:
    """Have the system probe a silent connection; on a listening socket, what it accepts inherits it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), _KEEPALIVE)
