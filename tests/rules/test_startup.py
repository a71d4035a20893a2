"""Who waits for an upstream that is starting: nobody for one that has ever been there, nobody past any limit."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.startup import FIRST, LONGEST, held_until, pause

TIMES = st.floats(0, 1e9)
DEADLINES = st.one_of(TIMES, st.just(inf))


@given(TIMES, TIMES, DEADLINES)
def test_what_has_ever_accepted_is_never_waited_for(now: float, over: float, deadline: float) -> None:
    assert held_until(now, over, deadline, accepted=True) is None


@given(TIMES, TIMES, DEADLINES)
def test_nobody_waits_past_a_limit(now: float, over: float, deadline: float) -> None:
    until = held_until(now, over, deadline, accepted=False)
    assert (until is None) == (now >= over)
    if until is not None:
        assert until <= over
        assert until <= deadline
        assert until in (over, deadline)


@given(st.integers(0, 10**6))
def test_it_is_looked_for_ever_more_seldom_but_often_enough(tries: int) -> None:
    assert FIRST <= pause(tries) <= pause(tries + 1) <= LONGEST
    assert pause(0) == FIRST
    assert pause(10) == LONGEST
