"""Numbers for people."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil


def seconds(value: float) -> str:
    """A time that need not be exact: whole seconds, or minutes and more."""
    left = ceil(value)
    for unit, each in (("d", 86400), ("h", 3600), ("m", 60)):
        if left >= 2 * each:
            return f"{left // each}{unit}"
    return f"{left}s"


def short(value: float | None) -> str:
    """How long something took, to about three digits; nothing for None."""
    if value is None:
        return ""
    if value < 1e-3:
        return f"{1e6 * value:.1f}us"
    if value < 1:
        return f"{1e3 * value:.1f}ms"
    return f"{value:.2f}s" if value < 100 else seconds(value)


def share(value: float | None) -> str:
    """A share as percents; nothing for None."""
    return "" if value is None else f"{100 * value:.1f}%"


def size(value: int) -> str:
    """A number of bytes."""
    for unit, each in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= each:
            return f"{value / each:.1f} {unit}"
    return f"{value} B"


def moment(when: float | None) -> str:
    """A time of day, in UTC; nothing for None."""
    if when is None:
        return ""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
