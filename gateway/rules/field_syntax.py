"""How a header field is written: its name and its value (RFC 9110, sections 5.1 and 5.5)."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

#: Bytes of a value; a content security policy may well need a few thousand.
LONGEST = 8192


def name(text: str) -> str:
    """A field's name. Raises ValueError."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("not the name of a header field")
    return str(text)


def value(text: str) -> bytes:
    """A field's value as bytes, without the space round it, which is no part of it.

    Raises ValueError; its text does not repeat the value, which may be a secret.
    """
    try:
        encoded = text.strip(" \t").encode()
    except UnicodeEncodeError:
        raise ValueError("not text that can be sent") from None
    if not _VALUE.fullmatch(encoded):
        raise ValueError("a field's value is one line without control characters")
    if len(encoded) > LONGEST:
        raise ValueError(f"a field's value has at most {LONGEST} bytes")
    return encoded
