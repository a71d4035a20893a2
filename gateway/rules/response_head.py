"""An upstream's response head, read once, and the head that goes to the client (RFC 9110, RFC 9112)."""

from __future__ import annotations

import re

from gateway.rules import field_lines, hop_by_hop
from gateway.rules.field_lines import COLON, END, Pieces

Fields = list[tuple[bytes, bytes]]
Noted = dict[bytes, list[bytes]]

_PASSED_ON = frozenset({b"content-length", b"content-type"})
_READ = _PASSED_ON | {b"transfer-encoding", b"connection", b"keep-alive"}
_KEEP_ALIVE_TIMEOUT = re.compile(rb"\btimeout\s*=\s*(\d{1,6})")
# llhttp lets control characters pass in a reason phrase (RFC 9112, section 4, does not).
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_USUAL = frozenset({b"OK", b"", b"Created", b"No Content", b"Found", b"Not Modified", b"Bad Request", b"Not Found"})
_LENGTH = frozenset({b"content-length"})
_USUAL_CONNECTION = [b"keep-alive"]
_USUAL_LINE = b"HTTP/1.1 200 OK\r\n"
_NO_BODY = frozenset({204, 304})
_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"


class Malformed(ValueError):
    """Not one unambiguous response."""


class Interest:
    """Which response fields are read or set here, and which of those are passed on all the same."""

    __slots__ = ("noted", "passed_on")

    def __init__(self, correlation_header: str) -> None:
        self.passed_on = _PASSED_ON
        self.noted = _READ | hop_by_hop.NAMES | {correlation_header.lower().encode("ascii")}


class ResponseHead:
    """An upstream's response head."""

    __slots__ = (
        "chunked",
        "endless",
        "has_body",
        "idle_limit",
        "keep_alive",
        "kept",
        "length",
        "noted",
        "reason",
        "status",
        "until_close",
    )

    status: int
    reason: bytes
    #: The lines of the fields to pass on, with Content-Length among them.
    kept: Pieces
    #: Values of the fields that are read here, by lower-case name.
    noted: Noted
    length: int | None
    chunked: bool
    has_body: bool
    #: The body ends where the connection does (RFC 9112, section 6.3, rule 8).
    until_close: bool
    #: The upstream will take another request on this connection.
    keep_alive: bool
    #: An event stream, which may well last for hours.
    endless: bool
    #: For how many seconds it says it will keep an idle connection; None when it does not say.
    idle_limit: float | None


def read(status: int, reason: bytes, version: str, kept: Pieces, noted: Noted, *, to_head: bool) -> ResponseHead:
    """Judge a head that llhttp has parsed, its fields sorted; `to_head`: it answers HEAD. Raises Malformed."""
    if status < 100 or version not in ("1.1", "1.0") or (reason not in _USUAL and _CONTROLS.search(reason)):
        raise Malformed("status line")
    head = ResponseHead()
    head.status = status
    head.reason = reason
    # A 204 and a 1xx have no Content-Length (RFC 9110, section 8.6).
    head.kept = kept if status != 204 and status >= 200 else field_lines.without(kept, _LENGTH)
    head.noted = noted
    if status == 426:  # which means nothing without it (RFC 9110, section 15.5.22)
        for value in noted.get(b"upgrade", ()):
            head.kept = [*head.kept, b"Upgrade", COLON, value, END, b"Connection", COLON, b"Upgrade", END]
    kind = noted.get(b"content-type")
    head.endless = kind is not None and kind[0].lower().startswith(b"text/event-stream")
    _read_framing(head, noted, version, to_head=to_head)
    _read_connection(head, noted, version)
    if status == 101:
        head.keep_alive = False  # what follows is another protocol, whether the change was asked for or not
    return head


def informational(reason: bytes, kept: Pieces, noted: Noted) -> Pieces:
    """The fields of a 1xx to pass on. Raises Malformed when it announces a body: none has one (RFC 9110, 15.2)."""
    lengths = noted.get(b"content-length")
    if b"transfer-encoding" in noted or (lengths is not None and int(lengths[0])):
        raise Malformed("an informational response with a body")
    if _CONTROLS.search(reason):
        raise Malformed("status line")
    connection = noted.get(b"connection")
    unwanted = _LENGTH if connection is None else _LENGTH | hop_by_hop.options(connection).listed
    return kept if lengths is None and unwanted is _LENGTH else field_lines.without(kept, unwanted)


def _read_framing(head: ResponseHead, noted: Noted, version: str, *, to_head: bool) -> None:
    lengths = noted.get(b"content-length")
    head.length = int(lengths[0]) if lengths else None
    codings = noted.get(b"transfer-encoding")
    head.chunked = codings is not None
    if codings is not None and (
        version == "1.0" or len(codings) > 1 or codings[0].strip(b" \t").lower() != b"chunked"
    ):
        raise Malformed("transfer coding")
    head.has_body = not (to_head or head.status in _NO_BODY or head.status < 200)
    head.until_close = head.has_body and head.length is None and not head.chunked


def _read_connection(head: ResponseHead, noted: Noted, version: str) -> None:
    head.keep_alive = version == "1.1" and not head.until_close
    head.idle_limit = None
    connection = noted.get(b"connection")
    if connection is not None and not (connection == _USUAL_CONNECTION and version == "1.1"):  # which says nothing
        options, listed = hop_by_hop.options(connection)
        if b"close" in options:
            head.keep_alive = False
        elif version == "1.0" and b"keep-alive" in options and not head.until_close:
            head.keep_alive = True
        if listed:
            head.kept = field_lines.without(head.kept, listed)
    hint = noted.get(b"keep-alive")
    if hint is not None:
        timeout = _KEEP_ALIVE_TIMEOUT.search(hint[0])
        if timeout is not None:
            head.idle_limit = float(timeout[1])


def status_line(status: int, reason: bytes) -> bytes:
    """A response's first line."""
    return _USUAL_LINE if status == 200 and reason == b"OK" else b"HTTP/1.1 %d %b\r\n" % (status, reason)


def connection_line(*, keep_alive: bool, http10: bool) -> bytes:
    """What to say of the connection to the client; nothing where its version's default says it."""
    if not keep_alive:
        return _CLOSE
    return _KEEP_ALIVE if http10 else b""


def chunked_line() -> bytes:
    """The field of a body whose length is not known."""
    return _CHUNKED


def trailer_lines(trailers: Fields) -> bytes:
    """The trailer section to pass on: without fields that would have mattered before the body (RFC 9110, 6.5.1)."""
    return b"".join(b"%b: %b\r\n" % pair for pair in trailers if hop_by_hop.trailer_allowed(pair[0].lower()))
