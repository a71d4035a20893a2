"""The adapter: pybreaker shows what the rule decides, and nothing on a request's way goes through pybreaker."""

from __future__ import annotations

from typing import Any

import pybreaker
import pytest

from gateway.rules.breaker import CLOSED, FAILED, HALF_OPEN, OK, OPEN, BreakerRule
from gateway.upstreams.breaker import Breaker

T = 5000.0


class Recorder(pybreaker.CircuitBreakerListener):
    """A listener as any user of pybreaker writes it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, str]] = []

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.seen.append((old_state.name, new_state.name))


def make(**rule: Any) -> tuple[Breaker, list[tuple[str, str, str]]]:
    told: list[tuple[str, str, str]] = []
    return Breaker("app", BreakerRule(**rule), frozenset({503}), lambda *names: told.append(names)), told


def end(breaker: Breaker, outcome: Any, now: float) -> None:
    permit = breaker.admit(now)
    assert permit is not None
    if outcome is OK:
        breaker.answered(permit, now)
    breaker.record(permit, outcome, now)


def test_a_whole_life_is_told_once_a_change_by_pybreakers_names() -> None:
    breaker, told = make(failures=2, reset=30, successes=2)
    listener = Recorder()
    breaker.visible.add_listener(listener)
    names = [breaker.visible.current_state]
    for outcome, now in [(FAILED, T), (FAILED, T), (OK, T + 30), (FAILED, T + 31), (OK, T + 61), (OK, T + 61)]:
        end(breaker, outcome, now)
        names.append(breaker.visible.current_state)
    assert names == ["closed", "closed", "open", "half-open", "open", "half-open", "closed"]
    assert told == [
        ("app", "closed", "open"),
        ("app", "open", "half-open"),
        ("app", "half-open", "open"),
        ("app", "open", "half-open"),
        ("app", "half-open", "closed"),
    ]
    assert listener.seen == [(old, new) for _, old, new in told]


def test_pybreakers_state_objects_follow_too() -> None:
    breaker, _ = make(failures=1, successes=1)
    assert isinstance(breaker.visible.state, pybreaker.CircuitClosedState)
    end(breaker, FAILED, T)
    assert isinstance(breaker.visible.state, pybreaker.CircuitOpenState)
    probe = breaker.admit(T + 30)
    assert isinstance(breaker.visible.state, pybreaker.CircuitHalfOpenState)
    assert probe is not None
    breaker.answered(probe, T + 30)
    assert isinstance(breaker.visible.state, pybreaker.CircuitClosedState)


def test_a_hundred_requests_at_half_open_are_one_probe_and_one_transition() -> None:
    breaker, told = make(failures=1)
    end(breaker, FAILED, T)
    permits = [breaker.admit(T + 30) for _ in range(100)]
    assert sum(permit is not None for permit in permits) == 1
    assert told[1:] == [("app", "open", "half-open")]


def test_late_results_neither_prolong_nor_close_and_are_not_told() -> None:
    breaker, told = make(failures=1, reset=30)
    late = [breaker.admit(T) for _ in range(50)]
    end(breaker, FAILED, T)
    for permit in late:
        assert permit is not None
        breaker.record(permit, FAILED, T + 20)
    assert breaker.retry_after(T + 20) == 10
    assert breaker.admit(T + 30) is not None
    assert len(told) == 2


def test_states_are_the_gauges_numbers() -> None:
    breaker, _ = make(failures=1, successes=1)
    seen = [breaker.state(T)]
    end(breaker, FAILED, T)
    seen.append(breaker.state(T))
    probe = breaker.admit(T + 30)
    seen.append(breaker.state(T + 30))
    assert probe is not None
    breaker.record(probe, OK, T + 30)
    seen.append(breaker.state(T + 30))
    assert seen == [CLOSED, OPEN, HALF_OPEN, CLOSED] == [0, 2, 1, 0]


def test_pybreakers_counters_show_the_rules() -> None:
    breaker, _ = make(failures=3, successes=3)
    end(breaker, FAILED, T)
    end(breaker, FAILED, T)
    assert breaker.visible.fail_counter == 2
    end(breaker, FAILED, T)
    end(breaker, OK, T + 30)
    assert breaker.visible.success_counter == 1
    assert breaker.visible.name == "app"


def test_nothing_can_be_called_through_pybreaker() -> None:
    breaker, told = make(failures=1)

    def fails() -> None:
        raise OSError

    with pytest.raises(TypeError):
        breaker.visible.call(fails)
    with pytest.raises(TypeError):
        breaker.visible.call_async(fails)
    with pytest.raises(TypeError):
        breaker.visible(fails)()
    with pytest.raises(TypeError), breaker.visible.calling():
        pass
    assert breaker.state(T) == CLOSED
    assert told == []


def test_by_hand_is_told_too() -> None:
    breaker, told = make()
    breaker.force_open()
    breaker.close(T)
    breaker.close(T)
    assert told == [("app", "closed", "open"), ("app", "open", "closed")]
    assert breaker.visible.current_state == "closed"


def test_a_reload_keeps_the_state_and_takes_the_new_numbers() -> None:
    breaker, told = make(failures=1, reset=30)
    end(breaker, FAILED, T)
    breaker.reconfigure(BreakerRule(failures=7, reset=60, successes=2), frozenset({500}))
    assert breaker.state(T + 59) == OPEN
    assert breaker.retry_after(T + 50) == 10
    assert breaker.statuses == {500}
    visible = breaker.visible
    assert (visible.fail_max, visible.reset_timeout, visible.success_threshold) == (7, 60, 2)
    assert len(told) == 1
