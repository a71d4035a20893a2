"""The breaker: each sentence of its docstring. By hand: test_breaker_by_hand.py; any order: test_breaker_model.py."""

from __future__ import annotations

import pytest

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

T = 1000.0  # some moment


def admitted(circuit: Circuit, now: float) -> Permit:
    permit = circuit.admit(now)
    assert permit is not None
    return permit


def end(circuit: Circuit, outcome: Outcome, now: float = T) -> None:
    """One whole exchange."""
    permit = admitted(circuit, now)
    if outcome is OK:
        circuit.answered(permit, now)
    circuit.record(permit, outcome, now)


def opened(rule: BreakerRule, now: float = T) -> Circuit:
    circuit = Circuit(rule)
    for _ in range(rule.failures):
        end(circuit, FAILED, now)
    assert circuit.state(now) == OPEN
    return circuit


# Closed


def test_opens_at_so_many_failures_in_a_row() -> None:
    circuit = Circuit(BreakerRule(failures=3))
    for _ in range(2):
        end(circuit, FAILED)
    assert circuit.state(T) == CLOSED
    end(circuit, FAILED)
    assert circuit.state(T) == OPEN
    assert circuit.admit(T) is None


def test_a_success_starts_the_row_anew_and_a_client_that_left_changes_nothing() -> None:
    circuit = Circuit(BreakerRule(failures=3))
    for outcome in (FAILED, FAILED, OK, FAILED, NEITHER, FAILED, NEITHER):
        end(circuit, outcome)
    assert circuit.state(T) == CLOSED
    end(circuit, FAILED)
    assert circuit.state(T) == OPEN


def test_an_answer_alone_does_not_break_the_row() -> None:
    circuit = Circuit(BreakerRule(failures=2))
    for _ in range(2):  # heads that come and bodies that are cut
        permit = admitted(circuit, T)
        circuit.answered(permit, T)
        circuit.record(permit, FAILED, T)
    assert circuit.state(T) == OPEN


def test_the_share_opens_it_from_min_calls_on() -> None:
    circuit = Circuit(BreakerRule(failures=100, share=0.5, min_calls=10))
    for n in range(9):
        end(circuit, FAILED if n % 2 else OK)
    assert circuit.state(T) == CLOSED
    end(circuit, FAILED)
    assert circuit.state(T) == OPEN


def test_failures_that_have_left_the_window_do_not_count() -> None:
    circuit = Circuit(BreakerRule(failures=100, share=0.5, min_calls=4, window=30.0))
    for _ in range(3):
        end(circuit, FAILED, T)
    for _ in range(5):
        end(circuit, OK, T + 31)
    end(circuit, FAILED, T + 31)
    assert circuit.state(T + 31) == CLOSED


@pytest.mark.parametrize(("share", "calls"), [(0.07, 100), (0.2, 35), (0.14, 50), (0.29, 100), (1.0, 7)])
def test_a_share_that_is_exactly_reached_opens_it_in_spite_of_floating_point(share: float, calls: int) -> None:
    circuit = Circuit(BreakerRule(failures=1000, share=share, min_calls=calls))
    bad = round(share * calls)
    for n in range(calls):
        end(circuit, FAILED if n < bad else OK)
    assert circuit.state(T) == OPEN


def test_without_a_share_any_mixture_is_fine() -> None:
    circuit = Circuit(BreakerRule(failures=5))
    for n in range(200):
        end(circuit, OK if n % 5 == 4 else FAILED)
    assert circuit.state(T) == CLOSED


def test_nothing_from_before_it_opened_is_left_in_the_window_when_it_has_closed() -> None:
    circuit = Circuit(BreakerRule(failures=4, share=0.5, min_calls=5, reset=1, successes=1, window=30))
    for _ in range(4):
        end(circuit, FAILED, T)
    end(circuit, OK, T + 1)
    assert circuit.state(T + 1) == CLOSED
    end(circuit, FAILED, T + 1)
    assert circuit.state(T + 1) == CLOSED


# Open


def test_stays_open_for_the_whole_reset_and_no_longer_whatever_comes_late() -> None:
    circuit = Circuit(BreakerRule(failures=1, reset=30))
    late = [admitted(circuit, T) for _ in range(20)]
    end(circuit, FAILED, T)
    for n, permit in enumerate(late):
        circuit.answered(permit, T + n)
        circuit.record(permit, (OK, FAILED, NEITHER)[n % 3], T + n)
    assert circuit.admit(T + 29.99) is None
    assert circuit.state(T + 29.99) == OPEN
    assert isinstance(circuit.admit(T + 30), Probe)


def test_reads_half_open_when_reset_is_over_and_changes_with_the_next_request() -> None:
    moves: list[tuple[int, int]] = []
    circuit = Circuit(BreakerRule(failures=1), lambda old, new: moves.append((old, new)))
    end(circuit, FAILED, T)
    assert circuit.state(T + 31) == HALF_OPEN
    assert moves == [(CLOSED, OPEN)]
    circuit.admit(T + 31)
    assert moves == [(CLOSED, OPEN), (OPEN, HALF_OPEN)]


@pytest.mark.parametrize(
    ("after", "seconds"), [(0, 30), (0.001, 30), (1, 29), (1.5, 29), (29, 1), (29.9, 1), (30, 1), (99, 1)]
)
def test_retry_after_is_the_rest_of_reset_in_whole_seconds(after: float, seconds: int) -> None:
    circuit = opened(BreakerRule(reset=30))
    assert circuit.retry_after(T + after) == seconds


def test_retry_after_is_reset_itself_in_spite_of_floating_point() -> None:
    for tenth in range(1000):
        now = tenth / 10 + 0.1
        assert opened(BreakerRule(reset=30), now).retry_after(now) == 30


def test_retry_after_is_one_while_it_probes() -> None:
    circuit = opened(BreakerRule(reset=30))
    circuit.admit(T + 30)
    assert circuit.retry_after(T + 31) == 1


# Half-open


def test_probes_go_one_at_a_time_and_so_many_successes_close_it() -> None:
    circuit = opened(BreakerRule(successes=3))
    now = T + 30
    for n in range(3):
        assert circuit.state(now) == HALF_OPEN, n
        probe = admitted(circuit, now)
        assert [circuit.admit(now) for _ in range(100)] == [None] * 100
        circuit.answered(probe, now)
    assert circuit.state(now) == CLOSED
    assert circuit.admit(now) is not None


def test_one_failed_probe_opens_it_for_another_full_reset() -> None:
    circuit = opened(BreakerRule(successes=3, reset=30))
    end(circuit, OK, T + 30)
    end(circuit, OK, T + 31)
    end(circuit, FAILED, T + 32)
    assert circuit.state(T + 61.9) == OPEN
    assert circuit.admit(T + 61.9) is None
    for n in range(3):  # earlier successes are forgotten
        assert circuit.state(T + 62) == HALF_OPEN, n
        end(circuit, OK, T + 62)
    assert circuit.state(T + 62) == CLOSED


def test_a_probe_whose_client_left_gives_its_place_back_at_once_and_decides_nothing() -> None:
    circuit = opened(BreakerRule(successes=1))
    circuit.record(admitted(circuit, T + 30), NEITHER, T + 31)
    assert circuit.state(T + 31) == HALF_OPEN
    end(circuit, OK, T + 31)
    assert circuit.state(T + 31) == CLOSED


def test_a_success_that_was_recorded_without_an_answer_counts_once() -> None:
    circuit = opened(BreakerRule(successes=2))
    circuit.record(admitted(circuit, T + 30), OK, T + 30)
    assert circuit.state(T + 30) == HALF_OPEN
    circuit.record(admitted(circuit, T + 30), OK, T + 30)
    assert circuit.state(T + 30) == CLOSED


def test_an_answered_probe_that_ends_well_or_loses_its_client_counts_as_one_success() -> None:
    circuit = opened(BreakerRule(successes=3))
    for outcome in (OK, NEITHER):
        probe = admitted(circuit, T + 30)
        circuit.answered(probe, T + 30)
        circuit.record(probe, outcome, T + 40)
    assert circuit.state(T + 40) == HALF_OPEN
    end(circuit, OK, T + 40)
    assert circuit.state(T + 40) == CLOSED


def test_a_long_stream_does_not_hold_the_place_and_its_cut_is_one_failure_while_closed() -> None:
    circuit = opened(BreakerRule(failures=2, successes=1))
    stream = admitted(circuit, T + 30)
    circuit.answered(stream, T + 30)
    assert circuit.state(T + 30) == CLOSED
    circuit.record(stream, FAILED, T + 630)
    assert circuit.failures_in_a_row == 1
    assert circuit.state(T + 630) == CLOSED
    end(circuit, FAILED, T + 631)
    assert circuit.state(T + 631) == OPEN


def test_the_cut_of_an_answered_probe_reopens_it_while_it_still_probes() -> None:
    circuit = opened(BreakerRule(successes=3, reset=30))
    stream = admitted(circuit, T + 30)
    circuit.answered(stream, T + 30)
    other = admitted(circuit, T + 31)
    circuit.record(stream, FAILED, T + 32)
    assert circuit.state(T + 32) == OPEN
    circuit.answered(other, T + 33)
    circuit.record(other, OK, T + 33)
    assert circuit.state(T + 61.9) == OPEN
    assert circuit.state(T + 62) == HALF_OPEN


def test_the_cut_of_an_answered_probe_means_nothing_once_it_has_opened_again() -> None:
    circuit = opened(BreakerRule(failures=1, successes=1, reset=30))
    stream = admitted(circuit, T + 30)
    circuit.answered(stream, T + 30)
    end(circuit, FAILED, T + 31)
    circuit.record(stream, FAILED, T + 60)
    assert circuit.state(T + 61) == HALF_OPEN
    end(circuit, OK, T + 61)
    assert circuit.state(T + 61) == CLOSED


def test_a_probe_that_nobody_reports_on_holds_its_place_for_probe_timeout() -> None:
    circuit = opened(BreakerRule(probe_timeout=60))
    circuit.admit(T + 30)
    assert circuit.admit(T + 89.9) is None
    assert circuit.admit(T + 90) is not None
    assert circuit.admit(T + 90) is None


def test_answers_slower_than_probe_timeout_still_close_it() -> None:
    circuit = opened(BreakerRule(successes=2, probe_timeout=10))
    first = admitted(circuit, T + 30)
    second = admitted(circuit, T + 40)
    circuit.answered(first, T + 45)
    assert circuit.admit(T + 45) is None  # the second has its place still
    circuit.answered(second, T + 55)
    assert circuit.state(T + 55) == CLOSED


def test_a_probe_is_counted_once_however_often_it_reports() -> None:
    circuit = opened(BreakerRule(failures=3, successes=2))
    probe = admitted(circuit, T + 30)
    for _ in range(5):
        circuit.answered(probe, T + 30)
    assert circuit.state(T + 30) == HALF_OPEN
    end(circuit, OK, T + 30)
    for _ in range(5):
        circuit.record(probe, FAILED, T + 31)
    assert circuit.failures_in_a_row == 1


# Reload


def test_another_rule_leaves_the_window_as_it_is() -> None:
    circuit = Circuit(BreakerRule(failures=100, share=0.9, min_calls=4))
    for _ in range(3):
        end(circuit, FAILED)
    circuit.reconfigure(BreakerRule(failures=99, share=0.8, min_calls=4))
    end(circuit, FAILED)
    assert circuit.state(T) == OPEN


def test_another_rule_leaves_the_state_as_it_is() -> None:
    circuit = opened(BreakerRule(failures=2, reset=30))
    circuit.reconfigure(BreakerRule(failures=2, reset=60, share=0.5, min_calls=2))
    assert circuit.admit(T + 59) is None
    assert circuit.retry_after(T + 59) == 1
    assert circuit.admit(T + 60) is not None


def test_another_rule_leaves_the_counts_as_they_are() -> None:
    circuit = Circuit(BreakerRule(failures=5, share=0.9, min_calls=4))
    for _ in range(3):
        end(circuit, FAILED)
    circuit.reconfigure(BreakerRule(failures=4, share=0.9, min_calls=100))
    end(circuit, FAILED)
    assert circuit.state(T) == OPEN


def test_a_share_that_is_turned_off_no_longer_opens_it() -> None:
    circuit = Circuit(BreakerRule(failures=100, share=0.5, min_calls=2))
    end(circuit, FAILED)
    circuit.reconfigure(BreakerRule(failures=100))
    end(circuit, FAILED)
    assert circuit.state(T) == CLOSED


@pytest.mark.parametrize(
    "wrong",
    [{"failures": 0}, {"successes": 0}, {"min_calls": 0}, {"reset": 0}, {"window": -1}, {"probe_timeout": 0}]
    + [{"share": share} for share in (0, -0.1, 1.1)],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        BreakerRule(**wrong)  # type: ignore[arg-type]
