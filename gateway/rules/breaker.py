"""The circuit breaker's decisions: a pure state machine, told the time (monotonic seconds) by its caller.

                 `failures` in a row, or the failure share
        CLOSED ---------------------------------------------> OPEN
           ^                                                  |  ^
           | `successes` probes in a row     `reset` is over, |  | one failure
           |                                 a request comes  v  |
           +--------------------------------------------- HALF_OPEN

Every admitted request holds a permit and reports on it: `answered` when the final response's head has come and
counts as fine, and `record`, exactly once, when the exchange is over or its failure is certain.

A permit belongs to a generation, and a generation begins when the breaker opens. What comes late, from before the
last opening, is ignored: it neither prolongs the open time nor closes anything.

Half-open, probes go through one at a time. A probe gives its place to the next one when it is answered, so a
ten-minute stream does not hold it; when its client leaves; or, so that nothing can stick, after `probe_timeout`.
Losing the place by the clock does not take away its say: where every honest answer takes longer than that, the
answers still close the breaker.

Once answered, a probe's permit is an ordinary one of its generation, and its end counts where the generation is
by then: a cut body is a failure like any other while closed, reopens the breaker while it is still half-open,
and means nothing any more once it has opened again.

By hand it can be held open, until it is closed by hand: no time passes then that would let a probe through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import ceil, inf
from typing import Final

from gateway.rules.failure_window import FailureWindow

CLOSED: Final = 0
HALF_OPEN: Final = 1
OPEN: Final = 2


class Outcome(Enum):
    """How an exchange ended, as far as the upstream's health goes; NEITHER when that cannot be told."""

    OK = "ok"
    FAILED = "failed"
    NEITHER = "neither"


# For the hot path: a module's global is found faster than an enum's member.
OK: Final = Outcome.OK
FAILED: Final = Outcome.FAILED
NEITHER: Final = Outcome.NEITHER

#: The generation of a permit that has reported; no permit given out has it.
_SPENT = -1
#: A fifth of 35 calls is 7 failures, whatever floating point makes of it; and 30 s from now is 30 s.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When a breaker opens and how it closes again. Times in seconds; raises ValueError where that makes no sense."""

    #: So many failures in a row open it.
    failures: int = 5
    #: It stays open so long.
    reset: float = 30.0
    #: So many probes in a row must succeed to close it.
    successes: int = 3
    #: This share of failures (0 to 1) among at least `min_calls` calls within `window` opens it too; None: never.
    share: float | None = None
    window: float = 30.0
    min_calls: int = 20
    #: A probe that has not been answered by then no longer holds up the next one.
    probe_timeout: float = 60.0

    def __post_init__(self) -> None:
        if min(self.failures, self.successes, self.min_calls) < 1:
            raise ValueError("failures, successes and min_calls must be at least 1")
        if min(self.reset, self.window, self.probe_timeout) <= 0:
            raise ValueError("reset, window and probe_timeout must be more than 0")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError("share must be more than 0 and at most 1")


class Probe:
    """The permit of a request that tries whether the upstream is well again."""

    __slots__ = ("answered", "generation")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.answered = False


#: What `admit` gives: the generation's number while closed, a probe while half-open. None is the refusal.
Permit = int | Probe


class Circuit:
    """One upstream's breaker. Not for several threads, but `state` and `retry_after` only read."""

    __slots__ = (
        "_generation",
        "_in_a_row",
        "_moved",
        "_opened_at",
        "_probe",
        "_probe_until",
        "_state",
        "_successes",
        "_window",
        "rule",
    )

    def __init__(self, rule: BreakerRule, moved: Callable[[int, int], None] | None = None) -> None:
        """`moved(old, new)` is called after each change of state, when the circuit is whole again."""
        self.rule = rule
        self._moved = moved
        self._generation = 0
        self._state: int = CLOSED
        self._opened_at = 0.0
        self._in_a_row = 0
        self._successes = 0
        self._probe: Probe | None = None
        self._probe_until = 0.0
        self._window = None if rule.share is None else FailureWindow(rule.window)

    @property
    def held(self) -> bool:
        """Whether it was opened by hand, and stays so until it is closed by hand."""
        return self._opened_at == inf and self._state == OPEN

    @property
    def failures_in_a_row(self) -> int:
        """Failures since the last success, while closed."""
        return self._in_a_row

    @property
    def probes_succeeded(self) -> int:
        """Probes that have succeeded since it is half-open."""
        return self._successes

    def state(self, now: float) -> int:
        """CLOSED, HALF_OPEN or OPEN; OPEN means that nothing is let through at `now`.

        When `reset` is over this reads HALF_OPEN; the change itself comes with the next request.
        """
        if self._state == OPEN and now >= self._opened_at + self.rule.reset:
            return HALF_OPEN
        return self._state

    def retry_after(self, now: float) -> int:
        """Whole seconds until it will try the upstream again, at least 1; 1 while it probes.

        While it is held open nobody knows; `reset` is what it says then.
        """
        if self._state != OPEN:
            return 1
        if self.held:
            return max(1, ceil(self.rule.reset - _TOLERANCE))
        return max(1, ceil(self._opened_at + self.rule.reset - now - _TOLERANCE))

    def admit(self, now: float) -> Permit | None:
        """Ask to send a request: a permit, or None, the refusal."""
        if self._state == CLOSED:
            return self._generation
        return self._admit_probe(now)

    def answered(self, permit: Permit, now: float) -> None:
        """Report that the final response's head came and counts as fine. A probe has succeeded with that."""
        if isinstance(permit, int) or permit.generation != self._generation or permit.answered:
            return
        permit.answered = True
        if self._probe is permit:
            self._probe = None
        if self._state == HALF_OPEN:
            self._successes += 1
            if self._successes >= self.rule.successes:
                self._enter(CLOSED, now)

    def record(self, permit: Permit, outcome: Outcome, now: float) -> None:
        """Report the exchange's end, exactly once a permit; a failure as soon as it is certain."""
        if permit == self._generation:
            self._count(outcome, now)
        elif not isinstance(permit, int):
            self._record_probe(permit, outcome, now)

    def force_open(self) -> None:
        """Open it by hand, and hold it open until it is closed by hand."""
        self._enter(OPEN, inf)

    def close(self, now: float) -> None:
        """Close it by hand, with nothing counted; what is still under way counts no more."""
        self._generation += 1
        self._enter(CLOSED, now)

    def reconfigure(self, rule: BreakerRule) -> None:
        """Go on under another rule. State, counts and the moment of opening stay; another window starts empty."""
        if rule.share is None:
            self._window = None
        elif self._window is None or rule.window != self.rule.window:
            self._window = FailureWindow(rule.window)
        self.rule = rule

    def _admit_probe(self, now: float) -> Probe | None:
        if self._state == OPEN:
            if now < self._opened_at + self.rule.reset:
                return None
            self._enter(HALF_OPEN, now)
        elif self._probe is not None and now < self._probe_until:
            return None
        self._probe = Probe(self._generation)
        self._probe_until = now + self.rule.probe_timeout
        return self._probe

    def _record_probe(self, probe: Probe, outcome: Outcome, now: float) -> None:
        if probe.generation != self._generation:
            return
        if self._state == CLOSED:
            self._count(outcome, now)
        elif outcome is FAILED:
            self._enter(OPEN, now)
        elif outcome is OK:
            self.answered(probe, now)
        elif self._probe is probe:
            self._probe = None
        probe.generation = _SPENT

    def _count(self, outcome: Outcome, now: float) -> None:
        """Count an ordinary exchange of this generation, while closed."""
        if outcome is OK:
            self._in_a_row = 0
            if self._window is None:
                return
        elif outcome is NEITHER:
            return
        else:
            self._in_a_row += 1
            if self._in_a_row >= self.rule.failures:
                self._enter(OPEN, now)
                return
        window = self._window
        if window is not None:
            window.add(outcome is FAILED, now)
            share = self.rule.share or 1.0
            if window.calls >= self.rule.min_calls and window.failures >= share * window.calls - _TOLERANCE:
                self._enter(OPEN, now)

    def _enter(self, state: int, now: float) -> None:
        old, self._state = self._state, state
        if state == OPEN:
            self._generation += 1
            self._opened_at = now
        self._probe = None
        self._in_a_row = self._successes = 0
        if self._window is not None:
            self._window.clear()
        if old != state and self._moved is not None:
            self._moved(old, state)
