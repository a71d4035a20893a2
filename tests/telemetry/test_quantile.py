"""Quantiles lie in the bucket in which the true one lies."""

from __future__ import annotations

from bisect import bisect_left
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.histogram import BOUNDS, Histogram
from gateway.telemetry.quantile import quantile

SHARES = st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0])


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ([0, 0, 0], 0.5, None),
        ([4, 0, 0], 0.5, 0.5),
        ([4, 0, 0], 1.0, 1.0),
        ([0, 4, 0], 0.25, 1.25),
        ([2, 2, 0], 0.5, 1.0),
        ([2, 2, 0], 0.75, 1.5),
        ([0, 0, 3], 0.5, 2.0),
        ([1, 0, 1], 0.99, 2.0),
    ],
)
def test_examples(counts: list[int], share: float, value: float | None) -> None:
    assert quantile(counts, (1.0, 2.0), share) == value


@given(st.lists(st.floats(0, 500), min_size=1, max_size=200), SHARES)
def test_it_is_off_by_a_bucket_at_most(times: list[float], share: float) -> None:
    histogram = Histogram()
    for seconds in times:
        histogram.observe(seconds)
    found = quantile(histogram.counts, BOUNDS, share)
    assert found is not None
    # Rounding may move the rank past a whole number, and so to the next one's bucket.
    places = {max(1, ceil(share * len(times) + nudge)) - 1 for nudge in (-1e-9, 1e-9)}
    true = [bisect_left(BOUNDS, sorted(times)[min(place, len(times) - 1)]) for place in places]
    edges = [0.0, *BOUNDS, BOUNDS[-1]]
    assert any(edges[bucket] <= found <= edges[bucket + 1] for bucket in true)


@given(st.lists(st.floats(0, 500), max_size=50))
def test_more_is_never_less(times: list[float]) -> None:
    histogram = Histogram()
    for seconds in times:
        histogram.observe(seconds)
    found = [quantile(histogram.counts, BOUNDS, share) or 0.0 for share in (0.5, 0.95, 0.99)]
    assert found == sorted(found)
