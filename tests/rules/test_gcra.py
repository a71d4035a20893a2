"""GCRA held to its promises: never more than burst + limit x t, nothing for a refusal, and a true Retry-After."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.gcra import SECOND, Rate, charge, give_back, standing

RATES = st.builds(
    Rate,
    limit=st.sampled_from([1, 3, 7, 60, 1000, 10**9]),
    period=st.sampled_from([0.5, 1.0, 60.0, 3600.0, 86_400.0]),
    burst=st.sampled_from([1, 2, 5, 100, 10**9]),
)
#: What passes between two requests, in parts of the time that a token takes, and what the next one costs.
SEQUENCES = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 0.3, 0.999, 1, 1.001, 2.5, 40]), st.sampled_from([0, 1, 1, 1, 2, 5])),
    min_size=1,
    max_size=60,
)
STARTS = st.integers(0, 10**20)


@given(RATES, STARTS, SEQUENCES)
def test_never_more_than_burst_and_limit_times_t(rate: Rate, now: int, sequence: list[tuple[float, int]]) -> None:
    """In every window of every sequence, counted in exact fractions."""
    tat = 0
    passed: list[tuple[int, int]] = []
    for step, cost in sequence:
        now += int(step * rate.interval)
        after = charge(rate, tat, now, cost)
        if after is not None:
            tat = after
            passed.append((now, cost))
    for first in range(len(passed)):
        tokens = 0
        for time, cost in passed[first:]:
            tokens += cost
            seconds = Fraction(time - passed[first][0], SECOND)
            assert tokens <= rate.burst + seconds * rate.limit / Fraction(rate.period)


@given(RATES, STARTS, SEQUENCES)
def test_whatever_the_promise_allows_passes(rate: Rate, now: int, sequence: list[tuple[float, int]]) -> None:
    """A refusal means that some window would have held more than its burst and what drains in it."""
    tat = 0
    passed: list[tuple[int, int]] = []
    for step, cost in sequence:
        now += int(step * rate.interval)
        after = charge(rate, tat, now, cost)
        if after is not None:
            tat = after
            passed.append((now, cost))
            continue
        windows = [cost] + [
            cost + sum(c for _, c in passed[first:]) - Fraction(now - passed[first][0], rate.interval)
            for first in range(len(passed))
        ]
        assert max(windows) > rate.burst


@given(RATES, STARTS, SEQUENCES)
def test_retry_after_is_true(rate: Rate, now: int, sequence: list[tuple[float, int]]) -> None:
    """Who obeys it passes, and who comes a moment earlier does not; up to what a float can say."""
    tat = 0
    for step, cost in sequence:
        now += int(step * rate.interval)
        after = charge(rate, tat, now, cost)
        if after is not None:
            told = standing(rate, after, now, cost, allowed=True)
            tat = after
            assert told.retry_after == 0
            continue
        told = standing(rate, tat, now, cost, allowed=False)
        if told.retry_after < 0:
            assert cost > rate.burst
            assert charge(rate, 0, now, cost) is None
            continue
        wait = told.retry_after * SECOND
        grain = 1 + int(wait * 1e-15)
        assert charge(rate, tat, now + int(wait) + grain, cost) is not None
        assert charge(rate, tat, now + int(wait) - grain, cost) is None


@given(RATES, STARTS, SEQUENCES)
def test_what_is_said_to_remain_passes_at_once_and_no_token_more(
    rate: Rate, now: int, sequence: list[tuple[float, int]]
) -> None:
    tat = 0
    for step, cost in sequence:
        now += int(step * rate.interval)
        after = charge(rate, tat, now, cost)
        tat = tat if after is None else after
        told = standing(rate, tat, now, cost, allowed=after is not None)
        assert charge(rate, tat, now, told.remaining) is not None
        assert charge(rate, tat, now, told.remaining + 1) is None
        full = now + int(told.reset * SECOND) + 1 + int(told.reset * SECOND * 1e-15)
        assert charge(rate, tat, full, rate.burst) is not None


@given(RATES, STARTS)
def test_an_idle_key_passes_its_burst_at_once_exactly(rate: Rate, now: int) -> None:
    after = charge(rate, 0, now, rate.burst)
    assert after is not None
    assert charge(rate, after, now, 1) is None
    assert standing(rate, after, now, rate.burst, allowed=True)[:2] == (True, 0)


@given(
    rate=RATES,
    now=STARTS,
    sequence=st.lists(
        st.tuples(st.sampled_from([0, 0, 0.3, 1, 2.5]), st.sampled_from([1, 1, 2]), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    late=st.sampled_from([0, 0.3, 1, 1.7, 4]),
)
def test_giving_back_lets_no_more_pass_than_if_it_had_not_been_taken(
    rate: Rate, now: int, sequence: list[tuple[float, int, bool]], late: float
) -> None:
    """Requests that something else refuses `late` intervals after they were charged, beside those that passed."""
    tat = 0
    passed: list[tuple[int, int]] = []
    leaving: list[tuple[int, int]] = []
    for step, cost, leaves in sequence:
        now += int(step * rate.interval)
        for taken, tokens in [one for one in leaving if one[0] + late * rate.interval <= now]:
            tat = give_back(rate, tat, tokens, now - taken)
            leaving.remove((taken, tokens))
        after = charge(rate, tat, now, cost)
        if after is not None:
            tat = after
            (leaving if leaves else passed).append((now, cost))
    for first in range(len(passed)):
        tokens = 0
        for time, cost in passed[first:]:
            tokens += cost
            assert tokens <= rate.burst + Fraction(time - passed[first][0], rate.interval)


def test_giving_back_at_once_undoes_it() -> None:
    rate = Rate(60, 60, 5)
    before = 1000 * SECOND
    after = charge(rate, before, 999 * SECOND, 3)
    assert after is not None
    assert give_back(rate, after, 3, 0) == before
    assert give_back(rate, after, 3, SECOND) == before + SECOND
    assert give_back(rate, after, 3, 5 * SECOND) == after


@pytest.mark.parametrize("limit", [1, 3, 7, 999_983, 10**8])
def test_a_rate_is_never_higher_than_written_and_hardly_lower(limit: int) -> None:
    rate = Rate(limit, 1.0, limit)
    assert rate.interval * limit >= SECOND
    assert rate.interval * limit <= SECOND * 1.0001


def test_rates_are_equal_by_what_they_say() -> None:
    assert Rate(60, 60, 5) == Rate(60, 60, 5)
    assert hash(Rate(60, 60, 5)) == hash(Rate(60, 60, 5))
    assert Rate(60, 60, 5) != Rate(60, 60, 6)
    assert Rate(60, 60, 5) != Rate(1, 1, 5)
    assert Rate(60, 60, 5) != "60/min"
