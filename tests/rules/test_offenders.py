"""Counting refusals and blocking: exact against a model that forgets nothing, and bounded whatever comes."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.rules.offenders import BlockRule, Offenders

RULE = BlockRule(after=3, within=10.0, seconds=60.0)
NAMES = [b"r\x00a", b"r\x00b", b"s\x00a"]


class OffendersMachine(RuleBasedStateMachine):
    """The tables beside a model that keeps every refusal."""

    @initialize(after=st.integers(1, 5), within=st.sampled_from([1.0, 10.0]), seconds=st.sampled_from([0.5, 30.0]))
    def begin(self, after: int, within: float, seconds: float) -> None:
        self.rule = BlockRule(after, within, seconds)
        self.offenders = Offenders()
        self.now = 1000.0
        self.refusals: dict[bytes, list[float]] = {name: [] for name in NAMES}
        self.until: dict[bytes, float] = {}

    @rule(step=st.sampled_from([0.0, 0.25, 0.5, 1.0, 5.0, 10.0, 30.0]))
    def wait(self, step: float) -> None:
        self.now += step

    @rule(name=st.sampled_from(NAMES), times=st.integers(1, 3))
    def ask_and_refuse(self, name: bytes, times: int) -> None:
        for _ in range(times):
            blocked = self.offenders.check(name, self.now)
            assert (blocked is not None) == (self.now < self.until.get(name, 0.0))
            if blocked is not None:
                assert blocked.until == self.until[name]
                continue
            recent = [time for time in self.refusals[name] if self.now - time <= self.rule.within] + [self.now]
            made = self.offenders.refused(name, self.rule, self.now)
            assert (made is not None) == (len(recent) >= self.rule.after)
            self.refusals[name] = recent
            if made is not None:
                self.refusals[name] = []
                self.until[name] = self.now + self.rule.seconds

    @rule(name=st.sampled_from(NAMES), seconds=st.sampled_from([0.5, 20.0, inf]))
    def block(self, name: bytes, seconds: float) -> None:
        made = self.offenders.block(name, self.now + seconds, "scrapes", self.now)
        assert made.by_hand
        self.until[name] = self.now + seconds
        self.refusals[name] = []

    @rule(name=st.sampled_from(NAMES))
    def lift(self, name: bytes) -> None:
        held = self.now < self.until.pop(name, 0.0)
        assert self.offenders.lift(name) or not held
        assert self.offenders.check(name, self.now) is None

    @invariant()
    def lists_what_is_blocked(self) -> None:
        if hasattr(self, "offenders"):
            listed = {one.name: one.until for one in self.offenders.blocked(self.now)}
            assert listed == {name: until for name, until in self.until.items() if self.now < until}
            assert self.offenders._remembered == sum(len(times) for times in self.offenders._refusals.values())


TestOffendersMachine = OffendersMachine.TestCase
TestOffendersMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)


def offend(offenders: Offenders, name: bytes, now: float) -> None:
    for _ in range(RULE.after):
        offenders.refused(name, RULE, now)


def test_a_block_says_who_why_since_when_and_how_often() -> None:
    offenders = Offenders()
    offend(offenders, b"r\x00k", 100.0)
    for now in (101.0, 102.0):
        assert offenders.check(b"r\x00k", now) is not None
    [one] = offenders.blocked(103.0)
    assert (one.name, one.since, one.until, one.refused, one.by_hand) == (b"r\x00k", 100.0, 160.0, 2, False)
    assert one.reason == "refused 3 times within 10 s"
    assert offenders.check(b"r\x00k", 160.0) is None
    assert len(offenders) == 0


def test_being_refused_while_blocked_lengthens_nothing() -> None:
    offenders = Offenders()
    offend(offenders, b"k", 100.0)
    for second in range(100, 160):
        assert offenders.check(b"k", float(second)) is not None
    assert offenders.check(b"k", 160.0) is None
    assert offenders.refused(b"k", RULE, 160.0) is None  # the first again


def test_the_key_refused_longest_ago_is_forgotten_first() -> None:
    offenders = Offenders(tracked=2)
    for name in (b"a", b"b", b"a", b"c"):
        offenders.refused(name, RULE, 100.0)
    assert list(offenders._refusals) == [b"a", b"c"]
    assert offenders.refused(b"b", RULE, 100.0) is None  # its first again, and a goes
    assert offenders.refused(b"c", RULE, 100.0) is None
    assert offenders.refused(b"c", RULE, 100.0) is not None


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 1.0])), max_size=300))
def test_the_tables_are_bounded(refusals: list[tuple[int, float]]) -> None:
    offenders = Offenders(tracked=4, blocked=3)
    wide = BlockRule(after=100, within=1000.0, seconds=10.0)
    now = 0.0
    for number, step in refusals:
        now += step
        offenders.refused(b"%d" % number, RULE if number % 2 else wide, now)
        assert len(offenders._refusals) <= 4
        assert sum(len(times) for times in offenders._refusals.values()) <= 4 * 20
        assert len(offenders) <= 3


def test_one_key_does_not_take_all_the_room() -> None:
    offenders = Offenders(tracked=2)
    for _ in range(1000):
        offenders.refused(b"k", BlockRule(after=5000, within=1000.0, seconds=1.0), 100.0)
        assert offenders._remembered <= 40


@pytest.mark.parametrize("over", [False, True])
def test_the_oldest_block_goes_first_and_one_made_by_hand_last(over: bool) -> None:
    offenders = Offenders(blocked=3)
    offenders.block(b"hand", inf, "scrapes", 90.0)
    for number in range(3):
        offend(offenders, b"%d" % number, 100.0 + number)
    assert [one.name for one in offenders.blocked(103.0)] == [b"hand", b"1", b"2"]
    for number in range(3, 5):
        offenders.block(b"%d" % number, 200.0, "too", 104.0)
    assert [one.name for one in offenders.blocked(105.0)] == [b"hand", b"3", b"4"]
    now = 250.0 if over else 106.0  # over: those until 200 have ended and make room
    offenders.block(b"5", inf, "one more", now)
    assert [one.name for one in offenders.blocked(now)] == ([b"hand", b"5"] if over else [b"3", b"4", b"5"])


def test_a_hand_made_block_stands_where_there_is_no_room_for_others() -> None:
    offenders = Offenders(blocked=1)
    offenders.block(b"hand", inf, "scrapes", 100.0)
    offend(offenders, b"k", 100.0)
    assert offenders.check(b"k", 100.0) is None
    assert offenders.check(b"hand", 100.0) is not None


def test_a_block_that_is_over_goes_though_its_key_never_comes_again() -> None:
    """While anything is listed, every request is looked at one rule at a time."""
    offenders = Offenders()
    rule = BlockRule(after=1, within=60.0, seconds=10.0)
    offenders.refused(b"gone", rule, 0.0)
    assert offenders.check(b"another", 5.0) is None
    assert len(offenders) == 1
    assert offenders.check(b"another", 11.0) is None
    assert len(offenders) == 0
