"""A bar, or a line, for what takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gateway.cli.figures import seconds


def show_progress(title: str, standings: Iterable[Mapping[str, Any]]) -> None:
    """Show each standing (`total`, `done`, `failed`, `estimate`) until there is none any more.

    A bar on standard error, where that is a terminal; else nothing.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, left="")
        for standing in standings:
            bar.update(
                task,
                total=standing["total"],
                completed=standing["done"] + standing["failed"],
                left=_left(standing),
            )


@contextmanager
def show_waiting() -> Iterator[Callable[[str], None]]:
    """What shows the text that it is called with, until another one; on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield status.update


def _left(standing: Mapping[str, Any]) -> str:
    failed = f"{standing['failed']} failed" if standing["failed"] else ""
    estimate = "" if standing["estimate"] is None else f"{seconds(standing['estimate'])} left"
    return ", ".join(text for text in (failed, estimate) if text)
