"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Characters of a line where no terminal says how wide it is.
_WIDTH = 200


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns; without any, `empty`. Numbers stand to the right."""
    listed = [list(row) for row in rows]
    if not listed:
        print(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, column in enumerate(columns):
        numeric = all(isinstance(row[number], int) for row in listed)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        # As Text, so that no name or key is taken for a style.
        table.add_row(*(Text(plain(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)


def plain(cell: object) -> str:
    """A cell's text, with nothing in it that a terminal would obey: keys may come from anybody."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(cell))


def seconds(value: float) -> str:
    """A time for people: whole seconds, or minutes and more."""
    left = ceil(value)
    for unit, each in (("d", 86400), ("h", 3600), ("m", 60)):
        if left >= 2 * each:
            return f"{left // each}{unit}"
    return f"{left}s"
