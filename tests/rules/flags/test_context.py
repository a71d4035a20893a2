"""What a flag reads of a request."""

from __future__ import annotations

import pytest

from gateway.rules.flags.context import KNOWN, Context, reader


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("userId", "u"),
        ("sessionId", "s"),
        ("remoteAddress", "192.0.2.1"),
        ("environment", "prod"),
        ("appName", "shop"),
        ("header:X-Plan", "pro"),
        ("user", None),
        ("currentTime", "2026-03-01T23:59:59Z"),
    ],
)
def test_fields_by_unleash_s_names_and_properties_by_their_own(name: str, value: str | None) -> None:
    asked = Context("u", "s", "192.0.2.1", "prod", "shop", now=1_772_409_599.9, properties={"header:X-Plan": "pro"})
    assert reader(name)(asked) == value


@pytest.mark.parametrize("name", sorted(KNOWN - {"currentTime"}))
def test_what_is_not_known_is_none(name: str) -> None:
    assert reader(name)(Context()) is None
