"""Cache-Status (RFC 9211): how the gateway's cache handled a request, after what caches before it have said.

The key is never shown: it may hold what a client sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

#: Why a request went on, in the words of section 2.2 that this cache uses.
Why = Literal["uri-miss", "vary-miss", "stale", "bypass", "request", "method"]

#: Bytes of other caches' words that are passed on; more than any chain of caches says.
LONGEST = 2048

_HIT: Final = b"gateway; hit; ttl=%d"
_TOKEN = rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+"
_STRING = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+"'
_NUMBER = rb"-?(?:[0-9]{1,12}\.[0-9]{1,3}|[0-9]{1,15})(?![0-9.])"
_OTHERS = rb":[A-Za-z0-9+/]*+={0,2}:|\?[01]|@-?[0-9]{1,15}"
_PARAMETERS = (
    rb"(?:;[ ]*+[a-z*][a-z0-9_.*-]*+(?:=(?:"
    + _NUMBER
    + rb"|"
    + _STRING
    + rb"|"
    + _TOKEN
    + rb"|"
    + _OTHERS
    + rb"))?+)*+"
)
_MEMBER = rb"(?:" + _STRING + rb"|" + _TOKEN + rb")" + _PARAMETERS
# A structured list (RFC 9651, section 3.1) of strings or tokens, as section 2 has it.
_is_list = re.compile(_MEMBER + rb"(?:[ \t]*+,[ \t]*+" + _MEMBER + rb")*+").fullmatch


def hit(ttl: int) -> bytes:
    """Answered from the cache. `ttl` is what is left of its freshness, in seconds; negative when it was stale."""
    return _HIT % ttl


@lru_cache(1024)
def forwarded(
    why: Why, status: int | None = None, *, stored: bool = False, collapsed: bool = False, detail: str = ""
) -> bytes:
    """Asked of the upstream, or, when `collapsed`, answered with what another request had asked.

    `status` is what the upstream answered, for where it is not the response's own, as after a validation; `detail` a
    short word of ours, a token.
    """
    value = b"gateway; fwd=" + why.encode("ascii")
    if status is not None:
        value += b"; fwd-status=%d" % status
    if stored:
        value += b"; stored"
    if collapsed:
        value += b"; collapsed"
    return value + (b"; detail=" + detail.encode("ascii") if detail else b"")


def appended(upstream: Sequence[bytes], own: bytes) -> bytes:
    """The field's value: the caches nearer the origin first (section 2).

    What is no structured list is left out, for with it nobody could read ours.
    """
    if not upstream:
        return own
    said = b", ".join(value for value in map(_stripped, upstream) if value)
    return said + b", " + own if len(said) <= LONGEST and _is_list(said) else own


def _stripped(value: bytes) -> bytes:
    return value.strip(b" \t")
