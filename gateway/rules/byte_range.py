"""One byte range of a stored whole: Range, Content-Range, 206 and 416 (RFC 9110, sections 14 and 15.3.7)."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import NamedTuple

from gateway.rules import field_lines
from gateway.rules.field_lines import Pieces

# A digit more than any length has; longer numbers count as this one, for Python takes long to read very long ones.
_BEYOND = 10**18
_DIGITS = 18
#: A single range has at most two numbers; a longer field is no such thing, or somebody's joke.
_LONGEST = 256

# Range units are case-insensitive, and lists may have empty members (sections 14.1 and 5.6.1).
_one = re.compile(rb"bytes=[ \t,]*+(?:([0-9]++)-([0-9]*+)|-([0-9]++))[ \t,]*+", re.IGNORECASE).fullmatch

# What a part has of its own, and digests of the whole's content. The rest is as with the whole (section 15.3.7).
_OWN = frozenset({b"content-length", b"content-range", b"content-md5", b"content-digest", b"transfer-encoding"})
# What describes the whole, and a client that sent If-Range has already, except what section 15.3.7 demands.
_KNOWN = _OWN | {b"content-encoding", b"content-language", b"content-type", b"last-modified"}


class Part(NamedTuple):
    """The first byte's position and the last one's, which is in it."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """In bytes."""
        return self.last - self.first + 1


class Other(enum.Enum):
    """What is not one part."""

    #: The whole: Range is absent, invalid, of another unit, or asks for several ranges.
    WHOLE = enum.auto()
    #: 416: nothing of it exists.
    UNSATISFIABLE = enum.auto()


def read(values: Sequence[bytes], length: int) -> Part | Other:
    """What Range fields ask of a whole of `length` bytes.

    Several ranges are answered by the whole, as section 14.2 allows: a client has to expect that of anyone, one that
    wants to read on asks for one, and many small or overlapping ones are a known way to exhaust a server (17.15).
    """
    if len(values) != 1 or len(values[0]) > _LONGEST:
        return Other.WHOLE
    asked = _one(values[0].strip(b" \t"))
    if asked is None:
        return Other.WHOLE
    begin, end, suffix = asked.groups()
    if suffix is not None:
        count = min(_number(suffix), length)
        if count:
            return Part(length - count, length - 1)
        # The last bytes of nothing are all of it, which no Content-Range could say.
        return Other.WHOLE if _number(suffix) else Other.UNSATISFIABLE
    first = _number(begin)
    last = _number(end) if end else _BEYOND
    if last < first:
        return Other.WHOLE  # invalid (section 14.1.1), which is to be ignored
    return Part(first, min(last, length - 1)) if first < length else Other.UNSATISFIABLE


def partial(stored: Pieces, part: Part, length: int, *, if_range: bool = False) -> Pieces:
    """The fields of a 206 from those of the stored 200, whose content has `length` bytes.

    With `if_range` the client has the representation's other fields, and should not get them again.
    """
    fields = field_lines.without(stored, _KNOWN if if_range else _OWN)
    field_lines.keep(fields, b"Content-Range", b"bytes %d-%d/%d" % (part.first, part.last, length))
    field_lines.keep(fields, b"Content-Length", b"%d" % part.length)
    return fields


def unsatisfiable(length: int) -> bytes:
    """The value of a 416's Content-Range (section 14.4)."""
    return b"bytes */%d" % length


def _number(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _DIGITS else _BEYOND
