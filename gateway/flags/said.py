"""What a flag has said to a request: the header line that tells the app of it, and how often it was said."""

from __future__ import annotations

import re

PREFIX = b"X-Feature-"
_no_token = re.compile(r"[^!#$%&'*+.^`|~0-9A-Za-z-]")
_not_sent = re.compile(rb"[^\x20-\x24\x26-\x7e]")


class Said:
    """One of the things that a flag can say. `line` is the whole header line, `count` how often it was said."""

    __slots__ = ("count", "line", "on", "value")

    def __init__(self, flag: str, value: str, *, on: bool) -> None:
        self.on = on
        self.value = value
        self.line = b"%b: %b\r\n" % (field_name(flag), _field_value(value))
        self.count = 0


def field_name(flag: str) -> bytes:
    """The field by which the app is told of a flag."""
    return PREFIX + _no_token.sub("-", flag).encode("ascii")


def _field_value(value: str) -> bytes:
    """Printable ASCII as it stands, and the rest percent-encoded: a variant may be called anything."""
    raw = value.encode("utf-8", "replace").strip(b" ")
    return _not_sent.sub(lambda found: b"%%%02X" % found[0][0], raw)
