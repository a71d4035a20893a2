"""Names to addresses: aiohttp's resolver behind a short memory, so that DNS changes are seen within seconds."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from time import monotonic

from aiohttp import ThreadedResolver

from gateway.errors import NameNotResolved

#: For how many seconds an answer is used again. DNS's own time-to-live cannot be had from getaddrinfo.
FRESH = 5.0

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


class Resolver:
    """Looks one upstream's name up; while the name server is away, the last known addresses stay good."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._literal = _is_literal(host)
        self._known: list[AddrInfo] = []
        self._looked_up = float("-inf")
        self._lookup: asyncio.Task[list[AddrInfo]] | None = None

    async def addresses(self) -> list[AddrInfo]:
        """The upstream's addresses, in the order to try them. Raises NameNotResolved."""
        if self._known and (self._literal or monotonic() - self._looked_up < FRESH):
            return self._known
        if self._lookup is None:
            # One look-up for all who wait, and nobody's leaving ends it for the others.
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())
            self._lookup.add_done_callback(self._looked)
        return await asyncio.shield(self._lookup)

    def knows(self, address: str) -> bool:
        """Whether the name still stands for `address`, as far as is known."""
        return self._literal or not self._known or any(info[4][0] == address for info in self._known)

    async def close(self) -> None:
        """Stop looking."""
        if self._lookup is not None:
            self._lookup.cancel()

    def _looked(self, lookup: asyncio.Task[list[AddrInfo]]) -> None:
        self._lookup = None
        if not lookup.cancelled():
            lookup.exception()  # it has gone to those who waited; nobody else needs to hear of it

    async def _look_up(self) -> list[AddrInfo]:
        try:
            answers = await ThreadedResolver().resolve(self._host, self._port, socket.AF_UNSPEC)
        except OSError as error:
            if self._known:
                return self._known
            raise NameNotResolved("The upstream's name has no address.") from error
        self._known = [
            (
                answer["family"],
                socket.SOCK_STREAM,
                answer["proto"],
                "",
                (answer["host"], answer["port"], 0, 0)
                if answer["family"] == socket.AF_INET6
                else (answer["host"], answer["port"]),
            )
            for answer in answers
        ]
        self._looked_up = monotonic()
        return self._known


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
