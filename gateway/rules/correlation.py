"""The correlation id: a well-formed one from the caller is kept, anything else is replaced by one of our own."""

from __future__ import annotations

import re

_WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch


def well_formed(value: bytes) -> bool:
    """Whether `value` may be kept: 1 to 128 of `A-Z a-z 0-9 . _ -`, so that it is safe in a log line and a header."""
    return _WELL_FORMED(value) is not None


def new_id(random16: bytes) -> str:
    """A new id from 16 random bytes: 32 lower-case hexadecimal digits."""
    return random16.hex()


def choose(values: list[bytes], random16: bytes) -> str:
    """The id for a request that came with these field values.

    Several values make it anew, even equal ones: nobody could say which of them the other parts of the system
    have logged.
    """
    if len(values) == 1 and _WELL_FORMED(values[0]):
        return values[0].decode("ascii")
    return random16.hex()
