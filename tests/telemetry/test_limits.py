"""What is told of in-flight caps."""

from __future__ import annotations

from gateway.telemetry.limits import of_caps
from gateway.telemetry.metrics import Labels, Number
from tests.caps.capped import by_header, cap


def _numbers(*caps: object) -> dict[str, dict[Labels, Number]]:
    return {family.name: dict(family.samples) for family in of_caps(caps)}  # type: ignore[arg-type]


def test_a_cap_by_key_has_no_limit_to_hold_its_sum_against() -> None:
    common, each = cap(limit=2), cap(by_header, limit=1)
    each.id = "ingress/generate/each"
    told = _numbers(common, each)
    assert told.pop("gateway_in_flight_limit") == {("generate", "ingress/generate/all"): 2}
    assert {name for _, name, *_ in set().union(*told.values())} == {"ingress/generate/all", "ingress/generate/each"}
