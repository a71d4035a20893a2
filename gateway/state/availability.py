"""Whether the shared state can be asked: a circuit breaker round it that no request ever tries for.

It is closed while `up`, and then each call that fails counts. When it has opened, all go on with what they have in
this process, and ask nobody; after its time a probe of the gateway's own finds out whether the state is there again.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from gateway.rules.breaker import CLOSED, FAILED, OK, OPEN, BreakerRule, Circuit, Permit

#: Is told of each change, a start without it among them: whether it is up, and why not.
Moved = Callable[[bool, str], None]


class Availability:
    """Down until `started`. It is a lane's `Reports`."""

    def __init__(self, failures: int, reset: float, moved: Moved, clock: Callable[[], float] = monotonic) -> None:
        """Opens after so many failures in a row, for `reset` seconds."""
        self.up = False
        #: Why it is down, or was last.
        self.why = ""
        self._circuit = Circuit(BreakerRule(failures=failures, reset=reset, successes=1), self._changed)
        self._moved = moved
        self._clock = clock
        self._told = True
        self._reset = reset
        self._again_at = 0.0

    def started(self, why: str) -> None:
        """The first try has ended; empty: well."""
        self.up = True
        if why:
            self.failed(self._circuit.rule.failures, why)

    def succeeded(self) -> None:
        """A call was answered."""
        if self.up and self._circuit.failures_in_a_row:
            now = self._clock()
            self._record(self._circuit.admit(now), ok=True, now=now)

    def failed(self, count: int, why: str) -> None:
        """So many calls were not."""
        now = self._clock()
        while self.up and count > 0:
            self.why = why
            self._record(self._circuit.admit(now), ok=False, now=now)
            count -= 1

    @property
    def wait(self) -> float:
        """Seconds until it may be probed."""
        return max(0.0, self._again_at - self._clock())

    def admit(self) -> Permit | None:
        """Ask to probe, when it is down; None before its time. Report the end with `probed`."""
        return None if self.up else self._circuit.admit(self._clock())

    def probed(self, permit: Permit, why: str) -> None:
        """How a probe went; empty: well, and it is up again."""
        now = self._clock()
        if why:
            self.why = why
        self._record(permit, ok=not why, now=now)

    def _record(self, permit: Permit | None, *, ok: bool, now: float) -> None:
        if permit is not None:
            self._circuit.record(permit, OK if ok else FAILED, now)

    def _changed(self, _old: int, new: int) -> None:
        self.up = new == CLOSED
        if new == OPEN:
            self._again_at = self._clock() + self._reset
        if self.up != self._told:
            self._told = self.up
            self._moved(self.up, self.why)
