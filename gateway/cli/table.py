"""Tables for people: all of them look alike, and none is wider than the terminal."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

#: Characters of a line where no terminal says how wide it is.
_WIDTH = 200
_ANY_WIDTH = 10_000


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
    made = _Console(highlight=False)
    if not made.is_terminal:
        made.width = _WIDTH
    return made


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the program: rich would end it, with a code as for what has failed."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def rendered(page: Page) -> RenderableType:
    """A page for rich."""
    return Group(*(Text(plain(part)) if isinstance(part, str) else _rows(part) for part in page))


def _rows(grid: Grid) -> RenderableType:
    listed = [list(row) for row in grid.rows]
    return _Fitted(grid.columns, listed) if listed else Text(grid.empty)


class _Fitted:
    """A table that leaves out columns that tell nothing, where all of them would not fit the terminal."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._columns = columns
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = self._table(range(len(self._columns)))
        wanted = console.measure(whole, options=options.update(max_width=_ANY_WIDTH)).maximum
        if wanted <= options.max_width:
            yield whole
        else:
            yield self._table([place for place in range(len(self._columns)) if self._tells(place)])

    def _tells(self, place: int) -> bool:
        return place == 0 or any(row[place] not in ("", 0) for row in self._rows)

    def _table(self, places: Iterable[int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        listed = list(places)
        for place in listed:
            title = self._columns[place]
            if all(isinstance(row[place], int) for row in self._rows):
                table.add_column(title, justify="right", no_wrap=True)
            else:
                table.add_column(title, overflow="fold", min_width=len(title))
        for row in self._rows:
            # As Text, so that no name or key is taken for a style.
            table.add_row(*(Text(plain(row[place])) for place in listed))
        return table


def plain(cell: object) -> str:
    """A cell's text, with nothing in it that a terminal would obey: keys may come from anybody."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(cell))
