"""Versions and which comes before which (Semantic Versioning 2.0.0, sections 2, 9 to 11)."""

from __future__ import annotations

import re

_NUMBER = r"(0|[1-9][0-9]{0,17})"
_written = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*+))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*+)?"
).fullmatch

#: Characters of a version that is looked at.
LONGEST = 256

#: Compares as the versions do: numbers, whether it is a release, and the identifiers of what comes before one.
Version = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def parse(text: str) -> Version | None:
    """A version as what compares like it; None for what is none, such as one with a leading `v`.

    Build metadata counts for nothing (section 10).
    """
    found = _written(text) if len(text) <= LONGEST else None
    if found is None:
        return None
    major, minor, patch, before = found.groups()
    if before is None:
        return int(major), int(minor), int(patch), True, ()
    identifiers = before.split(".")
    if any(one.isdigit() and len(one) > 1 and one[0] == "0" for one in identifiers):
        return None
    return int(major), int(minor), int(patch), False, tuple(map(_identifier, identifiers))


def _identifier(text: str) -> tuple[bool, int, str]:
    """Numbers come before words, and among themselves as numbers do (section 11.4)."""
    return (False, int(text), "") if text.isdigit() else (True, 0, text)
