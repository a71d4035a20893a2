"""A request's head, read once: what is one unambiguous HTTP/1.x request, and what of it is passed on.

llhttp has already refused what is no HTTP at all (bare LF, obs-fold, NUL, two lengths, a length beside a transfer
coding). What is left to judge stands here, by section of RFC 9110 and RFC 9112.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from itertools import product

from gateway.rules import field_lines, hop_by_hop, request_target
from gateway.rules.field_lines import Pieces

Noted = dict[bytes, list[bytes]]

_READ = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"te"})
#: What decides on the body and on the connection.
_SETTLE = frozenset({b"content-length", b"transfer-encoding", b"connection", b"expect"})
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"})
_PASSED_ON = frozenset({b"host", b"content-length", b"expect"})
_TRACE = frozenset({b"traceparent", b"tracestate"})


class Malformed(ValueError):
    """Not one unambiguous request; the text says why, without the client's bytes."""


class Interest:
    """Which fields a listener reads itself, and which of those it passes on; `also` are read for the policies."""

    __slots__ = ("noted", "passed_on")

    def __init__(self, correlation_header: str, *, ingress: bool, also: frozenset[bytes] = frozenset()) -> None:
        own = {correlation_header.lower().encode("ascii")} | _TRACE
        if ingress:
            own |= _FORWARDED
        # A CGI-style app cannot tell X_Forwarded_For from X-Forwarded-For: neither passes.
        stopped = _READ | hop_by_hop.NAMES | frozenset(s for name in own for s in _spellings(name))
        # What policies go by has one spelling too: the other would pass them by, and be read by the app all the same.
        self.noted = stopped | frozenset(s for name in also for s in _spellings(name))
        self.passed_on = (_PASSED_ON if ingress else _PASSED_ON - {b"host"}) | (also - stopped)


class RequestHead:
    """A request's head. `length` is None when there is no Content-Length; `query` keeps its question mark."""

    __slots__ = (
        "authority",
        "chunked",
        "expects_continue",
        "host",
        "http10",
        "keep_alive",
        "kept",
        "length",
        "match_path",
        "method",
        "noted",
        "path",
        "query",
        "trailers_wanted",
        "upgrade",
    )

    method: bytes
    path: bytes
    match_path: bytes
    query: bytes
    http10: bool
    #: The lines of the fields to pass on, hop-by-hop ones and those that we set ourselves left out.
    kept: Pieces
    #: Values of the fields that a listener reads itself, by lower-case name.
    noted: Noted
    #: What the client calls the server: the target's authority, or the Host field's value.
    host: bytes
    #: The authority of an absolute-form target, which takes the Host field's place (RFC 9112, 3.2.2).
    authority: bytes | None
    length: int | None
    chunked: bool
    keep_alive: bool
    #: The protocols to change to; empty when the client asks for none, or for one that is not tunnelled.
    upgrade: bytes
    expects_continue: bool
    trailers_wanted: bool

    def copy(self) -> RequestHead:
        """Another one, to be changed: a head itself may be that of several requests with the same bytes."""
        head = copy(self)
        head.noted = dict(self.noted)
        return head

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field, in order; `name` in lower case."""
        if name in self.noted:
            return self.noted[name]
        return [value for field, value in field_lines.pairs(self.kept) if field.lower() == name]


def read(method: bytes, target: bytes, version: str, kept: Pieces, noted: Noted) -> RequestHead:
    """Judge a head that llhttp has parsed, its fields sorted by a listener's interest. Raises Malformed."""
    head = RequestHead()
    head.method = method
    head.kept = kept
    head.noted = noted
    if version == "1.1":
        head.http10 = False
    elif version == "1.0":
        head.http10 = True
    else:
        raise Malformed("only HTTP/1.0 and HTTP/1.1 are spoken here")
    _read_target(head, method, target)
    if _SETTLE.isdisjoint(noted) and not head.http10 and method != b"CONNECT":  # no body, nothing to settle
        head.length = None
        head.keep_alive = True
        head.chunked = head.expects_continue = head.trailers_wanted = False
        head.upgrade = b""
    else:
        _read_framing(head, noted)
        _read_connection(head, noted)
    return head


def unreadable(method: bytes) -> RequestHead:
    """The head of something that could not be read, for its refusal and its line in the log."""
    head = RequestHead()
    head.method = method
    head.path = head.match_path = head.query = head.host = head.upgrade = b""
    head.authority = head.length = None
    head.kept = []
    head.noted = {}
    head.http10 = head.chunked = head.keep_alive = head.expects_continue = head.trailers_wanted = False
    return head


def _read_target(head: RequestHead, method: bytes, target: bytes) -> None:
    parts = request_target.take_apart(method, target)
    if parts is None:
        raise Malformed("the request target has no form that this method allows")
    head.path, head.match_path, head.query, head.authority = parts
    hosts = head.noted.get(b"host")
    if hosts is None:
        if not head.http10:
            raise Malformed("HTTP/1.1 needs a Host field")  # RFC 9112, section 3.2
        head.host = b""
    elif len(hosts) > 1 or not request_target.valid_host(hosts[0]):
        raise Malformed("there must be one Host field, with one host in it")
    else:
        head.host = hosts[0]
    if head.authority is not None:
        head.host = head.authority


def _read_framing(head: RequestHead, noted: Noted) -> None:
    """RFC 9112, section 6; llhttp has refused repeated and conflicting lengths."""
    lengths = noted.get(b"content-length")
    head.length = int(lengths[0]) if lengths else None
    codings = noted.get(b"transfer-encoding")
    head.chunked = codings is not None
    if codings is not None:
        if head.http10:
            raise Malformed("HTTP/1.0 has no transfer codings")
        if len(codings) > 1 or codings[0].strip(b" \t").lower() != b"chunked":
            raise Malformed("the only transfer coding taken is chunked, once")


def _read_connection(head: RequestHead, noted: Noted) -> None:
    """RFC 9110, sections 7.6.1, 7.8 and 10.1; RFC 9112, section 9.3."""
    head.keep_alive = not head.http10
    head.upgrade = b""
    head.expects_continue = b"expect" in noted and not head.http10
    head.trailers_wanted = False
    connection = noted.get(b"connection")
    if head.method == b"CONNECT":
        head.keep_alive = False  # what follows is not HTTP
        return
    if connection is None:
        return
    options, listed = hop_by_hop.options(connection)
    if b"close" in options:
        head.keep_alive = False
    elif head.http10 and b"keep-alive" in options:
        head.keep_alive = True
    if b"upgrade" in options and not head.http10:
        wanted = b", ".join(noted.get(b"upgrade", ()))
        # An h2c tunnel would carry requests past every rule here; the upgrade is optional, so it is not taken.
        # A request with a body is answered as it stands: what follows it could not be told from the body.
        if wanted and b"h2c" not in wanted.lower() and not head.length and not head.chunked:
            head.upgrade = wanted
    if b"te" in options and any(b"trailers" in value.lower() for value in noted.get(b"te", ())):
        head.trailers_wanted = True
    if listed:
        head.kept = field_lines.without(head.kept, listed)


def _spellings(name: bytes) -> Iterable[bytes]:
    """All ways to write a name with `_` for some of its `-`; for names of many dashes, the plain ones only."""
    parts = name.split(b"-")
    if len(parts) > 7:
        return (name, name.replace(b"-", b"_"))
    return (
        b"".join(part + joint for part, joint in zip(parts, (*joints, b""), strict=True))
        for joints in product((b"-", b"_"), repeat=len(parts) - 1)
    )
