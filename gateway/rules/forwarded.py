"""Reading X-Forwarded-For and Forwarded (RFC 7239) from the right, the end that the nearest proxy wrote.

Both are read element by element from the end, so that nothing an untrusted sender wrote further left, an open
quote say, changes how the words of a trusted proxy are read. What is not looked at is not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

#: An element longer than this, or with more commas in its quoted strings, is taken for garbage. Bounds the work.
_MAX_ELEMENT = 512
_MAX_COMMAS = 4

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e\x80-\xff])*+"'
# Section 4, but for spaces round the semicolons, which some proxies write. All repetitions are possessive: nothing
# a client sends makes these backtrack.
_PAIR = rb"(?:" + _TOKEN + rb"=(?:" + _TOKEN + rb"|" + _QUOTED + rb")[ \t]*+)?+"
_ELEMENT = rb"[ \t]*+" + _PAIR + rb"(?:;[ \t]*+" + _PAIR + rb")*+"
_is_element = re.compile(_ELEMENT).fullmatch
_is_list = re.compile(_ELEMENT + rb"(?:," + _ELEMENT + rb")*+").fullmatch
_pairs = re.compile(rb"(" + _TOKEN + rb")=(?:(" + _TOKEN + rb")|(" + _QUOTED + rb"))").findall
_escape = re.compile(rb"\\(.)", re.DOTALL)

# Ports may be obfuscated too (6.3). A bare IPv6 address has two colons or more, and no port.
_PORT = r"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_v4_node = re.compile(rf"({_OCTET}(?:\.{_OCTET}){{3}}){_PORT}").fullmatch
_v6_node = re.compile(r"\[([0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,44})\]" + _PORT).fullmatch
_v6_bare = re.compile(r"[0-9A-Fa-f:.]{2,45}").fullmatch

_scheme = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,31}").fullmatch
_host = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?").fullmatch

Address = IPv4Address | IPv6Address


@dataclass(slots=True)
class Hop:
    """What one proxy says of the one before it. `node` is "" where it tells no address."""

    node: str
    proto: bytes | None = None
    host: bytes | None = None


GARBAGE = Hop("")


def address(text: str) -> Address | None:
    """An IP address without port or brackets, an IPv4-mapped one (RFC 4291, 2.5.5.2) as IPv4; None if it is none."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed


def well_formed(values: list[bytes]) -> bool:
    """Whether Forwarded fields, taken together, are a list that others can be relied on to read as we do."""
    return _is_list(b",".join(values)) is not None


def hops_of_forwarded_for(values: list[bytes], limit: int) -> Iterator[Hop]:
    """The hops of X-Forwarded-For fields, nearest first, at most `limit`; empty elements are passed over."""
    for element in _from_the_right(values, limit):
        yield Hop(_node(element, bare=True))


def hops_of_forwarded(values: list[bytes], limit: int) -> Iterator[Hop]:
    """The hops of Forwarded fields, nearest first, at most `limit`; the last is GARBAGE where one cannot be read."""
    for value in reversed(values):
        rest = value
        while rest.strip(b" \t,"):
            if limit <= 0:
                return
            limit -= 1
            split = _last_element(rest)
            if split is None:
                yield GARBAGE
                return
            rest, element = split
            if element:
                yield _hop(element)


def _from_the_right(values: list[bytes], limit: int) -> Iterator[bytes]:
    for value in reversed(values):
        parts = value.rsplit(b",", limit)
        for part in reversed(parts):
            if limit <= 0:
                return
            limit -= 1
            element = part.strip(b" \t")
            if element:
                yield element


def _last_element(value: bytes) -> tuple[bytes, bytes] | None:
    """Split off the last element: the shortest end of `value`, after a comma, that is a whole element.

    A comma may stand within a quoted string, but what follows it then is no element: cut there, the end holds an odd
    number of quotes that no backslash escapes, and an element holds an even one.
    """
    end = len(value)
    comma = end
    for _ in range(_MAX_COMMAS + 1):
        comma = value.rfind(b",", 0, comma)
        if end - comma > _MAX_ELEMENT:
            return None
        element = value[comma + 1 : end]
        if _is_element(element):
            return value[: max(comma, 0)], element.strip(b" \t")
        if comma < 0:
            return None
    return None


def _hop(element: bytes) -> Hop:
    pairs: dict[bytes, bytes] = {}
    for any_case, token, quoted in _pairs(element):
        name = any_case.lower()
        if name in pairs:  # section 4: each parameter once
            return GARBAGE
        pairs[name] = token or _escape.sub(rb"\1", quoted[1:-1])
    proto, host = pairs.get(b"proto", b""), pairs.get(b"host", b"")
    return Hop(
        _node(pairs.get(b"for", b""), bare=False),
        proto.lower() if _scheme(proto) else None,
        host if _host(host) else None,
    )


def _node(value: bytes, *, bare: bool) -> str:
    """The address of a node (section 6), its port dropped; "" for `unknown`, `_hidden` and garbage.

    `bare` allows IPv6 without brackets, as X-Forwarded-For has it.
    """
    text = value.decode("latin-1")
    if match := _v4_node(text):
        return match[1]  # as it stands: the pattern allows one way to write it
    if match := _v6_node(text):
        return str(address(match[1]) or "")
    if bare and text.count(":") > 1 and _v6_bare(text):
        return str(address(text) or "")
    return ""
