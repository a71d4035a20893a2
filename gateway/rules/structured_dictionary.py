"""A dictionary of structured fields, read strictly: a mistake undoes all of it (RFC 8941, section 4.2.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: An Integer, a Decimal, a Boolean, a String or a Token (as its bytes), or None for what nobody here asks for: an
#: inner list or a byte sequence.
Value = int | float | bool | bytes | None

_INTEGER = rb"-?[0-9]{1,15}+(?![0-9.])"
_DECIMAL = rb"-?[0-9]{1,12}\.[0-9]{1,3}+(?![0-9.])"
_STRING = rb'"(?:[ !#-\[\]-~]|\\["\\])*+"'
_TOKEN = rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+"
_BYTES = rb":[A-Za-z0-9+/=]*+:"
_BARE = b"(?:" + b"|".join((_INTEGER, _DECIMAL, _STRING, _TOKEN, _BYTES, rb"\?[01]")) + b")"
_KEY = rb"[a-z*][a-z0-9_.*-]*+"
_PARAMETERS = rb"(?:; *+" + _KEY + b"(?:=" + _BARE + b")?+)*+"
_ITEM = _BARE + _PARAMETERS
_INNER = rb"\( *+(?:" + _ITEM + rb"(?: ++|(?=\))))*+\)"
_MEMBER = re.compile(b"(" + _KEY + b")(=(?:(" + _BARE + b")|" + _INNER + b"))?+" + _PARAMETERS)
_SEPARATOR = re.compile(rb"[ \t]*+,[ \t]*+")
_ESCAPED = re.compile(rb"\\(.)")


def parse(lines: Sequence[bytes]) -> dict[bytes, Value] | None:
    """The members of a field's lines by name, the last of a name counting; None when it is not well-formed."""
    text = b", ".join(lines).strip(b" ")
    members: dict[bytes, Value] = {}
    at = 0
    while at < len(text):
        member = _MEMBER.match(text, at)
        if member is None:
            return None
        members[member[1]] = True if member[2] is None else _value(member[3])
        at = member.end()
        if at == len(text):
            return members
        separator = _SEPARATOR.match(text, at)
        if separator is None or separator.end() == len(text):
            return None
        at = separator.end()
    return members


def _value(bare: bytes | None) -> Value:
    if bare is None or bare[:1] == b":":
        return None
    if bare[:1] == b"?":
        return bare == b"?1"
    if bare[:1] == b'"':
        return _ESCAPED.sub(rb"\1", bare[1:-1])
    if bare[:1] in b"-0123456789":
        return float(bare) if b"." in bare else int(bare)
    return bare
