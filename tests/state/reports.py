"""Counts how calls end."""

from __future__ import annotations


class Reports:
    """`redis_lane.Reports`."""

    def __init__(self) -> None:
        self.good = 0
        self.bad: list[str] = []

    def succeeded(self) -> None:
        self.good += 1

    def failed(self, count: int, why: str) -> None:
        self.bad += [why] * count
