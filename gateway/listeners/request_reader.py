"""What one client sends, through llhttp, as exchanges: heads judged, bodies handed on, what is no request refused.

llhttp's callbacks run inside `feed` and build an Exchange at the end of each head. Once something cannot be read any
further (it is malformed, or was the last request) the reader is deaf: where the next request would begin is unknown.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from gateway.errors import GatewayError, HeadersTooLarge, MalformedRequest, TargetTooLong
from gateway.exchange import NO_BODY, Exchange, RequestBody
from gateway.listeners.body_replay import BodyReplay
from gateway.rules import request_head
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.request_head import Noted, RequestHead

if TYPE_CHECKING:
    from gateway.listeners.client_connection import ClientConnection


#: Requests of one connection that may wait for their turn.
_PIPELINED = 512
#: Bytes of a request that is remembered until the next one: an idle connection holds them, and what was read of them.
_KNOWN = 2048


class RequestReader:
    """Reads requests from the bytes of one connection."""

    __slots__ = (
        "_connection",
        "_fed",
        "_feeding",
        "_head_size",
        "_interest",
        "_kept",
        "_known",
        "_known_bytes",
        "_known_epoch",
        "_noted",
        "_parser",
        "_seen",
        "_target",
        "_upgrading",
        "_window",
        "body",
        "deaf",
        "early",
        "in_head",
        "last_read",
        "queue",
    )

    def __init__(self, connection: ClientConnection, now: float) -> None:
        self._connection = connection
        self._parser: Any = httptools.HttpRequestParser(self)
        #: Exchanges whose turn has not come.
        self.queue: deque[Exchange] = deque()
        #: The body being received.
        self.body: RequestBody | None = None
        #: What came behind a request that asks for an upgrade; None when none does.
        self.early: bytes | None = None
        #: Whatever comes is not looked at any more.
        self.deaf = False
        #: A head has begun and is not whole.
        self.in_head = False
        self.last_read = now
        self._interest = connection.listener.interest
        self._kept: Pieces = []
        self._noted: Noted = {}
        self._target = b""
        self._head_size = 0
        self._fed = 0
        #: Within `feed`, which sees itself to it that what is ready is served.
        self._feeding = False
        #: How much of the body had come at the last look.
        self._seen = 0
        self._upgrading = False
        #: The head that the last request had, and its bytes, where the next one may have the same.
        self._known: RequestHead | None = None
        self._known_bytes = b""
        self._known_epoch: object = None
        #: When the span began over which a body's pace is measured, and what had come by then.
        self._window = (now, 0)

    # ---- reading

    def feed_first(self, data: bytes) -> None:
        """As `feed`, where nothing else is under way.

        Clients that poll, probes and SDKs send the same bytes again and again. What was one whole request without a
        body, and nothing else, is that again: it need not be read a second time.
        """
        known = self._known
        connection = self._connection
        epoch = connection.listener.epoch
        if known is not None and data == self._known_bytes and epoch is self._known_epoch:
            self.queue.append(
                Exchange(connection.listener.name, known, NO_BODY, connection, connection.peer, self.last_read)
            )
        else:
            self._parse(data)
            queue = self.queue
            known = None
            if len(queue) == 1 and not self.in_head and len(data) <= _KNOWN and queue[0].body is NO_BODY:
                head = queue[0].head
                if head.keep_alive and not head.upgrade and not self.deaf:
                    known, self._known_bytes, self._known_epoch = head, data, epoch
            self._known = known
        if self.queue:
            connection.work()

    def feed(self, data: bytes) -> None:
        """Parse what came, and have the connection serve what is ready."""
        self._parse(data)
        if self.queue:
            self._connection.work()

    def _parse(self, data: bytes) -> None:
        self._fed = len(data)
        self._feeding = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._on_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._on_parser_error(error)
        if self.in_head:
            if not self.deaf:
                self._check_unfinished_head()
        elif self.body is not None:
            self._check_unfinished_body(self.body)
        self._feeding = False

    def reopen(self) -> None:
        """The upgrade was not taken: what came behind the request is the next one."""
        early, self.early = self.early, None
        self._parser = httptools.HttpRequestParser(self)
        if early:
            self.feed(early)

    def part(self) -> None:
        """The connection is gone: let go of it and of the parser, which both know this reader."""
        self.deaf = True
        self.body = self._known = None
        del self._parser, self._connection

    def spoil(self, error: GatewayError) -> None:
        """The request being received cannot be finished: end its exchange, or refuse it when it has none yet."""
        if self.body is None:
            self.refuse(error)
            return
        self.deaf = True
        body, self.body = self.body, None
        body.fail(error)
        self._connection.body_failed(body)

    def refuse(self, error: GatewayError) -> None:
        """Answer what cannot become an exchange of its own, after those before it; then hear no more."""
        self.deaf = True
        self.in_head = False
        connection = self._connection
        head = request_head.unreadable(self._parser.get_method() if self._noted else b"")
        exchange = Exchange(connection.listener.name, head, NO_BODY, connection, connection.peer, self.last_read)
        exchange.refused = error
        self.queue.append(exchange)
        if not self._feeding:
            connection.work()

    def mark_pace(self, now: float) -> None:
        """Measure the body's pace from here: our own pauses do not count."""
        self._window = (now, self.body.received if self.body is not None else 0)

    def too_slow(self, now: float) -> bool:
        """Whether the body being received comes more slowly than it must."""
        exchange = self._connection.exchange
        if exchange is not None and exchange.head.expects_continue and not (exchange.continued or exchange.bytes_in):
            self.mark_pace(now)  # it waits for leave to send
            return False
        limits = self._connection.listener.limits
        began, received = self._window
        if self.body is None or now - began <= limits.body_timeout:
            return False
        if self.body.received - received < limits.body_rate * (now - began):
            return True
        self.mark_pace(now)
        return False

    # ---- llhttp's callbacks

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self.in_head = True
        self._head_size = -1
        self._interest = self._connection.listener.interest
        self._kept = []
        self._noted = {}
        self._target = b""

    def on_url(self, target: bytes) -> None:
        """The target, or a piece of it."""
        self._target = self._target + target if self._target else target

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the header section; behind the body it is a trailer, which is not taken."""
        lower = name.lower()
        if lower not in self._interest.noted:
            self._kept += (name, COLON, value, END)
        else:
            self._noted.setdefault(lower, []).append(value)
            if lower in self._interest.passed_on:
                self._kept += (name, COLON, value, END)
        if not self.in_head:
            self.spoil(MalformedRequest("Trailer fields in a request are not taken."))

    def on_headers_complete(self) -> None:
        """The head is whole: make the exchange."""
        self.in_head = False
        if self.deaf:
            return
        if len(self.queue) >= _PIPELINED:
            # RFC 9112, section 9.3.2: its sender asks again for what stays unanswered.
            self.queue[-1].keep_alive = False
            self.deaf = True
            return
        limits = self._connection.listener.limits
        if len(self._target) > limits.request_line:
            self.refuse(TargetTooLong())
            return
        size = self._head_size + self._fed + 1
        if size >= 4 * limits.header_count and self._count() > limits.header_count:
            self.refuse(HeadersTooLarge())
            return
        if size > limits.header_size and self._section_size() > limits.header_size:
            self.refuse(HeadersTooLarge())
            return
        parser = self._parser
        try:
            head = request_head.read(
                parser.get_method(), self._target, parser.get_http_version(), self._kept, self._noted
            )
        except request_head.Malformed as malformed:
            self.refuse(MalformedRequest(f"The request is refused: {malformed}."))
            return
        if b"upgrade" in head.noted or head.method == b"CONNECT":
            self._upgrading = parser.should_upgrade()
        body = NO_BODY
        if head.length or head.chunked:
            self.body = body = RequestBody(self._connection)
            self._seen = -1
            self._window = (self.last_read, 0)
        connection = self._connection
        self.queue.append(Exchange(connection.listener.name, head, body, connection, connection.peer, self.last_read))

    def on_body(self, data: bytes) -> None:
        """A piece of the request's body."""
        if self.body is not None:
            try:
                self.body.feed(data)
            except GatewayError as error:
                self.spoil(error)

    def on_message_complete(self) -> None:
        """The request is whole (llhttp says so too early where an upgrade is asked for)."""
        if self.body is not None and not self._upgrading:
            self.body.finish()
            self.body = None

    # ---- inside

    def _check_unfinished_head(self) -> None:
        if self._head_size >= 0:
            self._head_size += self._fed
        elif self._connection.reading_first_head and not self.queue:
            self._head_size = self._fed
        else:  # what else this read brought is not known, so the head may take one read more than its limit
            self._head_size = 0
        limits = self._connection.listener.limits
        if len(self._target) > limits.request_line:
            self.refuse(TargetTooLong())
        elif self._head_size > limits.header_size:
            self.refuse(HeadersTooLarge())

    def _check_unfinished_body(self, body: RequestBody) -> None:
        # What llhttp gathers of a trailer field, nobody sees before its end; chunk extensions have none either.
        if body.received != self._seen:
            self._seen, self._head_size = body.received, 0
            return
        self._head_size += self._fed
        if self._head_size > self._connection.listener.limits.header_size:
            self.spoil(MalformedRequest("What stands between its chunks, or behind them, is too long."))

    def _count(self) -> int:
        """The head's fields."""
        noted = sum(len(values) for name, values in self._noted.items() if name not in self._interest.passed_on)
        return len(self._kept) // 4 + noted

    def _section_size(self) -> int:
        return sum(map(len, self._kept)) + sum(
            len(name) + len(value) + 4
            for name, values in self._noted.items()
            if name not in self._interest.passed_on
            for value in values
        )

    def _on_upgrade(self, rest: bytes) -> None:
        """llhttp stops behind a request that asks for an upgrade; what follows depends on the answer."""
        self._upgrading = False
        exchange = self.queue[-1] if self.queue else None
        if self.deaf or exchange is None:
            return
        if exchange.head.method == b"CONNECT":
            self.deaf = True
        elif exchange.head.upgrade:
            self.early = rest
        else:
            self._parser = (
                httptools.HttpRequestParser(self)
                if exchange.body.complete
                else BodyReplay.parser(self, exchange.head)
            )
            if rest:
                self.feed(rest)

    def _on_parser_error(self, error: httptools.HttpParserError) -> None:
        if self.deaf:
            return
        if isinstance(error, httptools.HttpParserCallbackError):
            self._connection.listener.log_bug("request callback", error)
        last = self.queue[-1] if self.queue else self._connection.exchange
        if last is not None and not last.head.keep_alive and self.body is None:
            self.deaf = True  # bytes behind a request that said it was the last
            return
        # llhttp's words are its own constants, never the client's bytes.
        self.spoil(MalformedRequest(f"The request is refused: {error.args[0] if error.args else 'not HTTP'}."))
