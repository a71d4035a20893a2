"""An in-flight limit that finds itself: the latency of a short window against the upstream's own.

The gradient is `baseline x (1 + tolerance) / latency`, at most 1 and at least 1/2. Each window the limit moves a part
of the way to `limit x gradient + sqrt(limit)`: the root is the queue that is allowed to stand, and what makes the
limit grow while latency holds. It grows only when it is used, that is when about as many were in flight as it allows.

The baseline is the latency that the upstream has when the limit is not what it suffers from: a mean over a long time,
raised only by windows in which at most half of the limit was in use. (Where every window counts, a limit that is
always in use takes the latency that it causes itself for normal, and drifts up to the ceiling.) An upstream that has
become slower for good is pushed to the floor, and learned anew there: the limit stays at the floor until the baseline
has caught up, ten times faster than usual.

A window in which more than a hundredth of the answers were drops (timeouts, refusals) shrinks the limit by their
share, at least a tenth and at most half, whatever the latency.

After Netflix's concurrency-limits (Gradient2Limit) and Envoy's adaptive concurrency filter. Times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import sqrt
from typing import Final

#: The part of the way to its target that the limit goes in one window.
_STEP = 0.2
#: Fewer answers than this say nothing of latency.
_FEWEST = 10
#: The share of drops that is noise.
_NOISE = 0.01
#: In use: so much of the limit in flight.
_USED, _UNUSED = 0.8, 0.5
#: At the floor the baseline moves so much faster, and has caught up when it is so near.
_HASTE, _NEAR = 10, 0.9


class Outcome(Enum):
    """What an exchange's end says of the upstream's load."""

    SERVED = "served"
    DROPPED = "dropped"
    #: Nothing: it was refused before it came to the upstream, its client left, it was a tunnel.
    NOTHING = "nothing"


SERVED: Final = Outcome.SERVED
DROPPED: Final = Outcome.DROPPED
NOTHING: Final = Outcome.NOTHING

_REFUSALS = frozenset({429, 503, 504})
_TIMEOUTS = frozenset({"connect-timeout", "headers-timeout", "idle-timeout", "total-timeout"})


def judge(status: int, error: str) -> Outcome:
    """What an exchange that ended with this status and error (its slug, or empty) says."""
    if error:
        return DROPPED if error in _TIMEOUTS else NOTHING
    if status in _REFUSALS:
        return DROPPED
    return SERVED if 200 <= status < 600 else NOTHING


@dataclass(frozen=True, slots=True)
class AdaptiveRule:
    """Where an adaptive limit begins and ends. Raises ValueError where that makes no sense."""

    #: It starts here and never falls below.
    floor: int = 20
    ceiling: int = 1000
    #: How much slower than the baseline the upstream may be before the limit shrinks; 0.5 is half as slow again.
    tolerance: float = 0.5
    #: The short window.
    window: float = 0.25
    #: The time over which the baseline is taken.
    baseline: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.floor <= self.ceiling:
            raise ValueError("floor must be at least 1 and at most ceiling")
        if self.tolerance < 0 or not 0 < self.window <= self.baseline:
            raise ValueError("tolerance must be at least 0, window more than 0 and at most baseline")


class AdaptiveLimit:
    """One limit, told of every exchange's end."""

    __slots__ = ("_baseline", "_began", "_drops", "_exact", "_learning", "_most", "_served", "_sum", "limit", "rule")

    def __init__(self, rule: AdaptiveRule) -> None:
        self.rule = rule
        #: The limit as it stands.
        self.limit = rule.floor
        self._exact = float(rule.floor)
        self._baseline = 0.0
        self._learning = False
        # This window: when it began, how many were served, in what time together, how many not, most in flight.
        self._began = self._sum = 0.0
        self._served = self._drops = self._most = 0

    @property
    def baseline(self) -> float:
        """The latency that counts as the upstream's own; 0 while unknown."""
        return self._baseline

    def ended(self, outcome: Outcome, seconds: float, in_flight: int, now: float) -> int:
        """Take note that an exchange has ended after `seconds`, one of `in_flight`; the limit from here on."""
        if outcome is NOTHING:
            return self.limit
        if not self._served + self._drops:
            self._began = now
        self._most = max(self._most, in_flight)
        if outcome is SERVED:
            self._served += 1
            self._sum += seconds
        else:
            self._drops += 1
        elapsed = now - self._began
        if elapsed >= self.rule.window and (self._drops or self._served >= _FEWEST):
            self._move(elapsed)
            self._clear()
        return self.limit

    def reconfigure(self, rule: AdaptiveRule) -> int:
        """Go on under another rule, from where it stands as far as the new bounds allow; the limit."""
        self.rule = rule
        self._set(self._exact)
        return self.limit

    def _clear(self) -> None:
        self._began = self._sum = 0.0
        self._served = self._drops = self._most = 0

    def _move(self, elapsed: float) -> None:
        """Draw the conclusions of a window."""
        share = self._drops / (self._drops + self._served)
        if share > _NOISE:
            self._set(self._exact * (1 - min(0.5, max(0.1, share))))
            return
        latency = self._sum / self._served
        used = self._most / self.limit
        self._learn(latency, elapsed, used)
        if self._learning:
            return
        gradient = 1.0
        if latency > 0:
            gradient = max(0.5, min(1.0, self._baseline * (1 + self.rule.tolerance) / latency))
        target = self._exact * gradient + sqrt(self._exact)
        if used >= _USED or (target < self._exact and used > _UNUSED):
            self._set(self._exact + (target - self._exact) * _STEP)
            self._learning = target < self._exact == self.rule.floor

    def _learn(self, latency: float, elapsed: float, used: float) -> None:
        """Let the baseline follow: down always, up only where the limit is not what made the upstream slow."""
        if self._baseline == 0:
            self._baseline = latency
        elif self._learning or latency < self._baseline or used <= _UNUSED:
            weight = elapsed / self.rule.baseline * (_HASTE if self._learning else 1)
            self._baseline += (latency - self._baseline) * min(1.0, weight)
        if self._baseline >= latency * _NEAR:
            self._learning = False

    def _set(self, limit: float) -> None:
        self._exact = max(float(self.rule.floor), min(float(self.rule.ceiling), limit))
        self.limit = int(self._exact)
