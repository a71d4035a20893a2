"""The least level of the operational log: what the config says, and over it what somebody has set by hand.

By hand it holds for a time, or until the process ends, or until the config says another level than before: that is
the later word. A reload that changes other things changes nothing here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class LogLevel:
    """Levels are words. It is asked on any thread; a time that is over is noticed by whoever asks next."""

    __slots__ = ("_by_hand", "_clock", "_configured", "_until")

    def __init__(self, configured: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._configured = configured
        self._by_hand: str | None = None
        self._until: float | None = None
        self._clock = clock

    @property
    def configured(self) -> str:
        """What the config says."""
        return self._configured

    @property
    def in_force(self) -> str:
        """What holds now."""
        by_hand, until = self._by_hand, self._until
        if by_hand is None:
            return self._configured
        if until is None or self._clock() < until:
            return by_hand
        self.release()
        return self._configured

    @property
    def by_hand(self) -> bool:
        """Whether somebody has set it."""
        _ = self.in_force  # a time that is over ends it
        return self._by_hand is not None

    @property
    def left(self) -> float | None:
        """Seconds for which what was set by hand still holds; None for no end, or nothing set."""
        until = self._until
        return None if not self.by_hand or until is None else max(0.0, until - self._clock())

    def writes(self, level: str) -> bool:
        """Whether an event of this level is written."""
        return LEVELS[level] >= LEVELS[self.in_force]

    def configure(self, level: str) -> None:
        """Take what a config says."""
        if level != self._configured:
            self.release()
        self._configured = level

    def hold(self, level: str, seconds: float | None) -> None:
        """Set it by hand, for so many seconds; None for no end."""
        self._until = None if seconds is None else self._clock() + seconds
        self._by_hand = level

    def release(self) -> None:
        """Have the config's level hold again."""
        self._by_hand = self._until = None
