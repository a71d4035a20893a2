"""Reading on behind a request that carries both a body and an upgrade that is not taken.

llhttp stops at such a request's head and takes the body for the new protocol's bytes. A second parser is told of
the same framing through a head of our own, whose callbacks are swallowed; from the body on, everything goes to
the reader as always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools

if TYPE_CHECKING:
    from gateway.listeners.request_reader import RequestReader
    from gateway.rules.request_head import RequestHead


class BodyReplay:
    """Hands llhttp's callbacks on to a reader, but for those of the first head."""

    def __init__(self, reader: RequestReader) -> None:
        self._reader = reader
        self._in_own_head = True

    @classmethod
    def parser(cls, reader: RequestReader, head: RequestHead) -> Any:
        """A parser that stands where the body of `head` begins."""
        parser = httptools.HttpRequestParser(cls(reader))
        framing = b"Transfer-Encoding: chunked" if head.chunked else b"Content-Length: %d" % (head.length or 0)
        parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        return parser

    def on_message_begin(self) -> None:
        """A request's first byte."""
        if not self._in_own_head:
            self._reader.on_message_begin()

    def on_url(self, target: bytes) -> None:
        """The target, or a piece of it."""
        if not self._in_own_head:
            self._reader.on_url(target)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or trailer field."""
        if not self._in_own_head:
            self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._in_own_head:
            self._in_own_head = False
        else:
            self._reader.on_headers_complete()

    def on_body(self, data: bytes) -> None:
        """A piece of the request's body."""
        self._reader.on_body(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._reader.on_message_complete()
