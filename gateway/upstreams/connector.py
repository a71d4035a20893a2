"""Opening one connection to an upstream: name, TCP (RFC 8305, happy eyeballs), TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import aiohappyeyeballs

from gateway import sockets
from gateway.errors import ConnectFailed, ConnectTimeout, GatewayError, PoolExhausted, TlsFailed
from gateway.upstreams.connection import UpstreamConnection
from gateway.upstreams.resolver import Resolver

_T = TypeVar("_T")

# Out of descriptors: no fault of the upstream's.
_OURS = (errno.EMFILE, errno.ENFILE)

#: How long one address is waited for before the next is tried as well, in seconds (RFC 8305, section 5).
_NEXT_ADDRESS = 0.25

#: How long a TLS upstream's goodbye is waited for, in seconds.
_GOODBYE = 1.0


#: Is told of each try: the address that was reached, the seconds that it took, and why it failed.
Told = Callable[[str, float, GatewayError | None], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an upstream is. `tls` is None for plain HTTP; `server_name` is for SNI and the certificate."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str | None


class Connector:
    """Opens connections to one endpoint."""

    def __init__(self, endpoint: Endpoint, told: Told | None = None) -> None:
        self._endpoint = endpoint
        self._told = told
        self.resolver = Resolver(endpoint.host, endpoint.port)
        #: Whether the endpoint has ever accepted a connection.
        self.accepted = False

    async def connect(self, make: Callable[[], UpstreamConnection], limit: float | None) -> UpstreamConnection:
        """A new connection within `limit` seconds.

        Raises ConnectTimeout, NameNotResolved, ConnectFailed, TlsFailed, or PoolExhausted where the process itself
        has no descriptor left; cancelled, it leaves no socket behind.
        """
        if self._told is None:
            return await self._within(limit, self._connect(make))
        began = monotonic()
        try:
            connection = await self._within(limit, self._connect(make))
        except GatewayError as error:
            self._told("", monotonic() - began, error)
            raise
        self._told(connection.address, monotonic() - began, None)
        return connection

    async def reach(self, limit: float) -> None:
        """See whether anybody accepts a connection within `limit` seconds, and close it. Raises as `connect`."""
        sock = await self._within(limit, self._dial())
        sock.close()

    async def _within(self, limit: float | None, doing: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(limit):
                return await doing
        except TimeoutError:
            raise ConnectTimeout from None
        except ssl.SSLCertVerificationError as error:
            detail = f"The upstream's certificate is not valid: {error.verify_message}."
            raise TlsFailed(detail, certificate=True) from error
        except ssl.SSLError as error:
            raise TlsFailed from error
        except OSError as error:
            if error.errno in _OURS:
                raise PoolExhausted("The gateway may not open any more connections.") from error
            raise ConnectFailed from error

    async def _dial(self) -> socket.socket:
        addresses = await self.resolver.addresses()
        sock = await aiohappyeyeballs.start_connection(
            addresses, loop=asyncio.get_running_loop(), happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1
        )
        self.accepted = True
        return sock

    async def _connect(self, make: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        sock = await self._dial()
        try:
            sockets.keep_alive(sock)
            address = str(sock.getpeername()[0])
            endpoint = self._endpoint
            _, connection = await asyncio.get_running_loop().create_connection(
                make,
                sock=sock,
                ssl=endpoint.tls,
                server_hostname=endpoint.server_name if endpoint.tls else None,
                ssl_shutdown_timeout=_GOODBYE if endpoint.tls else None,
            )
        except BaseException:
            sock.close()
            raise
        connection.address = address
        return connection
