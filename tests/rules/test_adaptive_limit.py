"""The adaptive limit, beside a simulated upstream of so many workers and a queue: where it comes to rest, and why."""

from __future__ import annotations

import heapq
from collections import deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.adaptive_limit import DROPPED, NOTHING, SERVED, AdaptiveLimit, AdaptiveRule, Outcome, judge


class Upstream:
    """Serves so many at a time, each for about `seconds`; the others wait. Requests come at `rate` a second.

    Whoever is over the limit is refused, and whoever would take longer than `timeout` is cut off then.
    """

    def __init__(self, limit: AdaptiveLimit, workers: int, seconds: float, rate: float, timeout: float = 1e9) -> None:
        self.limit = limit
        self.workers = workers
        self.seconds = seconds
        self.rate = rate
        self.timeout = timeout
        self.random = Random(7)
        self.now = 0.0
        self.in_flight = 0
        self.served = 0
        self._free = workers
        self._queue: deque[float] = deque()
        self._ends: list[tuple[float, float]] = []

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        arrival = self.now + self.random.expovariate(self.rate)
        while self.now < until:
            if self._ends and self._ends[0][0] <= arrival:
                self.now, began = heapq.heappop(self._ends)
                self._end(began)
            else:
                self.now = arrival
                arrival = self.now + self.random.expovariate(self.rate)
                if self.in_flight < self.limit.limit:
                    self.in_flight += 1
                    self._queue.append(self.now)
            while self._queue and self._free > 0:
                self._free -= 1
                busy = self.seconds * self.random.uniform(0.7, 1.3)
                heapq.heappush(self._ends, (self.now + busy, self._queue.popleft()))

    def _end(self, began: float) -> None:
        latency = self.now - began
        outcome = SERVED if latency < self.timeout else DROPPED
        self.limit.ended(outcome, min(latency, self.timeout), self.in_flight, self.now)
        self.in_flight -= 1
        self.served += outcome is SERVED
        self._free += 1

    def latency(self, seconds: float) -> float:
        """The mean latency over the next so many seconds, by Little's law."""
        before, area, steps = self.served, 0.0, 200
        for _ in range(steps):
            self.run(seconds / steps)
            area += self.in_flight * seconds / steps
        return area / (self.served - before)


def rule(**fields: float) -> AdaptiveRule:
    return AdaptiveRule(**fields)  # type: ignore[arg-type]


# ---- where it comes to rest


def test_under_too_much_it_finds_what_the_upstream_can_do() -> None:
    """50 workers, asked for 3 times what they can do: all are busy, and the answers not much slower than must be."""
    upstream = Upstream(AdaptiveLimit(rule()), workers=50, seconds=0.1, rate=1500)
    upstream.run(60)
    before = upstream.served
    latency = upstream.latency(60)
    assert (upstream.served - before) / 60 == pytest.approx(500, rel=0.03)
    assert 50 <= upstream.limit.limit <= 110
    assert latency < 0.22


def test_what_is_always_in_use_does_not_drift_up() -> None:
    upstream = Upstream(AdaptiveLimit(rule()), workers=50, seconds=0.1, rate=1500)
    upstream.run(60)
    settled = upstream.limit.limit
    upstream.run(600)
    assert upstream.limit.limit <= settled * 1.25


def test_without_it_the_same_upstream_drowns() -> None:
    """The comparison: with a limit of 1000, its answers take what the queue takes."""
    upstream = Upstream(AdaptiveLimit(rule(floor=1000)), workers=50, seconds=0.1, rate=1500)
    upstream.run(60)
    assert upstream.latency(20) > 1.5


def test_it_does_not_grow_unused() -> None:
    upstream = Upstream(AdaptiveLimit(rule()), workers=50, seconds=0.1, rate=50)
    upstream.run(60)
    assert upstream.limit.limit == 20


def test_an_upstream_that_gets_smaller_pulls_it_down_and_one_that_recovers_lets_it_up() -> None:
    upstream = Upstream(AdaptiveLimit(rule(floor=5)), workers=50, seconds=0.1, rate=1500)
    upstream.run(60)
    wide = upstream.limit.limit
    upstream._free -= 40
    upstream.run(60)
    narrow = upstream.limit.limit
    assert narrow < 30 < wide
    upstream._free += 40
    upstream.run(60)
    assert upstream.limit.limit > 50


@pytest.mark.parametrize("slower", [2, 4])
def test_an_upstream_that_is_slower_for_good_is_learned_anew(slower: int) -> None:
    """As many workers as before: the limit falls to the floor, the baseline follows, and the limit comes back."""
    upstream = Upstream(AdaptiveLimit(rule()), workers=50, seconds=0.1, rate=1500)
    upstream.run(60)
    upstream.seconds *= slower
    upstream.run(15)
    assert upstream.limit.limit <= 25
    upstream.run(120)
    assert upstream.limit.baseline > 0.08 * slower
    assert upstream.limit.limit > 50


def test_timeouts_shrink_it() -> None:
    """No latency tells of the overload here, for each answer that comes is in time; the others are drops."""
    upstream = Upstream(AdaptiveLimit(rule(tolerance=50)), workers=50, seconds=0.1, rate=1500, timeout=0.3)
    upstream.run(120)
    assert upstream.limit.limit < 180  # 150 are in time, less the spread of the service times
    before = upstream.served
    upstream.run(30)
    assert (upstream.served - before) / 30 > 400


# ---- step by step


def window(limit: AdaptiveLimit, now: float, outcomes: list[Outcome], seconds: float, in_flight: int) -> float:
    """A window of these outcomes, spread over its time; its end."""
    step = limit.rule.window / (len(outcomes) - 1)
    for place, outcome in enumerate(outcomes):
        limit.ended(outcome, seconds, in_flight, now + place * step * 1.001)
    return now + limit.rule.window * 2


def grown(**fields: float) -> tuple[AdaptiveLimit, float]:
    """One that has grown to 100 on a latency of 0.1 s."""
    limit = AdaptiveLimit(rule(**fields))
    now = 100.0
    while limit.limit < 100:
        now = window(limit, now, [SERVED] * 20, 0.1, limit.limit)
    return limit, now


def test_it_starts_at_the_floor_and_ends_at_the_ceiling() -> None:
    limit = AdaptiveLimit(rule(floor=7, ceiling=30))
    assert limit.limit == 7
    now = 0.0
    for _ in range(200):
        now = window(limit, now, [SERVED] * 20, 0.1, limit.limit)
        assert 7 <= limit.limit <= 30
    assert limit.limit == 30


def test_one_drop_in_a_hundred_is_noise_and_three_are_not() -> None:
    limit, now = grown()
    now = window(limit, now, [SERVED] * 99 + [DROPPED], 0.1, 100)
    assert limit.limit > 100
    before = limit.limit
    window(limit, now, [SERVED] * 97 + [DROPPED] * 3, 0.1, 100)
    assert limit.limit == pytest.approx(before * 0.9, abs=1.5)


def test_nothing_but_drops_halves_it_once_a_window() -> None:
    limit, now = grown()
    before = limit.limit
    window(limit, now, [DROPPED] * 500, 5.0, 100)
    assert limit.limit == before // 2
    assert limit.baseline == pytest.approx(0.1), "what was dropped says nothing of latency"


def test_a_few_drops_count_where_there_is_little_traffic() -> None:
    limit, now = grown()
    limit.ended(DROPPED, 30.0, 3, now)
    limit.ended(DROPPED, 30.0, 3, now + 30)
    assert limit.limit <= 52


def test_too_few_answers_say_nothing() -> None:
    limit, now = grown()
    before = limit.limit
    for place in range(9):
        limit.ended(SERVED, 50.0, 100, now + place)
    assert limit.limit == before


def test_slow_answers_at_little_use_do_not_shrink_it() -> None:
    limit, now = grown()
    before = limit.limit
    for _ in range(20):
        now = window(limit, now, [SERVED] * 20, 0.5, 20)
    assert limit.limit == before
    assert limit.baseline > 0.1, "that is the upstream's own latency now"


def test_what_says_nothing_changes_nothing() -> None:
    limit, now = grown()
    before = (limit.limit, limit.baseline)
    window(limit, now, [NOTHING] * 1000, 0.0, 100)
    assert (limit.limit, limit.baseline) == before


def test_another_rule_holds_from_where_it_stands() -> None:
    limit, _ = grown()
    assert limit.reconfigure(rule(ceiling=60)) == 60
    assert limit.reconfigure(rule(floor=80)) == 80
    limit, _ = grown()
    assert limit.reconfigure(rule(tolerance=2.0)) == limit.limit >= 100


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SERVED, DROPPED, NOTHING]), st.floats(0, 1e4), st.integers(0, 500), st.floats(0, 10)
        ),
        max_size=300,
    ),
    st.integers(1, 50),
    st.integers(0, 100),
)
def test_it_never_leaves_its_bounds(ends: list[tuple[Outcome, float, int, float]], floor: int, more: int) -> None:
    limit = AdaptiveLimit(rule(floor=floor, ceiling=floor + more))
    now = 0.0
    for outcome, seconds, in_flight, step in ends:
        now += step
        assert floor <= limit.ended(outcome, seconds, in_flight, now) == limit.limit <= floor + more


@given(st.integers(0, 79), st.floats(0, 10))
def test_it_never_grows_by_what_does_not_use_it(in_flight: int, seconds: float) -> None:
    limit, now = grown()
    before = limit.limit
    window(limit, now, [SERVED] * 20, seconds, in_flight)
    assert limit.limit <= before


# ---- what an end says


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (200, "", SERVED),
        (404, "", SERVED),
        (500, "", SERVED),
        (429, "", DROPPED),
        (503, "", DROPPED),
        (504, "", DROPPED),
        (504, "headers-timeout", DROPPED),
        (504, "connect-timeout", DROPPED),
        (200, "idle-timeout", DROPPED),
        (200, "total-timeout", DROPPED),
        (503, "breaker-open", NOTHING),
        (503, "in-flight-full", NOTHING),
        (429, "rate-limited", NOTHING),
        (502, "connection-refused", NOTHING),
        (499, "client-left", NOTHING),
        (101, "", NOTHING),
        (0, "", NOTHING),
    ],
)
def test_what_an_end_says(status: int, error: str, outcome: Outcome) -> None:
    assert judge(status, error) is outcome


@pytest.mark.parametrize(
    "fields",
    [
        {"floor": 0},
        {"floor": 10, "ceiling": 9},
        {"tolerance": -0.1},
        {"window": 0.0},
        {"window": 61.0},
    ],
)
def test_what_makes_no_sense(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        rule(**fields)
