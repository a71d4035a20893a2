"""Quantiles of a histogram: as near as its buckets let anybody come."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """What `share` (0 to 1) of the observations do not exceed; None of none.

    Within a bucket they are taken to lie evenly, as `histogram_quantile` of Prometheus takes them: it may be off by
    the bucket's width, and it is the last bound for all that lie above that. `counts` are by bucket, not cumulated.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank = share * total
    below, low = 0, 0.0
    for count, high in zip(counts, bounds, strict=False):
        if count and below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below, low = below + count, high
    return bounds[-1]
