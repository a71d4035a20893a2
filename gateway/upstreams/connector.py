"""Opening one connection to an upstream: name, TCP (RFC 8305, happy eyeballs), TLS."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import aiohappyeyeballs

from gateway import sockets
from gateway.errors import ConnectFailed, ConnectTimeout, PoolExhausted, TlsFailed
from gateway.upstreams.connection import UpstreamConnection
from gateway.upstreams.resolver import Resolver

# Out of descriptors: no fault of the upstream's.
_OURS = (errno.EMFILE, errno.ENFILE)

#: How long one address is waited for before the next is tried as well, in seconds (RFC 8305, section 5).
_NEXT_ADDRESS = 0.25

#: How long a TLS upstream's goodbye is waited for, in seconds.
_GOODBYE = 1.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an upstream is. `tls` is None for plain HTTP; `server_name` is for SNI and the certificate."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str | None


class Connector:
    """Opens connections to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.resolver = Resolver(endpoint.host, endpoint.port)

    async def connect(self, make: Callable[[], UpstreamConnection], limit: float | None) -> UpstreamConnection:
        """A new connection within `limit` seconds.

        Raises ConnectTimeout, NameNotResolved, ConnectFailed, TlsFailed, or PoolExhausted where the process itself
        has no descriptor left; cancelled, it leaves no socket behind.
        """
        try:
            async with asyncio.timeout(limit):
                return await self._connect(make)
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

    async def _connect(self, make: Callable[[], UpstreamConnection]) -> UpstreamConnection:
        addresses = await self.resolver.addresses()
        loop = asyncio.get_running_loop()
        sock = await aiohappyeyeballs.start_connection(
            addresses, loop=loop, happy_eyeballs_delay=_NEXT_ADDRESS, interleave=1
        )
        try:
            sockets.keep_alive(sock)
            address = str(sock.getpeername()[0])
            endpoint = self._endpoint
            _, connection = await loop.create_connection(
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
