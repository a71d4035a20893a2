"""What is counted of flags, as a family that dashboards read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.telemetry.metrics import Family


def families(counts: Iterable[tuple[str, str, int]]) -> Iterator[Family]:
    """Of each flag, what it said and how often."""
    yield Family(
        "counter",
        "gateway_flag_evaluations_total",
        "What flags said, once a request that asked them.",
        ("flag", "variant"),
        [((flag, value), count) for flag, value, count in counts],
    )
