"""What is asked of, and told to, the system about a connection's socket."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

#: After so many seconds of silence the system asks whether the other end is still there, and so often again.
#: Address translators forget a silent connection after a few minutes, and a vanished peer says nothing.
_KEEPALIVE = 60

# SO_LINGER on, for no time (socket(7)).
_RESET = struct.pack("ii", 1, 0)

# linux/tcp.h: the first byte of tcp_info is the state; the peer has sent its FIN, or the connection is gone.
_GONE = (7, 8)


class Socket(Protocol):
    """The part of a socket that event loops let see."""

    def fileno(self) -> int:
        """Its descriptor."""

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """Set an option."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes:
        """Read an option."""


def keep_alive(sock: Socket | socket.socket) -> None:
    """Have the system probe a silent connection; on a listening socket, what it accepts inherits it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), _KEEPALIVE)


def reset_on_close(sock: Socket) -> None:
    """Have closing send a reset, where an ordinary one would look like a clean end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def has_left(sock: Socket) -> bool:
    """Whether the peer has closed a connection that is not being read, where the system can tell."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _GONE


def unread(sock: Socket) -> Iterator[bytes]:
    """What has come on a socket that nobody reads any more."""
    with suppress(OSError, ValueError):
        while data := os.read(sock.fileno(), 65536):
            yield data


def unsent(sock: Socket) -> int:
    """Bytes that the system has taken from us and the peer's has not; 0 where that cannot be told (tcp(7))."""
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0
