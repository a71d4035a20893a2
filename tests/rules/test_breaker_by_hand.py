"""The breaker moved by hand: held open until it is closed by hand, closed with nothing counted."""

from __future__ import annotations

import pytest

from gateway.rules.breaker import CLOSED, FAILED, HALF_OPEN, OK, OPEN, BreakerRule, Circuit, Probe
from tests.rules.test_breaker import T, admitted, end, opened


def test_by_hand_it_stays_open_until_it_is_closed_by_hand() -> None:
    moves: list[tuple[int, int]] = []
    circuit = Circuit(BreakerRule(failures=2, reset=30), lambda old, new: moves.append((old, new)))
    under_way = admitted(circuit, T)
    circuit.force_open()
    assert circuit.held
    for later in (0, 30, 3600, 1e9):
        assert circuit.state(T + later) == OPEN
        assert circuit.admit(T + later) is None
        assert circuit.retry_after(T + later) == 30
    circuit.answered(under_way, T)
    circuit.record(under_way, OK, T)
    assert circuit.held
    circuit.close(T + 29)
    assert not circuit.held
    end(circuit, FAILED, T + 29)
    circuit.record(under_way, FAILED, T + 29)
    assert circuit.state(T + 29) == CLOSED
    circuit.close(T + 29)  # what is counted is forgotten, and that is no change of state
    end(circuit, FAILED, T + 29)
    assert circuit.state(T + 29) == CLOSED
    assert moves == [(CLOSED, OPEN), (OPEN, CLOSED)]


@pytest.mark.parametrize("reset_is_over", [False, True])
def test_one_that_has_opened_by_itself_can_be_held_open(reset_is_over: bool) -> None:
    circuit = opened(BreakerRule(reset=30))
    if reset_is_over:
        assert circuit.state(T + 30) == HALF_OPEN
    circuit.force_open()
    assert circuit.state(T + 31) == OPEN
    assert circuit.admit(T + 31) is None


def test_a_probe_that_succeeds_late_does_not_end_the_holding() -> None:
    circuit = opened(BreakerRule(successes=1, reset=30))
    probe = admitted(circuit, T + 30)
    circuit.force_open()
    circuit.answered(probe, T + 31)
    circuit.record(probe, OK, T + 31)
    assert circuit.held
    assert circuit.admit(T + 100) is None


def test_another_rule_does_not_end_the_holding() -> None:
    circuit = Circuit(BreakerRule(reset=30))
    circuit.force_open()
    circuit.reconfigure(BreakerRule(reset=1))
    assert circuit.admit(T + 100) is None
    assert circuit.retry_after(T) == 1


def test_after_the_holding_it_guards_as_ever() -> None:
    circuit = Circuit(BreakerRule(failures=1, reset=30))
    circuit.force_open()
    circuit.close(T)
    end(circuit, FAILED, T)
    assert not circuit.held
    assert circuit.state(T) == OPEN
    assert isinstance(circuit.admit(T + 30), Probe)


def test_what_was_under_way_when_it_was_closed_by_hand_counts_no_more() -> None:
    circuit = Circuit(BreakerRule(failures=1))
    under_way = admitted(circuit, T)
    circuit.close(T)
    circuit.record(under_way, FAILED, T)
    assert circuit.state(T) == CLOSED
