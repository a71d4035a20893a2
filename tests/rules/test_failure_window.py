"""The bucketed window against a list of all calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.failure_window import BUCKETS, FailureWindow

STEPS = st.sampled_from([0.0, 0.01, 0.5, 1.0, 2.99, 3.0, 7.0, 29.0, 30.0, 31.0, 1000.0])


@given(
    length=st.sampled_from([1.0, 30.0, 60.0]),
    start=st.floats(0, 1e7),
    calls=st.lists(st.tuples(STEPS, st.booleans()), max_size=80),
)
def test_counts_what_a_list_of_all_calls_counts(length: float, start: float, calls: list[tuple[float, bool]]) -> None:
    window = FailureWindow(length)
    width = length / BUCKETS
    now, history = start, []
    for step, failed in calls:
        now += step
        window.add(failed, now)
        history.append((int(now / width), failed))
        inside = [bad for bucket, bad in history if bucket > int(now / width) - BUCKETS]
        assert (window.calls, window.failures) == (len(inside), sum(inside))


@given(st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=40))
def test_holds_what_is_surely_inside_and_nothing_that_is_surely_outside(calls: list[tuple[float, bool]]) -> None:
    window = FailureWindow(30.0)
    now, times = 0.0, []
    for step, failed in calls:
        now += step
        window.add(failed, now)
        times.append(now)
    assert window.calls >= sum(now - time < 30.0 * (BUCKETS - 1) / BUCKETS - 1e-6 for time in times)
    assert window.calls <= sum(now - time <= 30.0 + 1e-6 for time in times)


def test_clear_forgets_all() -> None:
    window = FailureWindow(30.0)
    window.add(True, 100.0)
    window.clear()
    assert (window.calls, window.failures) == (0, 0)
    window.add(False, 100.1)
    assert (window.calls, window.failures) == (1, 0)
