"""Durations fall into the bucket of the least bound that is not below them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.histogram import BOUNDS, Histogram


@given(st.lists(st.floats(0, 1000)))
def test_each_duration_is_counted_once_in_its_bucket(durations: list[float]) -> None:
    histogram = Histogram()
    for duration in durations:
        histogram.observe(duration)
    lower = (-math.inf, *BOUNDS)
    upper = (*BOUNDS, math.inf)
    expected = [sum(low < duration <= high for duration in durations) for low, high in zip(lower, upper, strict=True)]
    assert histogram.counts == expected
    assert histogram.total == pytest.approx(sum(durations))


def test_a_bound_belongs_to_its_own_bucket() -> None:
    histogram = Histogram()
    for bound in BOUNDS:
        histogram.observe(bound)
    assert histogram.counts == [1] * len(BOUNDS) + [0]


def test_a_snapshot_stays_as_it_was() -> None:
    histogram = Histogram()
    histogram.observe(0.2)
    counts, total = histogram.snapshot()
    histogram.observe(0.2)
    assert sum(counts) == 1
    assert total == 0.2


def test_the_bounds_suit_a_proxy() -> None:
    assert BOUNDS[0] == 0.0005
    assert BOUNDS[-1] == 120.0
    assert list(BOUNDS) == sorted(set(BOUNDS))
