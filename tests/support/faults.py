"""Peers that misbehave below HTTP: one that cannot be connected to, one that refuses, one that accepts and sleeps."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.support.client import Address
from tests.support.origin import listen


@contextlib.contextmanager
def unreachable() -> Iterator[Address]:
    """An address whose connects hang: its accept queue is full and nobody accepts, so Linux drops every SYN."""
    full = listen(backlog=0)
    fillers = []
    try:
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        yield full.getsockname()[:2]
    finally:
        for sock in [full, *fillers]:
            sock.close()


@contextlib.contextmanager
def refusing() -> Iterator[Address]:
    """An address that refuses connections: the port is bound, so no other takes it, but nobody listens."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    try:
        yield sock.getsockname()[:2]
    finally:
        sock.close()


@contextlib.contextmanager
def black_hole() -> Iterator[Address]:
    """An address where connects succeed (the kernel does that) and nothing is ever read or answered."""
    sock = listen()
    try:
        yield sock.getsockname()[:2]
    finally:
        sock.close()


def connecting_to(pid: int, address: Address) -> int:
    """How many sockets of the process are still in their handshake (SYN_SENT) with `address`."""
    host, port = address
    wanted = f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    waiting = {f"socket:[{row[9]}]" for row in rows if row[2] == wanted and row[3] == "02"}
    return sum(1 for target in descriptors(pid) if target in waiting)


def descriptors(pid: int) -> list[str]:
    """What each open descriptor of the process refers to."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we looked
            found.append(str(link.readlink()))
    return found
