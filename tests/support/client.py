"""A raw client: sends the bytes it is told to, reads answers by their framing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from types import TracebackType

from tests.support.message import (
    Body,
    Response,
    read_response,
    read_response_head,
    response_body,
)
from tests.support.wire import DEADLINE, Wire

Address = tuple[str, int]
Fields = Iterable[tuple[str | bytes, str | bytes]]


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


def head(
    method: str | bytes,
    target: str | bytes,
    fields: Fields = (),
    *,
    version: str = "HTTP/1.1",
    host: str | None = "test.example",
) -> bytes:
    """A request's head as bytes, Host first unless `host` is None."""
    lines = [b"%b %b %b" % (_bytes(method), _bytes(target), version.encode())]
    if host is not None:
        lines.append(b"Host: " + host.encode())
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunked(*pieces: bytes, trailers: Fields = ()) -> bytes:
    """The pieces as a chunked body, one chunk each (an empty piece is left out)."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    lines = b"".join(_bytes(name) + b": " + _bytes(value) + b"\r\n" for name, value in trailers)
    return body + b"0\r\n" + lines + b"\r\n"


class Client:
    """One client connection. Use as a context manager: it is closed at the end."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    async def connect(
        cls, address: Address, *, source: str | None = None, receive_buffer: int | None = None
    ) -> Client:
        """source: the local address to come from; receive_buffer: bytes, a small one makes a slow reader."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        sock.setblocking(False)
        try:
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source is not None:
                sock.bind((source, 0))
            async with asyncio.timeout(DEADLINE):
                await loop.sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        _, wire = await loop.create_connection(Wire, sock=sock)
        return cls(wire)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wire.close()
        await asyncio.sleep(0)

    @property
    def address(self) -> Address:
        name: tuple[str, int] = self.wire.transport.get_extra_info("sockname")
        return name[:2]

    def send(self, data: bytes) -> None:
        self.wire.send(data)

    def ask(
        self,
        method: str,
        target: str | bytes,
        fields: Fields = (),
        body: bytes | None = None,
        *,
        host: str | None = "test.example",
        version: str = "HTTP/1.1",
    ) -> None:
        """Send one request; a body goes with its Content-Length."""
        fields = list(fields)
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        self.send(head(method, target, fields, host=host, version=version) + (body or b""))

    async def request(
        self,
        method: str,
        target: str | bytes,
        fields: Fields = (),
        body: bytes | None = None,
        *,
        host: str | None = "test.example",
        version: str = "HTTP/1.1",
        within: float = DEADLINE,
    ) -> Response:
        """Send one request and read its final answer whole."""
        self.ask(method, target, fields, body, host=host, version=version)
        return await self.response(method, within=within)

    async def response(self, method: str = "GET", within: float = DEADLINE) -> Response:
        """The next final answer, whole; 1xx are in `.informational`."""
        return await read_response(self.wire, method, within)

    async def response_head(self, within: float = DEADLINE) -> Response:
        """The next head, a 1xx too."""
        return await read_response_head(self.wire, within)

    def body(self, response: Response, method: str = "GET") -> Body:
        return response_body(self.wire, response, method)


async def fetch(
    address: Address,
    method: str,
    target: str | bytes,
    fields: Fields = (),
    body: bytes | None = None,
    *,
    host: str | None = "test.example",
    version: str = "HTTP/1.1",
    source: str | None = None,
    within: float = DEADLINE,
) -> Response:
    """One request on a connection of its own."""
    async with await Client.connect(address, source=source) as client:
        return await client.request(method, target, fields, body, host=host, version=version, within=within)
