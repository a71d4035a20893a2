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

#: A look-up that takes longer, in seconds, goes on, but who has known addresses waits for it no more.
_PATIENCE = 0.1

AddrInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


class Resolver:
    """Looks one upstream's name up; while the name server is away, or silent, the last known addresses stay good."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._literal = _is_literal(host)
        self._known: list[AddrInfo] = []
        #: When to look again, and until when to wait for it when addresses are known.
        self._stale_at = self._patient_until = float("-inf")
        self._lookup: asyncio.Task[None] | None = None

    async def addresses(self) -> list[AddrInfo]:
        """The upstream's addresses, in the order to try them. Raises NameNotResolved."""
        now = monotonic()
        if self._known and (self._literal or now < self._stale_at):
            return self._known
        if self._lookup is None:
            # One look-up for all who wait, and nobody's leaving ends it for the others.
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())
            self._lookup.add_done_callback(self._looked)
            self._patient_until = now + _PATIENCE
        if not self._known:
            await asyncio.shield(self._lookup)
        elif now < self._patient_until:
            await asyncio.wait([self._lookup], timeout=self._patient_until - now)
        return self._known

    def knows(self, address: str) -> bool:
        """Whether the name still stands for `address`, as far as is known."""
        return self._literal or not self._known or any(info[4][0] == address for info in self._known)

    async def close(self) -> None:
        """Stop looking."""
        if self._lookup is not None:
            self._lookup.cancel()

    def _looked(self, lookup: asyncio.Task[None]) -> None:
        self._lookup = None
        if not lookup.cancelled():
            lookup.exception()  # it has gone to those who waited; nobody else needs to hear of it

    async def _look_up(self) -> None:
        try:
            answers = await ThreadedResolver().resolve(self._host, self._port, socket.AF_UNSPEC)
            if not answers:
                raise OSError("no address of a family that this system speaks")
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that could not be one in DNS
            self._stale_at = monotonic() + FRESH
            if self._known:
                return
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
        self._stale_at = monotonic() + FRESH


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
