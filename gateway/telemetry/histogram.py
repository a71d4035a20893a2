"""A histogram for the hot path: one bisection, one list item, one sum."""

from __future__ import annotations

from bisect import bisect_left

#: Upper bounds in seconds, each inclusive: a proxy's own half millisecond up to the two minutes of a slow model.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Histogram:
    """Counts by bucket, not yet cumulated; the last item counts what is above every bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def snapshot(self) -> tuple[list[int], float]:
        """The counts as they stand, and the sum of what was observed."""
        return self.counts.copy(), self.total
