"""An upstream's circuit breaker: admission and counting by rules/breaker.py, states and listeners by pybreaker.

This is the only file that knows pybreaker. What of it is kept: its states, by their names, and its listeners,
which are told of each change once. What is not, and why: `call()` does not see a coroutine's failure, half-open
lets every waiting call through, a late failure prolongs the open time and a late success closes a breaker that
has opened again, an excluded exception (a client's leaving) counts as success, its clock is the wall clock, and
it knows failures in a row only. So nothing on a request's way calls it: `Breaker` inherits `admit`, `answered` and
`record` from the rule, and only a change of state touches the pybreaker object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pybreaker

from gateway.rules.breaker import HALF_OPEN, OPEN, BreakerRule, Circuit


class VisibleCircuit(pybreaker.CircuitBreaker):
    """What is to be seen of a breaker through pybreaker's own interface: name, state, counters, listeners.

    It follows the rule and decides nothing, so its ways to call through are closed.
    """

    def __init__(self, name: str, circuit: Circuit) -> None:
        rule = circuit.rule
        super().__init__(rule.failures, rule.reset, rule.successes, name=name)
        self._circuit = circuit

    @property
    def fail_counter(self) -> int:
        """Failures in a row, while closed."""
        return self._circuit.failures_in_a_row

    @property
    def success_counter(self) -> int:
        """Probes in a row that succeeded, while half-open."""
        return self._circuit.probes_succeeded

    def call(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: a call through pybreaker would be admitted and counted by nobody. Raises TypeError."""
        raise TypeError("ask Breaker.admit; this object only shows the state")

    call_async = call

    def follow(self, state: int) -> None:
        """Take the state that the rule has come to; listeners are told."""
        if state == OPEN:
            self.open()
        elif state == HALF_OPEN:
            self.half_open()
        else:
            self.close()

    def configure(self, rule: BreakerRule) -> None:
        """Show another rule's numbers."""
        self.fail_max = rule.failures
        self.reset_timeout = rule.reset
        self.success_threshold = rule.successes


class _Announce(pybreaker.CircuitBreakerListener):
    """Passes pybreaker's state changes on as three names."""

    def __init__(self, name: str, on_transition: Callable[[str, str, str], None]) -> None:
        self._name = name
        self._on_transition = on_transition

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,  # noqa: ARG002 - pybreaker's signature
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        self._on_transition(self._name, old_state.name if old_state else "", new_state.name)


class Breaker(Circuit):
    """The breaker of the upstream `name`. `statuses` are the answers that count as failures; the caller judges them.

    `on_transition(name, old, new)` is told of each change of state once, by pybreaker's names for them: `closed`,
    `half-open`, `open`. `visible` is the pybreaker object, to which further listeners may be added.
    """

    __slots__ = ("name", "statuses", "visible")

    def __init__(
        self,
        name: str,
        rule: BreakerRule,
        statuses: frozenset[int],
        on_transition: Callable[[str, str, str], None],
    ) -> None:
        super().__init__(rule, self._follow)
        self.name = name
        self.statuses = statuses
        self.visible = VisibleCircuit(name, self)
        self.visible.add_listener(_Announce(name, on_transition))

    def reconfigure(self, rule: BreakerRule, statuses: frozenset[int] | None = None) -> None:
        """Go on under another rule after a reload; the state survives. Without `statuses` those stay."""
        super().reconfigure(rule)
        if statuses is not None:
            self.statuses = statuses
        self.visible.configure(rule)

    def _follow(self, _old: int, new: int) -> None:
        self.visible.follow(new)
