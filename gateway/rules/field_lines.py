"""Header fields as they are passed on: the pieces of their lines, in order and case as they came.

A kept field is four pieces of one list (name, colon, value, line end), so that a head of many fields becomes bytes
by one join.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Pieces = list[bytes]

COLON = b": "
END = b"\r\n"

#: For `names`.
LOWER = bytes(range(256)).lower()


def keep(pieces: Pieces, name: bytes, value: bytes) -> None:
    """Add a field. (The two hot loops do this without the call.)"""
    pieces += (name, COLON, value, END)


def pairs(pieces: Pieces) -> Iterator[tuple[bytes, bytes]]:
    """The fields again, as names and values."""
    return zip(pieces[0::4], pieces[2::4], strict=True)


def names(pieces: Pieces, table: bytes = LOWER) -> list[bytes]:
    """The fields' names in lower case, or as another table translates them; quicker so than one by one."""
    return b":".join(pieces[::4]).translate(table).split(b":") if pieces else []


def without(pieces: Pieces, names: frozenset[bytes]) -> Pieces:
    """The fields whose lower-case names are not among `names`."""
    return of(pair for pair in pairs(pieces) if pair[0].lower() not in names)


def of(fields: Iterable[tuple[bytes, bytes]]) -> Pieces:
    """The pieces of some fields."""
    pieces: Pieces = []
    for name, value in fields:
        pieces += (name, COLON, value, END)
    return pieces
