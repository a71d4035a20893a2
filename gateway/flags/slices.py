"""Long computations a few milliseconds at a time, so that requests are served meanwhile."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TypeVar

from gateway.rules.flags.compiling import Steps

#: Seconds for which the event loop is held at once, and one step more.
SLICE = 0.004

_T = TypeVar("_T")


async def in_slices(steps: Steps[_T]) -> _T:
    """What all steps together come to."""
    until = monotonic() + SLICE
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: _T = end.value
            return value
        if monotonic() > until:
            await asyncio.sleep(0)
            until = monotonic() + SLICE
