"""A tiny HTTP/1 reader for tests, and a strict one: what can be read in two ways is Malformed, never guessed.

It reads RFC 9112 messages from a Wire and keeps the exact bytes. It shares no code with what it tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.support.wire import DEADLINE, Ended, Wire

Headers = list[tuple[bytes, bytes]]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\Z")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) (HTTP/1\.[01])\Z")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([0-9]{3}) ([\t\x20-\x7e\x80-\xff]*)\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n\Z")
_NO_BODY = (204, 304)


class Malformed(Exception):
    """The bytes are no HTTP/1 message, or can be read as more than one."""


class Cut(Exception):
    """The message's body ended before its end. `body` is what came, `how` the connection's end."""

    def __init__(self, body: bytes, how: str) -> None:
        super().__init__(f"the body was cut ({how}) after {len(body)} bytes")
        self.body = body
        self.how = how


@dataclass
class Message:
    """A request or a response: what it said, and the exact bytes of its head."""

    version: bytes
    headers: Headers
    raw_head: bytes
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)  # as they were framed; empty unless chunked
    trailers: Headers = field(default_factory=list)
    raw_body: bytes = b""

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]

    def value(self, name: str) -> bytes | None:
        """The field's value, None when absent; Malformed when it stands there twice."""
        values = self.values(name)
        if len(values) > 1:
            raise Malformed(f"{name} stands there {len(values)} times")
        return values[0] if values else None

    def names(self) -> set[str]:
        return {key.lower().decode() for key, _ in self.headers}

    @property
    def chunked(self) -> bool:
        coding = self.value("transfer-encoding")
        if coding is None:
            return False
        if coding.lower() != b"chunked":
            raise Malformed(f"Transfer-Encoding: {coding!r}")
        if self.version == b"HTTP/1.0":
            raise Malformed("Transfer-Encoding in HTTP/1.0")
        if self.values("content-length"):
            raise Malformed("both Transfer-Encoding and Content-Length")
        return True

    @property
    def length(self) -> int | None:
        value = self.value("content-length")
        if value is not None and not re.fullmatch(rb"[0-9]{1,18}", value):
            raise Malformed(f"Content-Length: {value!r}")
        return None if value is None else int(value)

    @property
    def closes(self) -> bool:
        """Whether the connection ends after this message, by its own words."""
        words = {word.strip().lower() for value in self.values("connection") for word in value.split(b",")}
        return b"close" in words or (self.version == b"HTTP/1.0" and b"keep-alive" not in words)


@dataclass
class Request(Message):
    method: bytes = b""
    target: bytes = b""

    @property
    def raw(self) -> bytes:
        return self.raw_head + self.raw_body


@dataclass
class Response(Message):
    status: int = 0
    reason: bytes = b""
    informational: list[Response] = field(default_factory=list)  # the 1xx that came before it


def _fields(lines: list[bytes]) -> Headers:
    headers: Headers = []
    for line in lines:
        match = _FIELD.match(line)
        if match is None:
            raise Malformed(f"field line {line!r}")
        headers.append((match[1], match[2]))
    return headers


def parse_request(raw: bytes) -> Request:
    lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = _REQUEST_LINE.match(lines[0])
    if match is None:
        raise Malformed(f"request line {lines[0]!r}")
    return Request(version=match[3], headers=_fields(lines[1:]), raw_head=raw, method=match[1], target=match[2])


def parse_response(raw: bytes) -> Response:
    lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = _STATUS_LINE.match(lines[0])
    if match is None:
        raise Malformed(f"status line {lines[0]!r}")
    return Response(version=match[1], headers=_fields(lines[1:]), raw_head=raw, status=int(match[2]), reason=match[3])


class Body:
    """Reads a message's body piece by piece, whatever its framing. `length` None: until the connection's end."""

    def __init__(self, wire: Wire, message: Message, *, chunked: bool, length: int | None) -> None:
        self._wire = wire
        self._message = message
        self._chunked = chunked
        self._left = length
        self._ready = b""
        self._done = False
        self._start = wire.taken

    async def piece(self, within: float = DEADLINE) -> bytes:
        """The next piece, b"" at the body's end. Raises Cut."""
        if self._ready:
            piece, self._ready = self._ready, b""
            return piece
        if self._done:
            return b""
        try:
            piece = await (self._chunk(within) if self._chunked else self._plain(within))
        except Ended as end:
            self._keep()
            raise Cut(self._message.body + (b"" if self._chunked else end.rest), end.how) from end
        self._message.body += piece
        if not piece:
            self._done = True
            self._keep()
        return piece

    async def read(self, count: int, within: float = DEADLINE) -> bytes:
        """Exactly `count` bytes of the body. Raises Cut, also where the body ends cleanly before."""
        data = b""
        while len(data) < count:
            piece = await self.piece(within)
            if not piece:
                raise Cut(self._message.body, "a clean end")
            data += piece
        data, self._ready = data[:count], data[count:]
        return data

    async def rest(self, within: float = DEADLINE) -> bytes:
        data = b""
        while piece := await self.piece(within):
            data += piece
        return data

    def _keep(self) -> None:
        self._message.raw_body = bytes(self._wire.received[self._start : self._wire.taken])

    async def _plain(self, within: float) -> bytes:
        if self._left == 0:
            return b""
        if self._left is None:
            try:
                return await self._wire.read_some(within)
            except Ended as end:
                if end.how == "fin":
                    return b""
                raise
        await self._wire.wait(lambda: bool(self._wire.unread or self._wire.ended), "a body byte", within)
        piece = await self._wire.read(min(self._left, max(len(self._wire.unread), 1)), within)
        self._left -= len(piece)
        return piece

    async def _chunk(self, within: float) -> bytes:
        line = await self._wire.read_until(b"\n", within)
        match = _CHUNK_SIZE.match(line)
        if match is None:
            raise Malformed(f"chunk size line {line!r}")
        size = int(match[1], 16)
        if size:
            data = await self._wire.read(size + 2, within)
            if data[-2:] != b"\r\n":
                raise Malformed(f"no CRLF behind a chunk: {data[-2:]!r}")
            self._message.chunks.append(data[:-2])
            return data[:-2]
        lines: list[bytes] = []
        while (line := await self._wire.read_until(b"\r\n", within)) != b"\r\n":
            lines.append(line[:-2])
        self._message.trailers = _fields(lines)
        return b""


async def read_request_head(wire: Wire, within: float = DEADLINE) -> Request:
    return parse_request(await wire.read_until(b"\r\n\r\n", within))


def request_body(wire: Wire, request: Request) -> Body:
    chunked = request.chunked
    return Body(wire, request, chunked=chunked, length=None if chunked else request.length or 0)


async def read_response_head(wire: Wire, within: float = DEADLINE) -> Response:
    return parse_response(await wire.read_until(b"\r\n\r\n", within))


def response_body(wire: Wire, response: Response, method: str = "GET") -> Body:
    chunked, length = response.chunked, response.length  # both checked, also where no body follows
    if method == "HEAD" or response.status < 200 or response.status in _NO_BODY:
        return Body(wire, response, chunked=False, length=0)
    return Body(wire, response, chunked=chunked, length=length)


async def read_response(wire: Wire, method: str = "GET", within: float = DEADLINE) -> Response:
    """The final response, whole; the 1xx before it are in `informational`. Raises Ended, Cut, Malformed."""
    informational = []
    while True:
        response = await read_response_head(wire, within)
        if response.status >= 200 or response.status == 101:
            break
        informational.append(response)
    response.informational = informational
    await response_body(wire, response, method).rest(within)
    return response
