"""The request target: which form it has, and what its path means (RFC 9112, section 3.2; RFC 3986, section 6.2.2).

A path has two readings. The one to forward is what the client sent, byte for byte, unless dot segments occur:
those are resolved, so that no upstream resolves them differently from us. The one to match routes against is
resolved, has `//` as `/`, and has percent-encodings decoded, so that `/%61dmin` does not slip past a rule for
`/admin`; only `%2F` stays as it is, since it never separates segments.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")
_DOTS = {b".": b".", b"%2e": b".", b"..": b"..", b".%2e": b"..", b"%2e.": b"..", b"%2e%2e": b".."}
# A Host field or an authority: a name, or an address in brackets, and perhaps a port (RFC 3986, sections 3.2.2 and
# 3.2.3); less comma, which only ever means that two fields were joined.
_is_host = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=-]*+|\[[A-Za-z0-9._~:%!$&'()*+;=-]++\])(?::[0-9]*+)?").fullmatch


class Target(NamedTuple):
    """A request target taken apart: the path to forward and to match, the query, an absolute form's authority."""

    path: bytes
    match_path: bytes
    query: bytes
    authority: bytes | None


class Path(NamedTuple):
    """The two readings of a path."""

    forward: bytes
    match: bytes


def take_apart(method: bytes, target: bytes) -> Target | None:
    """Take a target apart; None when it has none of the forms that `method` allows, or holds a fragment.

    `query` keeps its question mark, so that `/a` and `/a?` stay different. The authority form (CONNECT only) comes
    back with an empty path.
    """
    # Most of a service's targets come again and again. Long ones are not worth remembering, nor safe to.
    return _remembered(method, target) if len(target) <= 128 else _take_apart(method, target)


def _take_apart(method: bytes, target: bytes) -> Target | None:
    if b"#" in target:
        return None
    authority = None
    if not target.startswith(b"/"):
        if target == b"*":
            return Target(b"*", b"*", b"", None) if method == b"OPTIONS" else None
        if method == b"CONNECT":
            return Target(b"", b"", b"", target)
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            return None
        end = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=len(rest))
        authority, target = rest[:end], rest[end:]
        # Userinfo too: RFC 9110, section 4.2.4. No http URI is without a host: section 4.2.1.
        if authority[:1] in (b"", b":") or not valid_host(authority):
            return None
        if not target.startswith(b"/"):
            target = b"/" + target
    path, mark, query = target.partition(b"?")
    readings = read(path)
    return Target(readings.forward, readings.match, mark + query, authority)


_remembered = lru_cache(2048)(_take_apart)


def valid_host(host: bytes) -> bool:
    """Whether a Host field's value could be one host with an optional port; an empty one is (RFC 9110, 7.2)."""
    return _is_host(host) is not None


def read(path: bytes) -> Path:
    """Both readings of a path that begins with a slash."""
    if b"%" not in path and b"//" not in path and b"/." not in path:
        return Path(path, path)
    segments = path[1:].split(b"/")
    kinds = [_DOTS.get(segment.lower()) for segment in segments]
    resolved: list[bytes] = []
    for segment, kind in zip(segments, kinds, strict=True):
        if kind == b"..":
            if resolved:
                resolved.pop()
        elif kind is None and segment:
            resolved.append(segment)
    # A path that ends in a slash or a dot segment names a directory.
    trailing = b"/" if resolved and (not segments[-1] or kinds[-1] is not None) else b""
    clean = b"/" + b"/".join(resolved) + trailing
    forward = clean if any(kinds) else path
    return Path(forward, _decode(clean) if b"%" in clean else clean)


def strip_prefix(path: bytes, prefix: bytes) -> bytes:
    """`path` without the segments of `prefix`, which a route has matched; what is left begins with a slash."""
    if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"/", b""):
        return path[len(prefix) :] or b"/"
    # The same segments, spelled otherwise (`//openai`, `/%6fpenai`).
    count = prefix.count(b"/")
    segments = [segment for segment in path.split(b"/") if segment]
    trailing = b"/" if path.endswith(b"/") and len(segments) > count else b""
    return b"/" + b"/".join(segments[count:]) + trailing


def _decode(path: bytes) -> bytes:
    return _ENCODED.sub(lambda m: m[0].upper() if m[1].upper() == b"2F" else bytes([int(m[1], 16)]), path)
