"""`breaker:` when an upstream counts as failing, and how it is tried again. The decisions are in rules."""

from __future__ import annotations

from typing import Annotated

from gateway.settings.types import Alternative, Duration, Section, Share, Whole
from gateway.settings.wanted import Wants


class Breaker(Section):
    """An upstream's circuit breaker. Failures are connect errors, resets, timeouts, cut bodies and `statuses`."""

    failures: Annotated[int, Whole(low=1, high=1_000_000)] = 5
    """So many failures in a row open it."""
    reset: Annotated[float, Duration(low=0.001, high=86_400)] = 30.0
    """How long it stays open before it lets a probe through."""
    successes: Annotated[int, Whole(low=1, high=1000)] = 3
    """So many probes, one at a time, must succeed to close it."""
    statuses: frozenset[Annotated[int, Whole(low=400, high=999)]] = frozenset()
    """Answers that count as failures. An app's own should rarely be named: who can provoke them could open it."""
    share: Annotated[float | None, Share(low=0.001, high=1, off=True)] = None
    """Also open when this share of the calls within `window` failed."""
    window: Annotated[float, Duration(low=1, high=3600)] = 30.0
    """The time over which `share` is taken."""
    min_calls: Annotated[int, Whole(low=1, high=1_000_000)] = 20
    """With fewer calls than this in the window, `share` decides nothing."""
    when: Wants = ()
    """Flags without which a request goes past it, open or not, and what becomes of it does not count."""


#: How `breaker:` is written: a mapping, or `false` for none.
WAYS = Alternative()
