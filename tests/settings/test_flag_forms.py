"""Definitions as a file's texts have them, and what the rules get of them."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.rules.flags.context import Context
from gateway.rules.flags.definition import KEYS, compiled
from gateway.settings.flag_forms import Constraints, Definition, definition, plain

SCHEMA = {"anyOf": Definition().json_schemas()}


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("true", True),
        ("False", False),
        ({"enabled": "false"}, {"enabled": False}),
        ({"enabled": "perhaps"}, {"enabled": "perhaps"}),  # for the rules to refuse
        ({"users": "u1"}, {"users": ["u1"]}),
        ({"users": ["true", "7"]}, {"users": ["true", "7"]}),
        ({"requires": {"flag": "A", "enabled": "false"}}, {"requires": [{"flag": "A", "enabled": False}]}),
        ({"requires": {"flag": "A", "variants": "blue"}}, {"requires": [{"flag": "A", "variants": ["blue"]}]}),
        ({"strategies": [{"disabled": "true"}]}, {"strategies": [{"disabled": True}]}),
        (
            {"strategies": [{"parameters": {"enabled": "true"}}]},
            {"strategies": [{"parameters": {"enabled": "true"}}]},
        ),
        (
            {"constraints": [{"inverted": "true", "values": "x"}]},
            {"constraints": [{"inverted": True, "values": ["x"]}]},
        ),
    ],
)
def test_texts_mean_what_is_meant_there(written: Any, means: Any) -> None:
    assert definition(written) == means
    assert definition(means) == means, "ready values are taken as they are"


@pytest.mark.parametrize(
    ("written", "data"),
    [
        ("blue", "blue"),
        ("3", 3),
        ("-0.5", -0.5),
        ("true", True),
        ("007", "007"),
        ("1e3", "1e3"),
        ("9" * 20, "9" * 20),
        ({"pages": "1", "names": ["a", "false"]}, {"pages": 1, "names": ["a", False]}),
        ({"type": "string", "value": "1.10"}, "1.10"),
        ({"type": "number", "value": "1.10"}, 1.1),
        ({"type": "json", "value": '{"a": "1"}'}, {"a": "1"}),
    ],
)
def test_payloads_are_what_json_would_have_them_be(written: Any, data: Any) -> None:
    made = compiled({"A": definition({"variants": [{"name": "v", "weight": "1", "payload": written}]})}, {})
    assert made.wrong == ()
    variant = made.flags["A"].evaluate(Context()).variant
    assert variant is not None
    assert variant.payload is not None
    assert variant.payload.data == data
    assert type(variant.payload.data) is type(data)


def test_one_constraint_is_a_segment() -> None:
    one = {"field": "plan", "operator": "IN", "values": "pro"}
    assert Constraints().check(one) == Constraints().check([one]) == [plain(one)]


def test_the_schema_knows_every_key() -> None:
    _, mapping = Definition().json_schemas()
    assert set(mapping["properties"]) == KEYS


@pytest.mark.parametrize(
    "written", [{"enabeld": True}, {"constraints": [{"operator": "IS"}]}, "on", {"variants": {}}]
)
def test_the_schema_refuses(written: Any) -> None:
    assert not Draft202012Validator(SCHEMA).is_valid(written)
