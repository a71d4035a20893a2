"""What an upstream sends, through llhttp, as one response to one request: informational heads, the head, the body.

llhttp's callbacks run inside `feed`. What of the body comes before a sink is attached waits here, bounded.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import httptools

from gateway.errors import BadResponse, UpstreamError
from gateway.exchange import BODY_BUFFER, BodySink, Fields
from gateway.rules import response_head
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.response_head import Interest, Noted, ResponseHead

#: A response head, its informational ones included, may take this many bytes; so may a trailer section.
_HEAD_LIMIT = 256 * 1024


class Owner(Protocol):
    """Whose connection is read."""

    def wake(self) -> None:
        """The final head has come, or the last byte."""

    def fail(self, error: UpstreamError) -> None:
        """What comes makes no sense."""

    def inform(self, status: int, reason: bytes, kept: Pieces) -> None:
        """An informational response has come."""

    def pause_reading(self) -> None:
        """As much of the body waits here as may."""


class ResponseReader:
    """Reads responses from the bytes of one connection, one at a time."""

    __slots__ = (
        "_failed",
        "_head_size",
        "_interest",
        "_kept",
        "_noted",
        "_owner",
        "_parser",
        "_parts",
        "_parts_size",
        "_passing_by",
        "_reason",
        "_sink",
        "_to_head",
        "complete",
        "response",
        "spent",
        "trailers",
        "tunnel_early",
    )

    def __init__(self, interest: Interest, owner: Owner) -> None:
        self._interest = interest
        self._owner = owner
        self._parser: Any = None
        self._to_head = False
        #: More has come than was asked for: the connection cannot be used again.
        self.spent = False
        #: What came behind a 101.
        self.tunnel_early = b""
        self.trailers: Fields = []
        self._failed = False
        self._passing_by = False
        self._head_size = 0
        self._parts_size = 0
        self._sink: BodySink | None = None
        self._reset()

    def _reset(self) -> None:
        # What only a failed exchange changes needs no care: its connection is never reused.
        self.response: ResponseHead | None = None
        self.complete = False
        self._kept: Pieces = []
        self._noted: Noted = {}
        self._reason = b""
        self._parts: list[bytes] = []

    def begin(self, *, to_head: bool) -> None:
        """Expect a response; `to_head`: to a HEAD request."""
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        if self.response is not None:
            self._reset()
        self._to_head = to_head

    def rest(self) -> None:
        """The response has been passed on."""
        self._sink = None
        self._parts_size = self._head_size = 0
        if self.trailers:
            self.trailers = []
        if self._to_head:
            # llhttp cannot be told that a response to HEAD has no body; a new parser does not wait for it.
            self._parser = None

    def part(self) -> None:
        """The connection is gone: let go of it and of the parser, which both know this reader."""
        self._parser = None
        del self._owner

    def drop(self) -> None:
        """Nobody waits for the rest of the response."""
        self._sink = None

    def take(self) -> list[bytes] | None:
        """The whole body, when all of it has come already and nobody is attached; None otherwise."""
        return self._parts if self.complete and self._sink is None else None

    def attach(self, sink: BodySink) -> None:
        """Push the body to `sink`: what is here at once, the rest as it comes."""
        self._sink = sink
        parts, self._parts, self._parts_size = self._parts, [], 0
        for part in parts:
            sink.chunk(part)
        if self.complete:
            sink.end(self.trailers)

    def feed(self, data: bytes) -> bool:
        """Parse what came. False when the protocol has changed, and no more must be read."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.response is not None and self.response.status == 101:
                self.tunnel_early = data[upgrade.args[0] :]
                return False
            self._fail(BadResponse("The upstream changed protocols unasked."))
        except httptools.HttpParserError as error:
            self._on_parser_error(error)
        response = self.response
        if (response is None or (response.chunked and not self.complete)) and not self._failed:
            # Between chunks too: what llhttp gathers of a trailer field, nobody else sees before its end.
            self._head_size = self._head_size + len(data) if self._head_size >= 0 else 0
            if self._head_size > _HEAD_LIMIT:
                self._fail(BadResponse("The upstream's response has too large a head, or trailer section."))
        return True

    def end_of_connection(self) -> bool:
        """The connection has ended cleanly: True when that is how the body ends."""
        if self.response is None or not self.response.until_close or self._failed:
            return False
        self._finish()
        return True

    # ---- llhttp's callbacks

    def on_message_begin(self) -> None:
        """A response's first byte; a second response to one request is one too many."""
        if self.complete:
            self.spent = True

    def on_status(self, reason: bytes) -> None:
        """The reason phrase, or a piece of it."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field once the head is known."""
        if self.response is not None:
            if not self.complete:  # else it belongs to a second response, that nobody asked for
                self.trailers.append((name, value))
            return
        lower = name.lower()
        interest = self._interest
        if lower in interest.noted:
            noted = self._noted
            if lower in noted:
                noted[lower].append(value)
            else:
                noted[lower] = [value]
            if lower not in interest.passed_on:
                return
        self._kept += (name, COLON, value, END)

    def on_headers_complete(self) -> None:
        """A head is whole: an informational one passes by, the final one wakes who waits for it."""
        if self.complete or self._failed:
            return
        parser = self._parser
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._on_informational(status)
            return
        try:
            response = response_head.read(
                status, self._reason, parser.get_http_version(), self._kept, self._noted, to_head=self._to_head
            )
        except response_head.Malformed:
            self._fail(BadResponse("The upstream's response head makes no sense."))
            return
        self.response = response
        if not response.has_body:
            self.complete = True
        self._owner.wake()

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._head_size = -1
        if self.complete:  # of a response that has none
            self.spent = True
        elif self._sink is not None:
            self._sink.chunk(data)
        else:
            self._parts.append(data)
            self._parts_size += len(data)
            if self._parts_size > BODY_BUFFER:
                self._owner.pause_reading()

    def on_message_complete(self) -> None:
        """The response is whole."""
        if self._passing_by:
            self._passing_by = False
        elif self.response is not None and not self.complete:
            self._finish()

    # ---- inside

    def _on_informational(self, status: int) -> None:
        """Pass a 1xx on. All of them and the final head share one limit, so that they end some time."""
        self._passing_by = True
        kept, noted, reason = self._kept, self._noted, self._reason
        self._kept, self._noted, self._reason = [], {}, b""
        try:
            kept = response_head.informational(reason, kept, noted)
        except response_head.Malformed:
            self._fail(BadResponse("The upstream's informational response makes no sense."))
            return
        self._owner.inform(status, reason, kept)

    def _finish(self) -> None:
        self.complete = True
        if self._sink is not None:
            self._sink.end(self.trailers)
        self._owner.wake()

    def _on_parser_error(self, error: httptools.HttpParserError) -> None:
        if self.complete:
            self.spent = True  # the response is whole; what is wrong came behind it
            return
        if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "response callback", "exception": error.__context__}
            )
        self._fail(BadResponse("The upstream's response is not HTTP/1.x."))

    def _fail(self, error: UpstreamError) -> None:
        self._failed = True
        self._owner.fail(error)
