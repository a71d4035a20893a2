"""Variants: by name, by weight, and what comes with them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.answer import SPLIT, STATIC, TARGETING, Payload, payload
from gateway.rules.flags.bucket import VARIANT_SEED, normalized
from gateway.rules.flags.compiling import Notes
from gateway.rules.flags.context import Context
from gateway.rules.flags.variants import HEAVIEST, Variants


def variants(raw: Any, stickiness: str = "default", notes: Notes | None = None) -> Variants:
    found = notes or Notes()
    made = Variants(raw, "g", stickiness, ("variants",), found, by_rule=STATIC)
    if notes is None:
        assert found.wrong == []
    return made


def name(made: Variants, asked: Context) -> str | None:
    variant = made.choose(asked).variant
    return variant and variant.name


weights = st.lists(st.integers(0, HEAVIEST), min_size=1, max_size=5).filter(any)


@given(weights, st.text(min_size=1, max_size=10))
def test_a_draw_falls_where_the_weights_say(given_: list[int], who: str) -> None:
    made = variants([{"name": f"v{number}", "weight": weight} for number, weight in enumerate(given_)])
    target = normalized("g", who, sum(given_), VARIANT_SEED)
    expected = next(number for number in range(len(given_)) if sum(given_[: number + 1]) >= target)
    assert name(made, Context(user=who)) == f"v{expected}"
    assert made.drawn(Context(user=who)) == target
    assert given_[expected] > 0


def test_shares_are_those_of_the_weights() -> None:
    made = variants([{"name": "a", "weight": 700}, {"name": "b", "weight": 200}, {"name": "c", "weight": 100}])
    found = Counter(name(made, Context(user=f"user-{number}")) for number in range(20_000))
    for one, share in (("a", 0.7), ("b", 0.2), ("c", 0.1)):
        assert abs(found[one] / 20_000 - share) < 0.01


def test_an_override_goes_before_the_draw() -> None:
    raw = [
        {"name": "a", "weight": 1000},
        {"name": "b", "weight": 0, "overrides": [{"contextName": "userId", "values": ["u1", 2]}]},
        {"name": "c", "weight": 0, "overrides": [{"field": "plan", "values": ["pro"]}]},
    ]
    notes = Notes()
    made = variants(raw, notes=notes)
    assert notes.fields == {"userId", "plan"}
    assert [name(made, Context(user=user)) for user in ("u1", "2", "u3")] == ["b", "b", "a"]
    assert name(made, Context(user="u3", properties={"plan": "pro"})) == "c"
    assert made.choose(Context(user="u1")).reason == TARGETING
    assert made.choose(Context(user="u3")).reason == SPLIT
    assert made.is_named(Context(user="u1"))
    assert not made.is_named(Context(user="u3"))


def test_the_first_one_s_stickiness_is_all_ones() -> None:
    raw = [{"name": "a", "weight": 1, "stickiness": "plan"}, {"name": "b", "weight": 1, "stickiness": "userId"}]
    made = variants(raw)
    found = {name(made, Context(user=f"u{number}", properties={"plan": "pro"})) for number in range(50)}
    assert len(found) == 1
    # Who lacks it draws by request.
    assert {name(made, Context(random=f"r{number}")) for number in range(50)} == {"a", "b"}


def test_one_alone_has_the_rule_s_reason() -> None:
    assert variants([{"name": "a", "weight": 1}]).choose(Context()).reason == STATIC


def test_without_weights_there_is_none() -> None:
    assert not variants([])
    notes = Notes()
    assert not variants([{"name": "a", "weight": 0}], notes=notes)
    assert [str(one) for one in notes.wrong] == ["variants: no variant has a weight"]


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ([{"weight": 1}, {"name": "b", "weight": 1}], ("variants", 0)),
        ([{"name": "a", "weight": 1}, {"name": "a", "weight": 1}], ("variants", 1, "name")),
        ([{"name": "a", "weight": -1}, {"name": "b", "weight": 1}], ("variants", 0, "weight")),
        ([{"name": "a", "weight": HEAVIEST + 1}, {"name": "b", "weight": 1}], ("variants", 0, "weight")),
        ([{"name": "a", "weight": 0.5}, {"name": "b", "weight": 1}], ("variants", 0, "weight")),
        ([{"name": "a", "weight": 1, "wieght": 1}], ("variants", 0, "wieght")),
        ([{"name": "a", "weight": 1, "overrides": [{"values": []}]}], ("variants", 0, "overrides", 0)),
        ([{"name": "a", "weight": 1, "payload": {"type": "xml", "value": "x"}}], ("variants", 0, "payload")),
        ([{"name": "a", "weight": 1, "payload": {"type": ["json"], "value": "1"}}], ("variants", 0, "payload")),
        (
            [{"name": "a", "weight": 1, "payload": {"type": "number", "value": "NaN"}}],
            ("variants", 0, "payload", "value"),
        ),
        (
            [{"name": "a", "weight": 1, "payload": {"type": "json", "value": "{"}}],
            ("variants", 0, "payload", "value"),
        ),
        ({"a": 1}, ("variants",)),
    ],
)
def test_what_is_wrong_is_noted(raw: Any, at: tuple[str | int, ...]) -> None:
    notes = Notes()
    made = variants(raw, notes=notes)
    assert [one.at for one in notes.wrong] == [at]
    if made:
        assert name(made, Context(user="u")) in ("a", "b")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, None),
        ({"type": "string", "value": "x"}, Payload("string", "x", "x")),
        ({"type": "csv", "value": "a,b"}, Payload("csv", "a,b", "a,b")),
        ({"type": "number", "value": "1.2"}, Payload("number", "1.2", 1.2)),
        ({"type": "json", "value": '{"a": [1]}'}, Payload("json", '{"a": [1]}', {"a": [1]})),
        ("blue", Payload("string", "blue", "blue")),
        (3, Payload("number", "3", 3)),
        (True, Payload("json", "true", True)),
        ({"color": "blue"}, Payload("json", '{"color": "blue"}', {"color": "blue"})),
        (["a"], Payload("json", '["a"]', ["a"])),
    ],
)
def test_payloads(raw: Any, expected: Payload | None) -> None:
    notes = Notes()
    assert payload(raw, (), notes) == expected
    assert notes.wrong == []
