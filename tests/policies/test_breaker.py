"""`breaker:` as it is written. When it opens and closes is rules/breaker.py's business."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway import build
from gateway.policies.breaker import WAYS, Breaker


def test_it_is_on_with_these_numbers() -> None:
    assert Breaker() == Breaker(
        failures=5, reset=30.0, successes=3, statuses=frozenset(), share=None, window=30.0, min_calls=20
    )


def test_false_is_none() -> None:
    assert WAYS.read("false") is None
    assert WAYS.read({"failures": "3"}) == {"failures": "3"}


def test_values_as_the_file_writes_them() -> None:
    written = {"failures": "3", "reset": "2m", "statuses": ["503", "502"], "share": "50%", "window": "1m"}
    breaker = Breaker.model_validate(written)
    assert (breaker.failures, breaker.reset, breaker.statuses) == (3, 120.0, frozenset({502, 503}))
    assert (breaker.share, breaker.window) == (0.5, 60)
    assert Breaker.model_validate({"share": "false"}).share is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("failures", "0"),
        ("reset", "0s"),
        ("reset", "2d"),
        ("successes", "0"),
        ("statuses", ["200"]),
        ("statuses", ["1000"]),
        ("share", "0%"),
        ("share", "101%"),
        ("window", "500ms"),
        ("min_calls", "0"),
        ("failure", "3"),
    ],
)
def test_what_it_refuses(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Breaker.model_validate({key: value})


def test_the_rule_gets_every_number() -> None:
    settings = Breaker(failures=1, reset=2, successes=3, share=0.4, window=5, min_calls=6)
    rule = build.rule(settings)
    for key in Breaker.model_fields:
        if key not in ("statuses", "when"):  # which answers are failures, and of whom, forward decides
            assert getattr(rule, key) == getattr(settings, key)
