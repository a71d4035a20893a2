"""What of a request a flag may be about, by the names that definitions have for it.

`header:NAME`, `cookie:NAME`, `query:NAME` (the first parameter of the name, decoded), `jwt:CLAIM` (of a bearer token,
unverified), and `path` (in the reading that routes match). Several lines of one header field are one list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from gateway.rules import cookies, field_syntax, jwt_claim
from gateway.rules.request_head import RequestHead

#: Kinds that want a name behind them, and what stands alone.
NAMED, PATH = ("header", "cookie", "query", "jwt"), "path"
#: So many names are remembered with what reads them; definitions have far fewer.
_REMEMBERED, _LONGEST = 1024, 200

Read = Callable[[RequestHead], str | None]

_escaped = re.compile(rb"%([0-9A-Fa-f]{2})")


def known(name: str) -> bool:
    """Whether there is such a thing."""
    return reader(name) is not None


@lru_cache(_REMEMBERED)
def reader(name: str, *, noted: bool = False) -> Read | None:
    """What reads it; None where nothing is called so. What a request lacks is None, too.

    `noted`: the fields are among those that the listener notes (`fields`), so they are quickly not there.
    """
    if name == PATH:
        return _path
    kind, _, rest = name.partition(":")
    if kind not in NAMED or not rest:
        return None
    if kind in ("header", "cookie"):
        try:
            field_syntax.name(rest)
        except ValueError:
            return None
    if kind == "header":
        return _noted(rest.lower().encode("ascii")) if noted else _header(rest.lower().encode("ascii"))
    read = {"cookie": _cookie, "query": _query, "jwt": _claim}[kind](rest)
    if not noted or kind == "query":
        return read
    (field,) = fields([name])
    return lambda head: read(head) if field in head.noted else None


def fields(names: Iterable[str]) -> frozenset[bytes]:
    """The request fields, in lower case, that these are read from."""
    found: set[bytes] = set()
    for name in names:
        kind, _, rest = name.partition(":")
        if reader(name) is None:
            continue
        if kind == "header":
            found.add(rest.lower().encode("ascii"))
        elif kind in ("cookie", "jwt"):
            found.add(b"cookie" if kind == "cookie" else b"authorization")
    return frozenset(found)


@lru_cache(_REMEMBERED)
def _remembered(text: str) -> frozenset[str]:
    return frozenset(stripped for one in text.split(",") if (stripped := one.strip()))


def listed(text: str | None) -> frozenset[str]:
    """A list with commas, as groups are written in a field; long ones are not worth remembering, nor safe to."""
    if not text:
        return frozenset()
    return _remembered(text) if len(text) <= _LONGEST else _remembered.__wrapped__(text)


def _path(head: RequestHead) -> str:
    return _text(_decoded(head.match_path))


def _noted(name: bytes) -> Read:
    def read(head: RequestHead) -> str | None:
        values = head.noted.get(name)
        return None if values is None else _list(values)

    return read


def _header(name: bytes) -> Read:
    def read(head: RequestHead) -> str | None:
        return _list(head.values(name))

    return read


def _list(values: list[bytes]) -> str | None:
    if not values:
        return None
    value = (values[0] if len(values) == 1 else b",".join(values)).strip(b" \t")
    return value.decode("utf-8", "replace") if value else None


def _cookie(name: str) -> Read:
    wanted = name.encode("ascii")

    def read(head: RequestHead) -> str | None:
        found = cookies.value(head.values(b"cookie"), wanted)
        return None if found is None else _text(found)

    return read


def _query(name: str) -> Read:
    wanted = name.encode()

    def read(head: RequestHead) -> str | None:
        for pair in head.query[1:].split(b"&") if head.query else ():
            found, _, value = pair.partition(b"=")
            if _decoded(found.replace(b"+", b" ")) == wanted:
                return _text(_decoded(value.replace(b"+", b" ")))
        return None

    return read


def _claim(name: str) -> Read:
    def read(head: RequestHead) -> str | None:
        found = jwt_claim.claim(head.values(b"authorization"), name)
        return None if found is None else _text(found)

    return read


def _decoded(raw: bytes) -> bytes:
    return _escaped.sub(lambda found: bytes([int(found[1], 16)]), raw) if b"%" in raw else raw


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
