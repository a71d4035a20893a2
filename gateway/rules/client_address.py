"""Who the client is, when proxies stand in between: whom to believe, and what to tell the app.

The walk goes from the right. Whoever connects to us is believed only if it is a trusted proxy; the address that
it names is believed as the next hop, and so on as long as each is trusted. The first one that is not trusted is
the client, and nothing that stands to the left of it is looked at, for that is the client's own word.

A hop that hides its client (`unknown`, `_hidden`; RFC 7239, section 6) or cannot be read ends the walk at the proxy
that wrote it: that is the last address known for true, and everyone hidden behind it shares it.

X-Forwarded-For wins over Forwarded where both have come: many proxies write only the first and pass on whatever
Forwarded a client made up; hardly any does it the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from gateway.rules import forwarded as fields

#: So many hops are walked at most; longer chains end there.
MAX_HOPS = 64
#: So many addresses are remembered as trusted or not; proxies are few.
_REMEMBERED = 1024

_SHARED = IPv4Network("100.64.0.0/10")  # RFC 6598; clouds number their pods from it

Network = IPv4Network | IPv6Network


@dataclass(slots=True)
class ClientAddress:
    """The client's address. `proto` and `host` are what it used, where a believed Forwarded says so.

    `believed` is True when the peer is a trusted proxy, so that its other fields (X-Forwarded-Proto, say) may be
    taken for true as well.
    """

    client: str
    proto: bytes | None = None
    host: bytes | None = None
    believed: bool = False


class TrustedProxies:
    """The networks whose word is believed; false when there are none."""

    __slots__ = ("_networks", "trusts")

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks: dict[int, tuple[tuple[int, int], ...]] = {4: (), 6: ()}
        for network in map(_as_v4, networks):
            pair = (int(network.network_address), int(network.netmask))
            self._networks[network.version] += (pair,)
        #: Whether an address in text (without brackets or port) is a trusted proxy's.
        self.trusts = lru_cache(_REMEMBERED)(self._trusts)

    def __bool__(self) -> bool:
        return bool(self._networks[4] or self._networks[6])

    def _trusts(self, text: str) -> bool:
        address = fields.address(text)
        if address is None:
            return False
        number = int(address)
        return any(number & mask == network for network, mask in self._networks[address.version])


def resolve(peer: str, trusted: TrustedProxies, xff: list[bytes], forwarded: list[bytes]) -> ClientAddress:
    """Find the client of a request that came from `peer` with these X-Forwarded-For and Forwarded fields."""
    if not trusted or not trusted.trusts(peer):
        return ClientAddress(peer)
    found = ClientAddress(peer, believed=True)
    if any(value.strip(b" \t,") for value in xff):
        hops = fields.hops_of_forwarded_for(xff, MAX_HOPS)
    else:
        hops = fields.hops_of_forwarded(forwarded, MAX_HOPS)
    for hop in hops:
        if not hop.node:
            break
        found.client, found.proto, found.host = hop.node, hop.proto, hop.host
        if not trusted.trusts(hop.node):
            break
    return found


def canonical(peer: str) -> str:
    """A peer's address as the socket gives it, in the form used everywhere here: IPv4-mapped as IPv4, no zone."""
    return peer[7:] if peer.startswith("::ffff:") and "." in peer else peer.partition("%")[0]


@lru_cache(_REMEMBERED)
def is_private(peer: str) -> bool:
    """Whether `peer` is in a private network, so that it is likely a proxy that nobody has declared trusted."""
    address = fields.address(peer)
    if address is None:
        return False
    return address.is_private or (address.version == 4 and address in _SHARED)


def forwarded_for(peer: str, xff: list[bytes], believed: bool) -> bytes:
    """X-Forwarded-For for the app: the peer appended to what a trusted peer sent, or the peer alone.

    What a trusted proxy sent is kept whole, as proxies do; it is for the app to read it from the right.
    """
    if believed:
        kept = [stripped for value in xff if (stripped := value.strip(b" \t,"))]
        return b", ".join([*kept, peer.encode("ascii", "replace")])
    return peer.encode("ascii", "replace")


def forwarded(peer: str, values: list[bytes], believed: bool) -> bytes | None:
    """Forwarded for the app: our element appended to what a trusted peer sent; None, to send none, if it sent none.

    A list that is malformed is replaced: appended to it, our element might be read as part of a quoted string.
    """
    kept = [stripped for value in values if (stripped := value.strip(b" \t,"))] if believed else []
    if not kept:
        return None
    address = fields.address(peer)
    if address is None:
        own = b"for=unknown"
    elif isinstance(address, IPv6Address):
        own = b'for="[%s]"' % str(address).encode("ascii")
    else:
        own = b"for=%s" % str(address).encode("ascii")
    return b", ".join([*kept, own]) if fields.well_formed(kept) else own


def _as_v4(network: Network) -> Network:
    """An IPv4-mapped network as the IPv4 network that it is."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network
