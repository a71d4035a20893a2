"""The breaker, in any order of events, beside a model that remembers everything and computes each state from it."""

from __future__ import annotations

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.rules.breaker import (
    CLOSED,
    FAILED,
    HALF_OPEN,
    NEITHER,
    OK,
    OPEN,
    BreakerRule,
    Circuit,
    Outcome,
    Permit,
    Probe,
)
from gateway.rules.failure_window import BUCKETS


class Given:
    """What the model remembers of one permit."""

    def __init__(self, permit: Permit, era: int, *, probe: bool, until: float) -> None:
        self.permit = permit
        self.era = era
        self.probe = probe
        self.until = until
        self.answered = False


class BreakerMachine(RuleBasedStateMachine):
    """The circuit beside a model that keeps the list of everything and computes each state from it."""

    @initialize(
        failures=st.integers(1, 4),
        successes=st.integers(1, 3),
        share=st.sampled_from([None, 0.5, 0.75, 1.0]),
        min_calls=st.integers(1, 6),
        window=st.sampled_from([5.0, 20.0]),
        probe_timeout=st.sampled_from([3.0, 15.0]),
    )
    def begin(self, **fields: float | None) -> None:
        self.spec = BreakerRule(reset=10.0, **fields)  # type: ignore[arg-type]
        self.moves: list[tuple[int, int]] = []
        self.circuit = Circuit(self.spec, lambda old, new: self.moves.append((old, new)))
        self.now = 1000.0
        self.state = CLOSED
        self.expected_moves: list[tuple[int, int]] = []
        self.era = 0  # how often it has opened, or was closed by hand
        self.opened_at = 0.0
        self.ends: list[tuple[float, bool]] = []  # of this closed time: when, and whether it failed
        self.successes = 0
        self.held: list[Given] = []
        self.probing: Given | None = None

    def become(self, state: int) -> None:
        self.expected_moves.append((self.state, state))
        self.state = state
        self.ends = []
        self.successes = 0
        self.probing = None
        if state == OPEN:
            self.era += 1
            self.opened_at = self.now

    def judge(self) -> None:
        row = 0
        for _, failed in reversed(self.ends):
            if not failed:
                break
            row += 1
        width = self.spec.window / BUCKETS
        recent = [bad for time, bad in self.ends if int(time / width) > int(self.now / width) - BUCKETS]
        if row >= self.spec.failures or (
            self.spec.share is not None
            and len(recent) >= self.spec.min_calls
            and sum(recent) / len(recent) >= self.spec.share
        ):
            self.become(OPEN)

    @rule(step=st.sampled_from([0.0, 0.25, 1.0, 2.0, 3.0, 7.0, 10.0, 25.0]))
    def wait(self, step: float) -> None:
        self.now += step

    @rule()
    def admit(self) -> None:
        if self.state == OPEN and self.now >= self.opened_at + self.spec.reset:
            self.become(HALF_OPEN)
        busy = self.probing is not None and self.now < self.probing.until
        allowed = self.state == CLOSED or (self.state == HALF_OPEN and not busy)
        permit = self.circuit.admit(self.now)
        assert (permit is not None) == allowed
        if permit is None:
            assert self.circuit.retry_after(self.now) >= 1
            return
        probe = self.state == HALF_OPEN
        assert isinstance(permit, Probe) == probe
        given = Given(permit, self.era, probe=probe, until=self.now + self.spec.probe_timeout)
        self.held.append(given)
        if probe:
            self.probing = given

    def succeed(self, given: Given) -> None:
        given.answered = True
        if self.probing is given:
            self.probing = None
        if given.probe and self.state == HALF_OPEN:
            self.successes += 1
            if self.successes == self.spec.successes:
                self.become(CLOSED)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def answered(self, data: st.DataObject) -> None:
        given = data.draw(st.sampled_from(self.held))
        self.circuit.answered(given.permit, self.now)
        if given.era == self.era and not given.answered:
            self.succeed(given)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from([OK, FAILED, FAILED, NEITHER]))
    def record(self, data: st.DataObject, outcome: Outcome) -> None:
        self.report(data.draw(st.integers(0, len(self.held) - 1)), outcome)

    def report(self, index: int, outcome: Outcome) -> None:
        given = self.held.pop(index)
        self.circuit.record(given.permit, outcome, self.now)
        if given.era != self.era:
            return  # from before it opened last
        if self.state == CLOSED:
            if outcome is not NEITHER:
                self.ends.append((self.now, outcome is FAILED))
                self.judge()
        elif outcome is FAILED:
            self.become(OPEN)
        elif outcome is OK and not given.answered:
            self.succeed(given)
        elif self.probing is given:
            self.probing = None

    @precondition(lambda self: self.state == CLOSED)
    @rule()
    def fail_until_it_opens(self) -> None:
        while self.state == CLOSED:
            self.admit()
            self.report(len(self.held) - 1, FAILED)

    @rule()
    def hold_open(self) -> None:
        self.circuit.force_open()
        if self.state == OPEN:
            self.era += 1
        else:
            self.become(OPEN)
        self.opened_at = inf

    @rule()
    def close_by_hand(self) -> None:
        self.circuit.close(self.now)
        if self.state == CLOSED:
            self.ends = []
        else:
            self.become(CLOSED)
        self.era += 1

    @precondition(lambda self: self.state != CLOSED and not self.circuit.held)
    @rule()
    def come_back_late(self) -> None:
        """It never sticks: whatever is still out, after `reset` and `probe_timeout` somebody is let through."""
        self.now += self.spec.reset + self.spec.probe_timeout
        before = len(self.held)
        self.admit()
        assert len(self.held) == before + 1

    @rule()
    def come_when_told(self) -> None:
        """Retry-After is true: who comes back then is let through, unless another probe is under way."""
        if self.circuit.state(self.now) == OPEN and not self.circuit.held:
            self.now += self.circuit.retry_after(self.now)
            before = len(self.held)
            self.admit()
            assert len(self.held) == before + 1

    @invariant()
    def same_state(self) -> None:
        shown = self.state
        if shown == OPEN and self.now >= self.opened_at + self.spec.reset:
            shown = HALF_OPEN
        assert self.circuit.state(self.now) == shown
        assert self.moves == self.expected_moves
        assert self.circuit.held == (self.state == OPEN and self.opened_at == inf)

    @invariant()
    def at_most_one_live_probe(self) -> None:
        live = [g for g in self.held if g.probe and g.era == self.era and not g.answered and self.now < g.until]
        assert self.state != HALF_OPEN or len(live) <= 1


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=120, stateful_step_count=50, deadline=None, derandomize=True)
