"""What is remembered of keys that had to leave a full table: a sketch of fixed size that never says too little.

Each key has one cell in each of four rows, chosen by its hash, and raises those that hold less than its value; its
value is then at most the smallest of its cells. So no key gets away with less than it had, and one that was never
here is taken for another only where all its four cells are used: of 10,000 keys evicted it is one in 200 that is.
(A count-min sketch with max in the place of sum: Cormode and Muthukrishnan, 2005.)
"""

from __future__ import annotations

from array import array

_ROWS = 4
_BITS = 15
_CELLS = 1 << _BITS
_MASK = _CELLS - 1

#: Bytes that a sketch takes once something has been noted in it.
SIZE = _ROWS * _CELLS * 8


class Evicted:
    """The largest value noted of each key, or more. Values are 0 to 2^63 - 1.

    `hashed` is 64 bits of a keyed hash, so that nobody can choose whose cells to share.
    """

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[array[int]] | None = None

    def note(self, hashed: int, value: int) -> None:
        """Remember that a key had this value."""
        rows = self._rows
        if rows is None:
            rows = self._rows = [array("q", bytes(_CELLS * 8)) for _ in range(_ROWS)]
        for row in rows:
            cell = hashed & _MASK
            if row[cell] < value:  # noqa: PLR1730 - writes only where it must
                row[cell] = value
            hashed >>= _BITS

    def value(self, hashed: int) -> int:
        """The largest value noted of a key, or more; 0 when nothing was."""
        rows = self._rows
        if rows is None:
            return 0
        least = rows[0][hashed & _MASK]
        for row in rows[1:]:
            hashed >>= _BITS
            least = min(least, row[hashed & _MASK])
        return least

    def clear(self) -> None:
        """Forget all."""
        self._rows = None
