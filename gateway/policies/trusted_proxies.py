"""`trusted_proxies:` whose word about the client is believed, and what the app is told of the client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from gateway.exchange import Exchange
from gateway.rules import client_address, request_target
from gateway.rules.client_address import Network, TrustedProxies

_FIELDS = frozenset({b"x-forwarded-for", b"forwarded", b"x-forwarded-proto", b"x-forwarded-host"})
_NONE: list[bytes] = []
#: Hosts longer than this are not worth remembering, nor safe to.
_LONGEST = 100
_is_scheme = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,31}").fullmatch  # RFC 3986, section 3.1


class ClientAddress:
    """Finds an exchange's client and writes X-Forwarded-For, -Proto and -Host (and Forwarded, where one came).

    `warn` is called once, when a peer in a private network sends such fields without being trusted: that is
    nearly always a load balancer that somebody has forgotten to declare. On egress nothing is found or added.
    """

    def __init__(self, networks: Iterable[Network], warn: Callable[[str], None], *, ingress: bool) -> None:
        self._trusted = TrustedProxies(networks)
        self._warn: Callable[[str], None] | None = warn
        self._ingress = ingress

    def open(self, exchange: Exchange) -> None:
        """Set the exchange's client, and add what the app is told."""
        if not self._ingress:
            return
        head = exchange.head
        noted = head.noted
        sent = not _FIELDS.isdisjoint(noted)
        if not sent or not self._trusted or not self._trusted.trusts(exchange.peer):
            if sent and self._warn is not None and client_address.is_private(exchange.peer):
                self._warn(exchange.peer)
                self._warn = None
            host = head.host
            exchange.added.append((_remembered if len(host) <= _LONGEST else _plain)(exchange.peer, host))
            return
        self._believe(exchange)

    def _believe(self, exchange: Exchange) -> None:
        """Take what a trusted proxy says, and say on."""
        head = exchange.head
        xff, forwarded = head.values(b"x-forwarded-for"), head.values(b"forwarded")
        found = client_address.resolve(exchange.peer, self._trusted, xff, forwarded)
        exchange.client = found.client
        proto, host = _last(head.values(b"x-forwarded-proto")), _last(head.values(b"x-forwarded-host"))
        exchange.proto = (proto if _is_scheme(proto) else b"") or found.proto or exchange.proto
        exchange.host = (host if request_target.valid_host(host) else b"") or found.host or head.host
        if not any(xff) and found.client != exchange.peer:  # from Forwarded, which the app may well not read
            xff = [found.client.encode("ascii", "replace")]
        exchange.added.append(
            b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n"
            % (client_address.forwarded_for(exchange.peer, xff, True), exchange.proto)
        )
        if exchange.host:
            exchange.added.append(b"X-Forwarded-Host: %b\r\n" % exchange.host)
        chain = client_address.forwarded(exchange.peer, forwarded, True)
        if chain is not None:
            exchange.added.append(b"Forwarded: %b\r\n" % chain)


def _plain(peer: str, host: bytes) -> bytes:
    """The lines for a client that speaks to us itself, and asked for this host."""
    lines = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: http\r\n" % client_address.forwarded_for(peer, _NONE, False)
    return b"%bX-Forwarded-Host: %b\r\n" % (lines, host) if host else lines


_remembered = lru_cache(1024)(_plain)


def _last(values: list[bytes]) -> bytes:
    """The last element: what the proxy nearest to us has added, where each adds one."""
    return values[-1].rpartition(b",")[2].strip() if values else b""
