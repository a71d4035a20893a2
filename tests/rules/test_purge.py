"""What a purge means, and which late entries it still meets."""

from __future__ import annotations

import re
from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.rules.purge import Effect, Kind, Pattern, Purge, PurgeLog, Subject, means, name_of

HOSTS = st.sampled_from([b"a", b"b"])
TARGETS = st.sampled_from([b"/", b"/x", b"/x?y", b"/x/y", b"/" + b"z" * 100])
TAGS = st.sampled_from([b"t", b"u", b"v" * 100])
SUBJECTS = st.builds(Subject, TARGETS, HOSTS, TARGETS, st.frozensets(TAGS))
VALUES: dict[Kind, st.SearchStrategy[bytes]] = {
    Kind.KEY: TARGETS.map(lambda key: name_of(key).encode()),
    Kind.URL: TARGETS,
    Kind.TAG: TAGS,
    Kind.PATTERN: st.sampled_from([b"*", b"/x*", b"*y", b"/x", b"/*z*"]),
    Kind.ALL: st.just(b""),
}
PURGES = st.sampled_from(Kind).flatmap(
    lambda kind: st.builds(Purge, st.just(kind), VALUES[kind], st.none() | HOSTS, st.booleans())
)


def test_a_key_has_a_short_name() -> None:
    assert re.fullmatch("[0-9a-f]{16}", name_of(b"GET http://a/x"))
    assert name_of(b"a") != name_of(b"b")


PAGE = Subject(b"key", b"a", b"/x?y=1", frozenset({b"t", b"u"}))


@pytest.mark.parametrize(
    ("purge", "meant"),
    [
        (Purge(Kind.KEY, name_of(b"key").encode()), True),
        (Purge(Kind.KEY, b"key"), False),
        (Purge(Kind.URL, b"/x?y=1"), True),
        (Purge(Kind.URL, b"/x?y=1", b"a"), True),
        (Purge(Kind.URL, b"/x?y=1", b"b"), False),
        (Purge(Kind.URL, b"/x"), False),
        (Purge(Kind.TAG, b"u"), True),
        (Purge(Kind.TAG, b"u", b"b"), False),
        (Purge(Kind.TAG, b"w"), False),
        (Purge(Kind.PATTERN, b"/x*"), True),
        (Purge(Kind.PATTERN, b"/x"), False),
        (Purge(Kind.ALL), True),
        (Purge(Kind.ALL, host=b"b"), False),
    ],
)
def test_what_a_purge_means(purge: Purge, meant: bool) -> None:
    assert means(purge, PAGE, name_of(PAGE.key)) is meant
    log = PurgeLog()
    log.add(purge)
    assert (log.hit(PAGE, 0) is Effect.HARD) is meant


@given(st.text("ab**", max_size=8), st.text("ab", max_size=8))
@example("a*a*a", "aaa")
@example("a*ab*b", "abb")
@example("a*ba*b", "abab")
@example("*b*b", "ab")
@settings(max_examples=400)
def test_a_pattern_is_what_a_regular_expression_says(pattern: str, target: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), target) is not None
    assert Pattern(pattern.encode()).matches(target.encode()) is expected


def test_no_pattern_takes_long() -> None:
    """A regular expression would be at this for longer than the sun will shine."""
    began = perf_counter()
    assert not Pattern(b"*a" * 2000 + b"b").matches(b"a" * 8000)
    assert not Pattern(b"*" * 8000 + b"b").matches(b"a" * 8000)
    assert perf_counter() - began < 3


@given(st.lists(PURGES, max_size=20), SUBJECTS, st.integers(0, 20))
def test_an_entry_meets_the_purges_that_it_has_not_seen(purges: list[Purge], subject: Subject, since: int) -> None:
    log = PurgeLog()
    assert [log.add(purge) for purge in purges] == list(range(1, len(purges) + 1))
    assert log.version == len(purges)
    later = [purge for purge in purges[since:] if means(purge, subject, name_of(subject.key))]
    expected = Effect.HARD if any(not purge.soft for purge in later) else Effect.SOFT if later else Effect.NONE
    assert log.hit(subject, since) is expected


@given(st.lists(PURGES, max_size=40), SUBJECTS, st.integers(0, 40), st.integers(1, 4), st.integers(1, 3))
def test_what_was_forgotten_counts_as_having_meant_everything(
    purges: list[Purge], subject: Subject, since: int, most: int, most_patterns: int
) -> None:
    log = PurgeLog(most, most_patterns)
    for purge in purges:
        log.add(purge)
        assert len(log) <= most + most_patterns
    later = [purge for purge in purges[since:] if means(purge, subject, name_of(subject.key))]
    effect = log.hit(subject, since)
    if any(not purge.soft for purge in later):
        assert effect is Effect.HARD
    elif later:
        assert effect is not Effect.NONE
    elif since >= log.floor:
        assert effect is Effect.NONE
    assert log.hit(subject, log.version) is Effect.NONE


@pytest.mark.parametrize("kind", [Kind.URL, Kind.PATTERN])
def test_the_oldest_is_forgotten_first_and_known_to_be(kind: Kind) -> None:
    log = PurgeLog(2, 2)
    for target in (b"/1", b"/2", b"/1", b"/3"):
        log.add(Purge(kind, target, soft=True))
    assert (len(log), log.floor) == (2, 2)
    assert [log.hit(PAGE, since) for since in (1, 2)] == [Effect.HARD, Effect.NONE]
    assert log.hit(PAGE._replace(target=b"/1"), 2) is Effect.SOFT


def test_one_purge_again_and_again_takes_no_more_room() -> None:
    log = PurgeLog(2, 2)
    for _ in range(10):
        log.add(Purge(Kind.URL, b"/x"))
        log.add(Purge(Kind.PATTERN, b"/x*"))
    assert (len(log), log.version, log.floor) == (2, 20, 0)


def test_purges_with_numbers_of_their_own_may_come_late() -> None:
    log = PurgeLog()
    assert log.add(Purge(Kind.TAG, b"t"), 7) == 7
    assert log.add(Purge(Kind.URL, b"/x?y=1", soft=True), 3) == 3
    assert log.add(Purge(Kind.TAG, b"t"), 5) == 5
    assert (log.version, log.hit(PAGE, 6), log.hit(PAGE, 7)) == (7, Effect.HARD, Effect.NONE)
    assert log.add(Purge(Kind.ALL), 4) == 4
    assert log.add(Purge(Kind.ALL)) == 8
    assert (len(log), log.floor, log.hit(PAGE, 7), log.hit(PAGE, 8)) == (0, 8, Effect.HARD, Effect.NONE)


def test_long_values_are_held_short() -> None:
    log = PurgeLog()
    long = Subject(b"key", b"a", b"/" + b"x" * 8000)
    log.add(Purge(Kind.URL, long.target))
    assert log.hit(long, 0) is Effect.HARD
    assert log.hit(long._replace(target=long.target + b"x"), 0) is Effect.NONE
