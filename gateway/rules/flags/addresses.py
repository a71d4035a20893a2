"""Whether the client's address is one of these, or in one of these networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from gateway.rules.flags.bucket import Test
from gateway.rules.flags.compiling import Notes, Place, shown
from gateway.rules.flags.context import Asked, Read
from gateway.rules.forwarded import address

#: So many addresses are remembered as inside or not, for each list.
_REMEMBERED = 256

Network = IPv4Network | IPv6Network


def networks(texts: Iterable[str], at: Place, notes: Notes) -> list[Network]:
    """Those that are addresses or networks; one with bits past its prefix is the network that it is in."""
    found: list[Network] = []
    for number, text in enumerate(texts):
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            notes.refuse((*at, number), f"{shown(text)} is no address and no network")
    return found


def inside(read: Read, among: Iterable[Network]) -> Test:
    """Whether the address that is read is in any of these; what is none is in none."""
    held = _held(among)

    def test(asked: Asked) -> bool:
        text = read(asked)
        return text is not None and held(text)

    return test


def _held(among: Iterable[Network]) -> Callable[[str], bool]:
    # An IPv4-mapped network is the IPv4 network that it is, for so are addresses read.
    parts: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for network in among:
        mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
        if mapped is not None and network.prefixlen >= 96:
            parts[4].append((int(mapped), int(network.netmask) & 0xFFFFFFFF))
        else:
            parts[network.version].append((int(network.network_address), int(network.netmask)))

    @lru_cache(_REMEMBERED)
    def held(text: str) -> bool:
        found = address(text)
        if found is None:
            return False
        number = int(found)
        return any(number & mask == start for start, mask in parts[found.version])

    return held
