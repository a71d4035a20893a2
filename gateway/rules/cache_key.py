"""The primary key of a request in the cache (RFC 9111, section 2), as a route's settings pick it.

Every part is written with its length before it, so that different parts never make one key. Whatever might mean
something to the origin stays in: two keys for one answer cost a fetch, one key for two answers is a wrong answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from hashlib import blake2b, sha256
from json.encoder import encode_basestring_ascii

Values = Callable[[bytes], Sequence[bytes]]

#: Fields by which a request says who is asking: RFC 9110's, the session's, and those of AI providers' keys.
CREDENTIALS = (b"authorization", b"cookie", b"x-api-key", b"api-key", b"x-goog-api-key")

#: Bytes of a key; a longer one is digested.
LONGEST = 256

#: Bytes of an authority that is worth remembering.
_SHORT = 128

_PORTS = {b"http": b":80", b"https": b":443"}
_encoded = re.compile(rb"%([0-9A-Fa-f]{2})")


class CacheKey:
    """How one route's keys are made.

    `space` tells apart routes that share a store, and `terms`, which say whose the answers are, what was stored on
    other ones. Of the query, by default all of it as it came; `sorted_query` takes
    its parameters in the order of their names, `only` these parameters, `without` all but these; names are decoded.
    `headers` are lower-case names, `cookies` names; a field that is absent is another key than an empty one. Of
    cookies and credentials the key has a digest: keys are kept, and go to the state that replicas share.
    """

    __slots__ = ("_cookies", "_headers", "_host", "_only", "_path", "_picked", "_prefix", "_sorted", "_without")

    def __init__(
        self,
        space: bytes = b"",
        *,
        host: bool = True,
        path: bool = True,
        sorted_query: bool = False,
        only: Collection[bytes] | None = None,
        without: Collection[bytes] = (),
        headers: Sequence[bytes] = (),
        cookies: Sequence[bytes] = (),
        terms: Sequence[bool | str] = (),
    ) -> None:
        # Keys outlive a reload where the store is shared; what other settings stored must not be found by these.
        named = None if only is None else sorted(only)
        settings = (host, path, sorted_query, named, sorted(without), list(headers), list(cookies), list(terms))
        recipe = blake2b(repr(settings).encode("ascii"), digest_size=8).digest()
        self._prefix = b"%d:%b%b" % (len(space), space, recipe)
        self._host = host
        self._path = path
        self._sorted = sorted_query
        self._only = None if only is None else frozenset(only)
        self._without = frozenset(without)
        self._picked = sorted_query or only is not None or bool(without)
        self._headers = tuple(headers)
        self._cookies = tuple(cookies)

    @property
    def is_of_target(self) -> bool:
        """Whether scheme, host and target alone make the key of a request without content."""
        return not self._headers and not self._cookies

    def of(
        self,
        method: bytes,
        scheme: bytes,
        authority: bytes,
        path: bytes,
        query: bytes,
        values: Values,
        *,
        body: bytes = b"",
        caller: bytes = b"",
    ) -> bytes:
        """The key of a request. HEAD has GET's, for it is answered from what GET has stored.

        `path` is the one to forward and `query` has its question mark. `body` is a digest (`body_digest`,
        `json_digest`) where the body belongs to the key, and `caller` one of the credential.
        """
        if not self._host:
            scheme = authority = b""
        if len(authority) <= _SHORT:
            front = _remembered_front(self._prefix, method, scheme, authority)
        else:
            front = _front(self._prefix, method, scheme, authority)
        if not self._path:
            path = b""
        if self._picked and query:
            query = self.query(query)
        tail = b"%d:%b%d:%b" % (len(body), body, len(caller), caller) if body or caller else b"0:0:"
        key = b"%b%d:%b%d:%b%b" % (front, len(path), path, len(query), query, tail)
        for name in self._headers:
            group = _group(values(name))
            key += sha256(group).digest() if name in CREDENTIALS else group
        if self._cookies:
            fields = values(b"cookie")
            for name in self._cookies:
                key += sha256(_group(_cookie(fields, name))).digest()
        return key if len(key) <= LONGEST else b"#" + blake2b(key, digest_size=32).digest()

    def query(self, query: bytes) -> bytes:
        """What of a query (with its question mark) counts; parameters of one name stay in their order."""
        pairs = query[1:].split(b"&")
        if self._only is not None or self._without:
            pairs = [pair for pair in pairs if self._counts(pair)]
        if self._sorted:
            pairs.sort(key=_name)
        return b"?" + b"&".join(pairs) if pairs else b""

    def _counts(self, pair: bytes) -> bool:
        # Some servers end a parameter at a semicolon too, and would find another one behind it.
        if b";" in pair or b"%3b" in pair.lower():
            return True
        name = _decoded(_name(pair))
        return name not in self._without and (self._only is None or name in self._only)


def origin(scheme: bytes, authority: bytes) -> bytes:
    """Scheme and host in lower case, without the scheme's own port (RFC 9110, section 4.2.3)."""
    scheme, authority = scheme.lower(), authority.lower()
    port = _PORTS.get(scheme, b":")
    return scheme + b"://" + authority.removesuffix(port).removesuffix(b":")


def _front(prefix: bytes, method: bytes, scheme: bytes, authority: bytes) -> bytes:
    """The part of a key that most requests have in common with others."""
    method = b"GET" if method == b"HEAD" else method
    host = origin(scheme, authority) if scheme or authority else b""
    return b"%b%d:%b%d:%b" % (prefix, len(method), method, len(host), host)


_remembered = lru_cache(256)(origin)
_remembered_front = lru_cache(256)(_front)


def remembered_origin(scheme: bytes, authority: bytes) -> bytes:
    """`origin`, quickly for those that come again."""
    return _remembered(scheme, authority) if len(authority) <= _SHORT else origin(scheme, authority)


def credential_digest(values: Values, names: Sequence[bytes] = CREDENTIALS) -> bytes:
    """The part of a key that the caller makes; nothing where nobody says who it is."""
    fields = [values(name) for name in names]
    return sha256(b"".join(map(_group, fields))).digest() if any(fields) else b""


def body_digest(body: bytes) -> bytes:
    """The part of a key that a body's bytes make."""
    return b"r" + sha256(body).digest()


def json_digest(body: bytes) -> bytes:
    """The part of a key that a JSON body makes: the same for another order of names, or other space between tokens.

    Every name and value counts, known or not; a number counts as it is written. What is not one JSON text with unique
    names, or is nested too deeply, counts as its bytes.
    """
    try:
        value = _decode(body.decode("utf-8"))
        written: list[str] = []
        _write(value, written)
    except (ValueError, RecursionError):
        return body_digest(body)
    return b"j" + sha256("".join(written).encode("ascii")).digest()


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_Number, parse_int=_Number, parse_constant=_refused
).decode  # type: ignore[arg-type,unused-ignore]  # any callable will do


def _write(value: object, out: list[str]) -> None:
    if isinstance(value, _Number):
        out.append(value)
    elif isinstance(value, str):
        out.append(encode_basestring_ascii(value))
    elif isinstance(value, dict):
        out.append("{")
        for name in sorted(value):
            out += (encode_basestring_ascii(name), ":")
            _write(value[name], out)
            out.append(",")
        out.append("}")
    elif isinstance(value, list):
        out.append("[")
        for one in value:
            _write(one, out)
            out.append(",")
        out.append("]")
    else:
        out.append("null" if value is None else "true" if value else "false")


def _group(values: Sequence[bytes]) -> bytes:
    """The lines of one field, with their number before them."""
    return b"%d;" % len(values) + b"".join([b"%d:%b" % (len(value), value) for value in values])


def _cookie(fields: Sequence[bytes], name: bytes) -> list[bytes]:
    """The values of every cookie of a name: servers differ in which of several they take."""
    pairs = (pair.strip(b" \t") for field in fields for pair in field.split(b";"))
    return [
        value for found, mark, value in (pair.partition(b"=") for pair in pairs) if mark and found.strip() == name
    ]


def _name(pair: bytes) -> bytes:
    return pair.partition(b"=")[0]


def _decoded(name: bytes) -> bytes:
    return _encoded.sub(lambda hexadecimal: bytes([int(hexadecimal[1], 16)]), name.replace(b"+", b" "))
