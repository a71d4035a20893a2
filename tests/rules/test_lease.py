"""A lease beside the bucket that it is of: nothing spent that was not charged, and what it says is so."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.rules import gcra
from gateway.rules.gcra import SECOND, Rate, Standing, quota
from gateway.rules.lease import PAUSE, Lease, cap


class LeaseMachine(RuleBasedStateMachine):
    """One replica's lease of a bucket from which others take too."""

    @initialize(
        limit=st.sampled_from([1, 60, 1000]),
        period=st.sampled_from([1.0, 60.0]),
        burst=st.sampled_from([1, 5, 40, 1000]),
        replicas=st.integers(1, 3),
        start=st.integers(0, 10**19),
    )
    def begin(self, limit: int, period: float, burst: int, replicas: int, start: int) -> None:
        self.rate = Rate(limit, period, burst)
        self.cap = cap(burst, replicas)
        self.lease = Lease()
        self.at = start
        self.bucket = 0  # its tat
        self.charged: list[tuple[int, int]] = []
        self.passed: list[tuple[int, int]] = []
        self.alone = True

    @rule(step=st.sampled_from([0, 0.2, 1, 1, 3, 50, 1000]))
    def wait(self, step: float) -> None:
        self.at += int(step * self.rate.interval)
        self.lease.expire(self.rate, self.at)

    @rule(needed=st.sampled_from([0, 1, 1, 3]))
    def ask(self, needed: int) -> None:
        wanted = self.lease.wants(self.cap, self.at) + max(0, needed - self.lease.tokens)
        at_least = max(1, needed - self.lease.tokens)
        if wanted < at_least:
            return
        level = max(0, self.bucket - self.at)
        there = (self.rate.capacity - level) // self.rate.interval
        taken = min(wanted, there) if there >= at_least else 0
        if taken:
            self.bucket = max(self.bucket, self.at) + taken * self.rate.interval
            self.charged.append((self.at, taken))
        told = gcra.standing(self.rate, self.bucket, self.at, taken or at_least, allowed=taken > 0)
        self.lease.filled(self.rate, taken, wanted, told, self.at, self.at)
        self.alone = True
        if needed and self.lease.tokens >= needed:
            self.spend(needed)

    @precondition(lambda self: self.lease.tokens > 0)
    @rule(cost=st.integers(1, 3))
    def spend(self, cost: int) -> None:
        if self.lease.tokens < cost:
            return
        told = self.lease.spend(self.rate, cost, self.at)
        self.passed.append((self.at, cost))
        assert told.allowed
        if self.alone:
            self.as_it_is(told)

    @precondition(lambda self: self.lease.tokens > 0)
    @rule()
    def spend_and_undo(self) -> None:
        before = self.lease.standing(self.rate, self.at)
        self.lease.spend(self.rate, 1, self.at)
        self.lease.unspend(self.rate, 1)
        assert self.lease.standing(self.rate, self.at) == before

    @rule(wanted=st.integers(1, 3))
    def hand_over(self, wanted: int) -> None:
        """What goes back was charged no longer ago than is said, so it had no more time to drain."""
        held = self.lease.tokens
        count, age = self.lease.hand_over(wanted, self.at)
        assert count == held - self.lease.tokens <= wanted
        if count:
            time, taken = self.charged[-1]
            assert (self.at - time, count) <= (age, taken)
            self.charged[-1] = time, taken - count
            self.bucket = gcra.give_back(self.rate, self.bucket, count, age)
            self.alone = False

    @rule(cost=st.integers(1, 3))
    def others_take(self, cost: int) -> None:
        after = gcra.charge(self.rate, self.bucket, self.at, cost)
        if after is not None:
            self.bucket = after
            self.alone = False

    def as_it_is(self, told: Standing) -> None:
        """What is there is what the bucket has, and what is held."""
        level = max(0, self.bucket - self.lease.tokens * self.rate.interval - self.at)
        there = (self.rate.capacity - level) // self.rate.interval
        assert there - 1 <= told.remaining <= min(there + 1, self.rate.burst)
        assert told.reset == pytest.approx(level / SECOND, rel=1e-9, abs=1e-9)

    @rule(missing=st.integers(1, 4))
    def refuse_only_what_is_not_there(self, missing: int) -> None:
        pausing = self.at < self.lease.empty
        if self.lease.refuses(self.rate, missing, self.at) and not pausing:
            # A float's grain before the token is whole is early enough.
            assert gcra.charge(self.rate, self.bucket, self.at - 10**4, missing) is None
            told = self.lease.refusal(self.rate, self.lease.tokens + missing, 0, self.at)
            if told.retry_after >= 0:
                later = self.at + int(told.retry_after * SECOND) + 10**4
                assert not self.lease.refuses(self.rate, missing, later)

    @invariant()
    def only_what_was_charged_is_spent(self) -> None:
        if hasattr(self, "lease"):
            assert 0 <= self.lease.tokens <= sum(n for _, n in self.charged) - sum(n for _, n in self.passed)
            assert self.lease.tokens <= max(self.cap, 0) + 3  # what a `needed` left when it was not spent

    def teardown(self) -> None:
        """In any time, no more than the promise and what may be held (here also by a need that was not served)."""
        for first in range(len(getattr(self, "passed", []))):
            tokens = 0
            for time, cost in self.passed[first:]:
                tokens += cost
                span = Fraction(time - self.passed[first][0], self.rate.interval)
                assert tokens <= self.rate.burst + span + self.cap + 3


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None, derandomize=True)


@given(burst=st.integers(1, 10**9), replicas=st.integers(0, 100))
def test_all_replicas_together_hold_a_twentieth_of_the_burst_at_most(burst: int, replicas: int) -> None:
    assert cap(burst, replicas) * max(1, replicas) <= burst * 0.05
    assert (cap(burst, replicas) + 1) * max(1, replicas) > burst * 0.05 * (1 - 1e-9)


def test_the_batch_follows_the_demand() -> None:
    lease, rate, at = Lease(), Rate(1000, 1, 1000), 10 * SECOND
    batches = []
    for _ in range(8):
        wanted = lease.wants(50, at)
        batches.append(lease.batch)
        lease.filled(rate, wanted, wanted, Standing(True, 900, 0.1, 0.0), at, at)
        lease.spend(rate, lease.tokens, at)
        at += SECOND // 10
    assert batches == [1, 2, 4, 8, 16, 32, 50, 50]
    for expected in (25, 12, 6, 3, 1, 1):
        at += 3 * SECOND
        lease.wants(50, at)
        assert lease.batch == expected


def test_a_large_cost_makes_a_large_batch_at_once() -> None:
    lease, rate = Lease(), Rate(10**6, 1, 10**6)
    assert lease.wants(10_000, SECOND) == 1
    lease.filled(rate, 3000, 3000, Standing(True, 10**6, 0.001, 0.0), SECOND, SECOND)
    lease.spend(rate, 3000, SECOND)
    assert lease.wants(10_000, SECOND + 1) == 3000


def test_what_nobody_asks_for_is_dropped_when_an_empty_bucket_would_be_full() -> None:
    lease, rate = Lease(), Rate(60, 60, 40)
    lease.filled(rate, 2, 2, Standing(True, 38, 2.0, 0.0), 100 * SECOND, 100 * SECOND)
    lease.expire(rate, 139 * SECOND)
    assert lease.tokens == 2
    lease.expire(rate, 140 * SECOND)
    assert lease.tokens == 0
    assert lease.standing(rate, 140 * SECOND).remaining == 40


def test_replicas_that_fight_for_the_last_tokens_pause() -> None:
    lease, rate, at = Lease(), Rate(10_000, 1, 10_000), SECOND
    lease.filled(rate, 0, 5, Standing(False, 0, 1.0, 0.0001), at, at)
    assert lease.refuses(rate, 1, at + PAUSE - 1)
    assert lease.refusal(rate, 1, 0, at).retry_after == PAUSE / SECOND
    assert not lease.refuses(rate, 1, at + PAUSE)


def test_a_burst_that_fills_quickly_is_paused_for_less() -> None:
    lease, rate, at = Lease(), Rate(10_000, 1, 1), SECOND
    lease.filled(rate, 0, 1, Standing(False, 0, 0.0001, 0.0001), at, at)
    assert lease.empty - at == rate.interval // 4
    assert not lease.refuses(rate, 1, at + rate.interval)


def test_nothing_left_is_believed_for_a_second() -> None:
    lease, rate, at = Lease(), Rate(1, 3600, 1), SECOND
    lease.filled(rate, 0, 1, Standing(False, 0, 3600.0, 3600.0), at, at)
    assert lease.refuses(rate, 1, at + SECOND - 1)
    assert lease.refusal(rate, 1, 0, at + SECOND - 1).retry_after == pytest.approx(3599)
    assert not lease.refuses(rate, 1, at + SECOND)


def test_more_than_the_burst_is_refused_without_asking() -> None:
    lease, rate = Lease(), Rate(1, 1, 5)
    assert lease.refuses(rate, 6, SECOND)
    assert lease.refusal(rate, 6, 0, SECOND).retry_after == -1
    assert not lease.refuses(rate, 5, SECOND)


def test_what_others_wait_for_comes_first() -> None:
    lease, rate, at = Lease(), Rate(1, 1, 5), SECOND
    lease.filled(rate, 1, 1, Standing(True, 2, 3.0, 0.0), at, at)
    lease.spend(rate, 1, at)
    assert not lease.refuses(rate, 2, at)
    assert lease.refuses(rate, 2 + 1, at)
    assert lease.refusal(rate, 2, 1, at).retry_after == pytest.approx(1)


class TestQuota:
    rate = quota(10)
    at = 1000 * SECOND

    def test_is_spent_until_its_window_ends(self) -> None:
        lease = Lease()
        lease.filled_quota(self.rate, 3, Standing(True, 5, 60.0, 0.0), self.at)  # two are others'
        told = [lease.spend_quota(self.rate, 1, self.at + SECOND) for _ in range(3)]
        assert told == [Standing(True, left, 59.0, 0.0) for left in (7, 6, 5)]
        assert lease.refuses(self.rate, 6, self.at + SECOND // 2)
        assert not lease.refuses(self.rate, 5, self.at + SECOND // 2)
        assert lease.refusal(self.rate, 6, 0, self.at + SECOND) == Standing(False, 5, 59.0, 59.0)
        assert lease.refusal(self.rate, 11, 0, self.at).retry_after == -1

    def test_is_dropped_with_its_window(self) -> None:
        lease = Lease()
        lease.filled_quota(self.rate, 3, Standing(True, 0, 60.0, 0.0), self.at)
        lease.expire(self.rate, self.at + 60 * SECOND - 1)
        assert lease.tokens == 3
        lease.expire(self.rate, self.at + 60 * SECOND)
        assert lease.tokens == 0
        assert lease.standing(self.rate, self.at + 60 * SECOND) == Standing(True, 10, 0.0, 0.0)

    def test_does_not_carry_tokens_into_another_window(self) -> None:
        lease = Lease()
        lease.filled_quota(self.rate, 3, Standing(True, 7, 0.5, 0.0), self.at)
        lease.filled_quota(self.rate, 2, Standing(True, 8, 60.0, 0.0), self.at + SECOND // 4)
        assert lease.tokens == 2

    def test_of_which_nothing_is_used_is_unknown(self) -> None:
        lease = Lease()
        lease.filled_quota(self.rate, 0, Standing(False, 10, 0.0, -1.0), self.at)
        assert not lease.refuses(self.rate, 10, self.at)
        assert lease.standing(self.rate, self.at) == Standing(True, 10, 0.0, 0.0)
