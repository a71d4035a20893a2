"""What is shown again and again, in place where the terminal can do that."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rich.live import Live

from gateway.cli.table import Page, console, rendered


def watch(look: Callable[[], Page], every: float) -> None:
    """Show what `look` gives, every so many seconds, until Ctrl-C.

    A terminal that cannot move its cursor, a file or a pipe gets one page under the other, each with an empty line
    behind it.
    """
    out = console()
    try:
        if out.is_terminal and not out.is_dumb_terminal:
            with Live(rendered(look()), console=out, screen=True, auto_refresh=False) as live:
                while True:
                    live.refresh()
                    time.sleep(every)
                    live.update(rendered(look()))
        while True:
            out.print(rendered([*look(), ""]))
            sys.stdout.flush()
            time.sleep(every)
    except KeyboardInterrupt:
        return
