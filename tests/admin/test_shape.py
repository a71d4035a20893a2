"""The checks beside a whole JSON Schema validator: they agree on every value."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.admin.shape import Schema, mistakes

TEXTS = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(3, 5),
        "pattern": st.sampled_from(["^[ab]*$", "^a", "^(x|b+)$"]).filter(lambda pattern: pattern.endswith("$")),
    },
)
FLAGS = st.fixed_dictionaries(
    {"type": st.just("boolean")}, optional={"enum": st.lists(st.booleans(), min_size=1, unique=True)}
)
ARRAYS = st.fixed_dictionaries(
    {"type": st.just("array"), "items": TEXTS | FLAGS},
    optional={"minItems": st.integers(0, 1), "maxItems": st.integers(1, 2)},
)
NAMES = st.lists(st.sampled_from("pqr"), unique=True)
OBJECTS = st.builds(
    lambda properties, required, ways, others: {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": others,
        **({"oneOf": [{"required": way} for way in ways]} if ways else {}),
    },
    st.dictionaries(st.sampled_from("pqr"), TEXTS | FLAGS | ARRAYS),
    NAMES,
    st.lists(NAMES, max_size=3),
    st.booleans(),
)
# No newline: Python's $ also matches before a last one, which a JSON Schema's does not.
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abxc", max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("pqrs"), inner, max_size=4),
    max_leaves=6,
)


@given(schema=TEXTS | FLAGS | ARRAYS | OBJECTS, value=VALUES)
def test_it_agrees_with_a_whole_validator(schema: Schema, value: Any) -> None:
    assert bool(list(mistakes(schema, value))) == (not Draft202012Validator(schema).is_valid(value))


def test_a_pattern_s_end_is_the_end() -> None:
    assert list(mistakes({"type": "string", "pattern": "^a$"}, "a\n"))


def test_each_mistake_has_its_place_and_none_repeats_the_value() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 3}, "why": {"type": "string"}},
        "required": ["name", "why"],
        "additionalProperties": False,
    }
    found = list(mistakes(schema, {"name": "secret", "secret": 1}))
    assert found == [
        ("/why", "is needed"),
        ("/name", "must have 0 to 3 characters"),
        ("", "has a member that is not known; known: name, why"),
    ]
