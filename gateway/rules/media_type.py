"""Media types and ranges of them (RFC 9110, sections 8.3.1 and 12.5.1): which content a route takes.

A range is a type (`application/json`), all subtypes of one (`text/*`), all of one structured syntax
(`application/*+json`, RFC 6838, section 4.2.8), or everything (`*/*`). Parameters are no matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_TYPE = re.compile(rf"({_NAME})/({_NAME})".encode())
_RESTRICTED = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_RANGE = re.compile(rf"\*/\*|{_RESTRICTED}/(\*|(\*\+)?{_RESTRICTED})")

#: What content of no stated type is taken for (RFC 9110, section 8.3).
UNKNOWN = b"application/octet-stream"


def media_range(text: str) -> str:
    """A range in lower case. Raises ValueError."""
    if not _RANGE.fullmatch(text):
        raise ValueError("not a media type, as in application/json, text/*, application/*+json or */*")
    return text.lower()


def essence(values: list[bytes]) -> bytes | None:
    """The type, in lower case and without parameters, that these Content-Type values state; None when it is unclear.

    Several fields, or several types in one, are unclear: who reads on may take another of them than we do.
    """
    if not values:
        return UNKNOWN
    if len(values) > 1:
        return None
    stated = values[0].partition(b";")[0].strip(b" \t").lower()
    return stated if _TYPE.fullmatch(stated) else None


class MediaRanges:
    """A set of ranges."""

    __slots__ = ("_all", "_exact", "_syntaxes", "_types")

    def __init__(self, ranges: Iterable[str]) -> None:
        encoded = [one.encode("ascii") for one in ranges]
        self._all = b"*/*" in encoded
        self._types = frozenset(one[:-1] for one in encoded if one.endswith(b"/*"))
        split = (one.split(b"/*+") for one in encoded if b"/*+" in one)
        self._syntaxes = tuple((kind + b"/", b"+" + syntax) for kind, syntax in split)
        self._exact = frozenset(one for one in encoded if b"*" not in one)

    def has(self, essence: bytes) -> bool:
        """Whether a type, as `essence` gives it, is in one of them."""
        return (
            essence in self._exact
            or self._all
            or (bool(self._types) and essence[: essence.index(b"/") + 1] in self._types)
            or any(
                essence.startswith(kind) and essence.endswith(syntax) and len(essence) > len(kind) + len(syntax)
                for kind, syntax in self._syntaxes
            )
        )
