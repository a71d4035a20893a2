"""Constraints: what each operator meets, and what a wrong one does."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.compiling import Notes
from gateway.rules.flags.constraint import OPERATORS, condition, conditions
from gateway.rules.flags.context import Context


def met(found: str | None, operator: str, wanted: Any, **more: Any) -> bool:
    notes = Notes()
    key = "values" if isinstance(wanted, list) else "value"
    one = condition({"field": "x", "operator": operator, key: wanted, **more}, (), notes)
    assert notes.wrong == []
    assert notes.fields == {"x"}
    return one.test(Context(properties={"x": found}))


@pytest.mark.parametrize(
    ("operator", "wanted", "meeting", "others"),
    [
        ("IN", ["a", "b"], ["a", "b"], ["A", "c", "", None]),
        ("IN", [1], ["1"], ["1.0"]),
        ("NOT_IN", ["a", "b"], ["A", "c", "", None], ["a", "b"]),
        ("STR_STARTS_WITH", ["ab", "c"], ["abc", "c"], ["b", "AB", None]),
        ("STR_ENDS_WITH", ["ab", "c"], ["cab", "c"], ["b", "AB", None]),
        ("STR_CONTAINS", ["ab", "c"], ["xaby", "c"], ["b", "AB", None]),
        ("NUM_EQ", "12", ["12", "12.0", " 12 ", "1.2e1", "+12"], ["13", "0xc", "1_2", "twelve", "", "١٢", None]),
        ("NUM_GT", 12, ["12.1"], ["12", "11", "nan", None]),
        ("NUM_GTE", "12", ["12", "13"], ["11.9"]),
        ("NUM_LT", "12", ["-1", "11.9"], ["12"]),
        ("NUM_LTE", "12.5", ["12.5", "1"], ["12.6"]),
        ("DATE_AFTER", "2026-01-01", ["2026-01-01T00:00:01Z"], ["2026-01-01", "2025-12-31", "soon", None]),
        (
            "DATE_BEFORE",
            "2026-01-01T00:00:00+01:00",
            ["2025-12-31T22:59:59Z"],
            ["2025-12-31T23:00:00Z", "2026-01-01"],
        ),
        ("SEMVER_EQ", "1.2.3", ["1.2.3", "1.2.3+build"], ["1.2.4", "v1.2.3", "1.2", None]),
        ("SEMVER_GT", "1.2.3", ["1.2.10", "2.0.0-rc.1"], ["1.2.3", "1.2.3-rc.1"]),
        ("SEMVER_GTE", "1.2.3", ["1.2.3", "1.3.0"], ["1.2.2"]),
        ("SEMVER_LT", "1.2.3", ["1.2.3-rc.1", "1.2.2"], ["1.2.3"]),
        ("SEMVER_LTE", "1.2.3", ["1.2.3", "1.2.2"], ["1.2.4", "x"]),
        ("REGEX", "^a+$", ["a", "aa"], ["b", "", None]),
        ("IN_CIDR", ["10.0.0.0/8"], ["10.1.1.1"], ["11.1.1.1", "x", None]),
    ],
)
def test_what_meets_each_operator(operator: str, wanted: Any, meeting: list[str], others: list[str]) -> None:
    assert [one for one in meeting if not met(one, operator, wanted)] == []
    assert [one for one in others if met(one, operator, wanted)] == []
    # What is missing or cannot be read meets an inverted one.
    assert [one for one in meeting if met(one, operator, wanted, inverted=True)] == []
    assert [one for one in others if not met(one, operator, wanted, inverted=True)] == []


@pytest.mark.parametrize("operator", ["STR_STARTS_WITH", "STR_ENDS_WITH", "STR_CONTAINS"])
@pytest.mark.parametrize("key", ["caseInsensitive", "case_insensitive"])
def test_either_case_where_asked(operator: str, key: str) -> None:
    assert met("AbC", operator, ["aBc"], **{key: True})
    assert not met("AbC", operator, ["aBc"], **{key: False})
    assert met("AbC", "REGEX", "^aBc$", **{key: True})


def test_now_is_the_context_s() -> None:
    notes = Notes()
    raw = {"contextName": "currentTime", "operator": "DATE_AFTER", "value": "1970-01-01T00:01:00Z"}
    one = condition(raw, (), notes)
    assert [one.test(Context(now=now)) for now in (59, 60, 60.1)] == [False, False, True]


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ("x IN a", ()),
        ({"operator": "IN", "values": []}, ()),
        ({"field": "x", "operator": "IS", "values": []}, ("operator",)),
        ({"field": "x", "operator": ["IN"], "values": []}, ("operator",)),
        ({"field": "x", "operator": "NUM_EQ", "value": "many"}, ("value",)),
        ({"field": "x", "operator": "NUM_EQ", "values": ["1"]}, ("value",)),
        ({"field": "x", "operator": "DATE_AFTER", "value": "2026-02-30"}, ("value",)),
        ({"field": "x", "operator": "SEMVER_EQ", "value": "v2.0.0"}, ("value",)),
        ({"field": "x", "operator": "REGEX", "value": "(?=a)"}, ("value",)),
    ],
)
@pytest.mark.parametrize("inverted", [False, True])
def test_a_wrong_one_is_noted_and_never_met(raw: Any, at: tuple[str, ...], inverted: bool) -> None:
    notes = Notes()
    if isinstance(raw, dict):
        raw = {**raw, "inverted": inverted}
    one = condition(raw, ("constraints", 0), notes)
    assert notes.wrong
    assert notes.wrong[-1].at == ("constraints", 0, *at)
    assert not one.test(Context(properties={"x": "2.0.0"}))


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ({"field": "x", "operator": "IN"}, ()),
        ({"field": "x", "operator": "IN", "values": ["a"], "caseInsensitive": True}, ("caseInsensitive",)),
        ({"field": "x", "operator": "IN", "values": [None]}, ("values", 0)),
        ({"field": "x", "operator": "IN_CIDR", "values": ["10.0.0.0/8", "x"]}, ("values", 1)),
        ({"field": "x", "operator": "IN", "value": [], "values": [], "invert": True}, ("invert",)),
    ],
)
def test_a_doubtful_one_is_noted(raw: Any, at: tuple[str | int, ...]) -> None:
    notes = Notes()
    condition(raw, (), notes)
    assert [one.at for one in notes.wrong] == [at]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
raws = st.fixed_dictionaries(
    {},
    optional={
        "field": st.just("x") | json_like,
        "operator": st.sampled_from(sorted(OPERATORS)) | json_like,
        "value": st.text(max_size=8) | json_like,
        "values": st.lists(st.text(max_size=5), max_size=3) | json_like,
        "inverted": st.booleans() | json_like,
        "caseInsensitive": st.booleans() | json_like,
    },
)


@given(json_like | st.lists(raws, max_size=3), st.none() | st.text(max_size=10))
def test_no_raw_constraint_and_no_value_is_an_error(raw: Any, found: str | None) -> None:
    for one in conditions(raw, (), Notes()):
        assert one.test(Context(properties={"x": found})) in (True, False)
        assert one.said


@pytest.mark.parametrize("operator", ["NUM_EQ", "SEMVER_GT", "DATE_AFTER", "REGEX"])
@pytest.mark.parametrize("text", ["1" * 30_000 + "x", "1." * 15_000, "(" * 30_000, " " * 30_000 + "x"])
def test_a_value_that_was_made_to_take_long_is_refused_at_once(operator: str, text: str) -> None:
    began = time.process_time()
    notes = Notes()
    condition({"field": "plan", "operator": operator, "value": text}, (), notes)
    assert len(notes.wrong) == 1
    assert time.process_time() < began + 0.3
