"""Last changes of flags, as several know them: of two, the later counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from gateway.flags.ports import MOST_FLAGS, Change

Live = Mapping[str, Change]

#: Nothing was ever changed.
NOTHING: Live = MappingProxyType({})


def merged(mine: Live, theirs: Iterable[Change]) -> Live:
    """What both know; `mine` itself where that is all. Flags whose live value is gone make room for others."""
    later = {one.flag: one for one in theirs if one.flag not in mine or mine[one.flag].when < one.when}
    if not later:
        return mine
    both = {**mine, **later}
    if len(both) > MOST_FLAGS:
        both = {name: one for name, one in both.items() if one.value is not None or name in later}
    return MappingProxyType(both)


def missing(mine: Live, theirs: Live) -> list[Change]:
    """What they lack of mine. That a flag has no live value need not be said to who knows none."""
    return [
        one
        for name, one in mine.items()
        if (known := theirs.get(name)) is None or known.when < one.when
        if known is not None or one.value is not None
    ]


def later(now: float, before: Change | None) -> float:
    """When a change is made: now, in whole milliseconds, and after the one before it whatever a clock says."""
    milliseconds = int(now * 1000)
    return (milliseconds if before is None else max(milliseconds, round(before.when * 1000) + 1)) / 1000


def nobody() -> None:
    """Nobody listens yet."""


#: What a store calls when it has learned something.
Learned = Callable[[], None]
