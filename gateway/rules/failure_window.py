"""How many of the latest calls failed: a sliding window in buckets, for the breaker's failure share.

The window moves by a tenth of its length at a time: it covers the bucket that `now` is in and the nine before it,
so between nine and ten tenths of its length. That costs ten pairs of numbers, however many calls there are.
"""

from __future__ import annotations

BUCKETS = 10


class FailureWindow:
    """Counts calls and failures over the last `length` seconds; `now` is monotonic seconds and never goes back."""

    __slots__ = ("_bucket", "_calls", "_failures", "_width", "calls", "failures")

    def __init__(self, length: float) -> None:
        self._width = length / BUCKETS
        self.clear()

    def clear(self) -> None:
        """Forget every call."""
        self._calls = [0] * BUCKETS
        self._failures = [0] * BUCKETS
        self._bucket = 0
        #: Calls and failures in the window, as of the last `add`.
        self.calls = 0
        self.failures = 0

    def add(self, failed: bool, now: float) -> None:
        """Count a call that ended at `now`."""
        bucket = int(now / self._width)
        if bucket != self._bucket:
            self._move(bucket)
        place = bucket % BUCKETS
        self._calls[place] += 1
        self.calls += 1
        if failed:
            self._failures[place] += 1
            self.failures += 1

    def _move(self, bucket: int) -> None:
        """Empty the buckets between the last one used and `bucket`, for their calls have left the window."""
        for passed in range(max(self._bucket + 1, bucket - BUCKETS + 1), bucket + 1):
            place = passed % BUCKETS
            self.calls -= self._calls[place]
            self.failures -= self._failures[place]
            self._calls[place] = self._failures[place] = 0
        self._bucket = bucket
