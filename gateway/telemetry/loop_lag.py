"""How late the event loop comes to a timer: the time that every exchange loses to whatever holds the loop up.

A histogram, not a gauge: a gauge read every 15 s sees one lag in 150 and misses the stall that users noticed.
"""

from __future__ import annotations

import asyncio
import time

from gateway.telemetry.health import State
from gateway.telemetry.histogram import Histogram

#: Seconds between looks: any stall longer than this is seen, at ten wake-ups a second.
INTERVAL = 0.1
#: A lag, in seconds, that clients notice.
NOTICEABLE = 0.25
#: Seconds for which such a lag is told by `/health`, at least; at most twice that.
MEMORY = 15.0


class LoopLag:
    """Measures while it runs. Timers count whole milliseconds in uvloop, so a lag below one is noise."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._timer: asyncio.TimerHandle | None = None
        self._worst = 0.0
        self._worst_before = 0.0
        self._forget_at = 0.0

    def start(self) -> None:
        """Begin to measure the running event loop."""
        self._forget_at = time.monotonic() + MEMORY
        self._arm(asyncio.get_running_loop())

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def health(self) -> tuple[State, str]:
        """Degraded when the loop was held up noticeably a short while ago."""
        worst = max(self._worst, self._worst_before)
        if worst < NOTICEABLE:
            return "healthy", ""
        return "degraded", f"the event loop was late by {worst:.2f} s"

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(INTERVAL, self._look, loop, time.monotonic() + INTERVAL)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = time.monotonic()
        lag = max(0.0, now - due)
        self._histogram.observe(lag)
        if now >= self._forget_at:
            self._worst_before, self._worst, self._forget_at = self._worst, 0.0, now + MEMORY
        self._worst = max(self._worst, lag)
        self._arm(loop)
