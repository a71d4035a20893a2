"""What `require:` and `when:` want of a flag, as it is written and as the rule has it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.rules.flags.answer import NO_RULE, Answer, Variant
from gateway.settings.wanted import Wanted, parse_flag

ON, BLUE, RED = Answer(True, ""), Answer(True, "", Variant("blue")), Answer(True, "", Variant("red"))


@pytest.mark.parametrize(
    ("written", "met"),
    [
        ({"flag": "A"}, [ON, BLUE, RED]),
        ({"flag": "A", "on": "true"}, [ON, BLUE, RED]),
        ({"flag": "A", "on": "false"}, [NO_RULE]),
        ({"flag": "A", "variant": "blue"}, [BLUE]),
        ({"flag": "A", "variant": ["blue", "red"]}, [BLUE, RED]),
    ],
)
def test_what_meets_it(written: dict[str, Any], met: list[Answer]) -> None:
    rule = Wanted.model_validate(written).rule
    assert rule.flag == "A"
    assert [answer for answer in (ON, BLUE, RED, NO_RULE) if rule.met(answer)] == met


def test_what_is_off_has_no_variant() -> None:
    with pytest.raises(ValidationError, match="has no variant"):
        Wanted.model_validate({"flag": "A", "on": "false", "variant": "blue"})


@pytest.mark.parametrize("name", ["NEW_DASHBOARD", "new-search", "a.b", "0", "x" * 100])
def test_names(name: str) -> None:
    assert parse_flag(name) == name


@pytest.mark.parametrize("name", ["", " ", "A B", "_A", "A/B", "A\n", "x" * 101])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a flag's name"):
        parse_flag(name)
