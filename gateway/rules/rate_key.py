"""Whom a rate limit counts: the parts of a key (`ip`, `header:NAME`, …) compiled into one call on an exchange.

Keys are printable ASCII and at most a few dozen bytes a part, so that they can be listed and written into an address.
What is longer, or holds other bytes, stands as its hash. A credential always does: no memory, log or page holds it.
A hash is `~` and 16 hex digits (BLAKE2b of 64 bits); a value that itself begins with `~` is hashed too, so that
nobody can pass for another's.

A key of several parts joins them with `|`, which is escaped within a part. `~` alone stands for a part that is
missing, and `*` for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network
from typing import NamedTuple, Protocol

from gateway.rules import cookies, jwt_claim
from gateway.rules.forwarded import address
from gateway.rules.request_head import RequestHead

#: Kinds of part that need no name behind them.
PLAIN = ("route", "ip", "user")

#: Bytes of a value that stands as it is.
LONGEST = 64

HASHED = b"~"
#: The key where nobody is told from anybody else, and what stands for a part that a request lacks.
EVERYBODY, NONE = b"*", b"~"
_REMEMBERED = 4096
_SECRET = re.compile(r"key|token|secret|session|auth|passw|credential|signature|jwt|otp", re.IGNORECASE)
_readable = re.compile(rb"[!-}][ -~]{0,%d}" % (LONGEST - 1)).fullmatch


class Term(NamedTuple):
    """One part of a key: its kind, and for some kinds a name."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


ROUTE, IP = Term("route"), Term("ip")


class Asked(Protocol):
    """What of an exchange a key is read from."""

    head: RequestHead
    client: str


Read = Callable[[Asked], bytes | None]


def resolve(by: Iterable[Term], user: Term) -> tuple[Term, ...]:
    """The same with `user` in place of what stands for it on this listener."""
    return tuple(user if term.kind == "user" else term for term in by)


def fields(by: Iterable[Term]) -> frozenset[bytes]:
    """The lower-case names of the request fields that these read; a listener must note them (`Interest.also`)."""
    read = {"cookie": b"cookie", "jwt": b"authorization"}
    return frozenset(
        term.name.lower().encode() if term.kind == "header" else read[term.kind]
        for term in by
        if term.kind in ("header", *read)
    )


def reader(by: Sequence[Term], pattern: str = "", *, ipv6_prefix: int = 64, share: bool = True) -> Read:
    """What reads the key of an exchange. `pattern` is the route's, for its parameters.

    Where a part is missing it answers None; with `share`, those without it share a key. Raises ValueError where the
    pattern has no such parameter.
    """
    parts = [_part(term, pattern, ipv6_prefix) for term in by if term.kind != "route"]
    if not parts:
        return _everybody
    if len(parts) == 1:
        return _or_none(parts[0]) if share and tuple(by) != (IP,) else parts[0]
    return _joined(parts, share=share)


def named(read: Read, by: Sequence[Term], prefix: bytes, ipv6_prefix: int = 64) -> Callable[[Asked], bytes]:
    """The same with a rule's prefix before the key, for a rule by which each request has one."""
    if tuple(by) != (IP,):
        return lambda exchange: prefix + (read(exchange) or b"")

    @lru_cache(_REMEMBERED)
    def of_client(client: str) -> bytes:
        return prefix + _of_address(client, ipv6_prefix)

    return lambda exchange: of_client(exchange.client)


def is_constant(by: Sequence[Term]) -> bool:
    """Whether all requests have the same key."""
    return all(term.kind == "route" for term in by)


def shown(key: bytes) -> str:
    """A key as people see it and may write it."""
    return key.decode("ascii", "backslashreplace")


def given(by: Sequence[Term], text: str) -> bytes:
    """A key as an operator gives it: as it is shown, or, where it has one part, as the client sends it."""
    raw = text.encode()
    if raw == b"":
        return EVERYBODY if is_constant(by) else NONE
    if len(by) != 1 or raw[:1] == HASHED or raw == EVERYBODY:
        return raw
    (term,) = by
    if term.kind in ("cookie", "jwt") or (term.kind in ("header", "path") and _SECRET.search(term.name)):
        return hashed(raw)
    return raw if term.kind == "ip" else value(raw)


def value(raw: bytes) -> bytes:
    """A value as a part of a key."""
    return raw if _readable(raw) else hashed(raw)


def hashed(raw: bytes) -> bytes:
    """What stands for a value that must not, or cannot, stand there itself."""
    return HASHED + blake2b(raw, digest_size=8).hexdigest().encode()


@lru_cache(_REMEMBERED)
def _network(text: str, prefix: int) -> bytes:
    found = address(text.partition("%")[0])
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, prefix), strict=False) if prefix < 128 else found).encode()
    return value(text.encode("utf-8", "replace")) if found is None else str(found).encode()


def _everybody(exchange: Asked) -> bytes:  # noqa: ARG001 - whoever asks
    return EVERYBODY


def _or_none(read: Read) -> Read:
    def shared(exchange: Asked) -> bytes:
        return read(exchange) or NONE

    return shared


def _joined(parts: Sequence[Read], *, share: bool) -> Read:
    def joined(exchange: Asked) -> bytes | None:
        found = []
        for read in parts:
            one = read(exchange)
            if one is None:
                if not share:
                    return None
                one = NONE
            elif b"|" in one or b"%" in one:
                one = one.replace(b"%", b"%25").replace(b"|", b"%7C")
            found.append(one)
        return b"|".join(found)

    return joined


def _part(term: Term, pattern: str, ipv6_prefix: int) -> Read:
    if term.kind == "ip":
        return _ip(ipv6_prefix)
    if term.kind == "header":
        return _header(term.name)
    if term.kind == "cookie":
        return _cookie(term.name.encode())
    if term.kind == "path":
        return _parameter(term.name, pattern)
    if term.kind == "jwt":
        return _claim(term.name)
    raise ValueError(f"no key is called {term}")


def _ip(prefix: int) -> Read:
    def read(exchange: Asked) -> bytes:
        return _of_address(exchange.client, prefix)

    return read


def _of_address(text: str, ipv6_prefix: int) -> bytes:
    return _network(text, ipv6_prefix) if ":" in text else text.encode() or NONE


def _header(name: str) -> Read:
    lower = name.lower().encode()
    form = hashed if _SECRET.search(name) or lower == b"cookie" else value

    def read(exchange: Asked) -> bytes | None:
        values = exchange.head.noted.get(lower)
        if values is None:
            return None
        # Several lines of one field are one list (RFC 9110, section 5.3).
        found = (values[0] if len(values) == 1 else b",".join(values)).strip(b" \t")
        return form(found) if found else None

    return read


def _cookie(name: bytes) -> Read:
    def read(exchange: Asked) -> bytes | None:
        lines = exchange.head.noted.get(b"cookie")
        found = None if lines is None else cookies.value(lines, name)
        return None if found is None else hashed(found)

    return read


def _parameter(name: str, pattern: str) -> Read:
    segments = pattern.split("/")[1:]
    if f":{name}" not in segments:
        raise ValueError(f"the route's path has no :{name}")
    at = segments.index(f":{name}") + 1
    form = hashed if _SECRET.search(name) else value

    def read(exchange: Asked) -> bytes | None:
        found = exchange.head.match_path.split(b"/", at + 1)
        return form(found[at]) if len(found) > at and found[at] else None

    return read


def _claim(name: str) -> Read:
    def read(exchange: Asked) -> bytes | None:
        lines = exchange.head.noted.get(b"authorization")
        found = None if lines is None else jwt_claim.claim(lines, name)
        return None if found is None else hashed(found)

    return read
