"""The memory of one process in the place of a shared state that is gone."""

from __future__ import annotations

import pytest

from gateway.rules.gcra import Rate, Standing
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit
from tests.state.subject import Windows

NOW, WALL = 5000.0, 1_790_000_000.0
RATE = Limit("fallback/rate", Rate(60, 60, 30))
QUOTA = Limit("fallback/quota", Rate(100, 1, 1), calendar=Windows(3600, int(WALL) - 600))


def memory(capacity: int = 100) -> MemoryBuckets:
    return MemoryBuckets(capacity, wall=lambda: WALL)


def test_a_share_is_as_far_used_up_as_the_whole() -> None:
    buckets = memory()
    # 20 of 30 tokens are gone, and 51 of 100.
    buckets.note(
        [Charge(RATE, b"k", 1), Charge(QUOTA, b"k", 1)],
        [Standing(True, 10, 20.0, 0.0), Standing(True, 49, 3000.0, 0.0)],
        2,
        NOW,
    )
    share = Limit(RATE.id, Rate(60, 120, 15))  # half of it
    part = Limit(QUOTA.id, Rate(50, 1, 50), calendar=QUOTA.calendar)
    standing = buckets.look(share, b"k", NOW)
    assert standing is not None
    assert standing.remaining == 5
    standing = buckets.look(part, b"k", NOW)
    assert standing is not None
    assert standing.remaining == 50 - 26


def test_what_is_noted_later_stands() -> None:
    buckets = memory()
    buckets.note([Charge(RATE, b"k", 1)], [Standing(True, 0, 30.0, 0.0)], 1, NOW)
    buckets.note([Charge(RATE, b"k", 1)], [Standing(True, 29, 1.0, 0.0)], 1, NOW)
    standing = buckets.look(RATE, b"k", NOW)
    assert standing is not None
    assert standing.remaining == 29


def test_notes_are_bounded() -> None:
    buckets = memory(10)
    for number in range(50):
        buckets.note([Charge(RATE, b"%d" % number, 1)], [Standing(True, 20, 10.0, 0.0)], 1, NOW)
    assert len(buckets) == 10


def test_levels_are_those_that_have_not_drained() -> None:
    buckets = memory()
    buckets.take([Charge(RATE, b"a", 3)], NOW)
    buckets.take([Charge(RATE, b"\x00b", 10), Charge(QUOTA, b"", 7)], NOW)
    levels = {(limit.id, key): level for limit, key, level in buckets.levels(NOW + 4)}
    assert levels == {(RATE.id, b"\x00b"): pytest.approx(6), (QUOTA.id, b""): 7}


def test_levels_may_change_while_they_are_read() -> None:
    buckets = memory()
    for key in (b"a", b"b", b"c"):
        buckets.take([Charge(RATE, key, 3)], NOW)
    seen = []
    for _, key, _ in buckets.levels(NOW):
        seen.append(key)
        buckets.forget(RATE, b"b")
        buckets.take([Charge(RATE, b"new", 3)], NOW)
    assert seen == [b"a", b"c"]
