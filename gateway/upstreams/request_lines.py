"""The request as it goes to the upstream: the client's, byte for byte, but for what stops or begins here."""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.rules import field_lines, request_target
from gateway.upstreams.upstream import Upstream

_HOST = frozenset({b"host"})


def build(exchange: Exchange, upstream: Upstream, strip_prefix: bytes, *, own_host: bool) -> bytes:
    """The whole head. `own_host`: Host is the upstream's (egress) rather than the client's (ingress)."""
    head = exchange.head
    path = head.path
    if strip_prefix:
        path = request_target.strip_prefix(path, strip_prefix)
    if upstream.base and path != b"*":
        path = upstream.base + path
    out = [b"%b %b%b HTTP/1.1\r\n" % (head.method, path, head.query)]
    kept = head.kept
    if own_host:
        out.append(b"Host: %b\r\n" % upstream.authority)
    elif head.authority is not None or b"host" not in head.noted:
        # An absolute-form target's authority takes Host's place (RFC 9112, 3.2.2); HTTP/1.0 may come without.
        kept = field_lines.without(kept, _HOST)
        out.append(b"Host: %b\r\n" % (head.authority or upstream.authority))
    if upstream.credentials:
        kept = field_lines.without(kept, upstream.credentials)
        out += upstream.auth
    out += kept
    if head.chunked:
        out.append(b"Transfer-Encoding: chunked\r\n")
    if head.upgrade:
        out.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % head.upgrade)
    elif head.trailers_wanted:
        out.append(b"Connection: TE\r\nTE: trailers\r\n")
    out += exchange.added
    out.append(b"\r\n")
    return b"".join(out)
