"""Tables for people: all of them look alike, and none is wider than the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

#: Characters of a line where no terminal says how wide it is.
_WIDTH = 200


class Grid(NamedTuple):
    """Rows under their columns; without any, the line `empty`."""

    columns: Sequence[str]
    rows: Iterable[Sequence[object]]
    empty: str


#: What is shown at once: lines, and tables.
Page = Sequence[str | Grid]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns; without any, `empty`. Numbers stand to the right."""
    print_page([Grid(columns, rows, empty)])


def print_page(page: Page) -> None:
    """Print lines and tables, one under the other."""
    console().print(rendered(page))


def console() -> Console:
    """What prints to standard output."""
    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = _WIDTH
    return made


def rendered(page: Page) -> RenderableType:
    """A page for rich."""
    return Group(*(Text(plain(part)) if isinstance(part, str) else _table(part) for part in page))


def _table(grid: Grid) -> RenderableType:
    listed = [list(row) for row in grid.rows]
    if not listed:
        return Text(grid.empty)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, column in enumerate(grid.columns):
        numeric = all(isinstance(row[number], int) for row in listed)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        # As Text, so that no name or key is taken for a style.
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table


def plain(cell: object) -> str:
    """A cell's text, with nothing in it that a terminal would obey: keys may come from anybody."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(cell))
