"""Flags that want one another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags import definition, explanation, unleash
from gateway.rules.flags.compiling import at_once
from gateway.rules.flags.context import Context
from gateway.rules.flags.flag_set import MOST_ASKED


def on(define: dict[str, Any], name: str, asked: Context | None = None) -> bool:
    return definition.compiled(define, {}).flags[name].evaluate(asked or Context()).on


@pytest.mark.parametrize(
    ("wanted", "define", "expected"),
    [
        ("B", {"B": True}, True),
        ("B", {"B": False}, False),
        ({"flag": "B", "enabled": False}, {"B": False}, True),
        ({"flag": "B", "enabled": False}, {"B": True}, False),
        ({"flag": "B", "variants": ["x"]}, {"B": {"variants": [{"name": "x", "weight": 1}]}}, True),
        ({"flag": "B", "variants": ["y"]}, {"B": {"variants": [{"name": "x", "weight": 1}]}}, False),
        (
            {"flag": "B", "variants": ["x"]},
            {"B": {"enabled": False, "variants": [{"name": "x", "weight": 1}]}},
            False,
        ),
        ({"flag": "B", "variants": ["disabled"]}, {"B": True}, True),
        ("B", {"B": {"requires": ["C"]}, "C": {"requires": ["D"]}, "D": True}, True),
        ("B", {"B": {"requires": ["C"]}, "C": {"requires": ["D"]}, "D": False}, False),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_a_flag_wants_of_another(wanted: Any, define: dict[str, Any], expected: bool, first: bool) -> None:
    one = {"A": {"requires": [wanted]}}
    assert on({**one, **define} if first else {**define, **one}, "A") == expected


def test_all_that_is_wanted_must_be() -> None:
    define = {"A": {"requires": ["B", "C"]}, "B": True, "C": {"users": ["u"]}}
    assert on(define, "A", Context(user="u"))
    assert not on(define, "A", Context(user="v"))


@pytest.mark.parametrize("enabled", [True, False])
def test_a_circle_is_noted_and_off_whatever_it_wants(enabled: bool) -> None:
    wants = {"A": "B", "B": "C", "C": "A", "D": "A", "E": "F", "F": None}
    define = {
        name: {"requires": [{"flag": other, "enabled": enabled}]} if other else enabled
        for name, other in wants.items()
    }
    compiled = definition.compiled(define, {})
    assert {one.at[1] for one in compiled.wrong} == {"A", "B", "C", "D"}
    assert {name for name, flag in compiled.flags.items() if flag.broken} == {"A", "B", "C", "D"}
    assert [flag.evaluate(Context()).on for flag in compiled.flags.values()] == [False] * 4 + [True, enabled]


def test_long_chains_and_what_forks_at_every_step_are_refused() -> None:
    chain = {f"F{number}": {"requires": [f"F{number + 1}"]} for number in range(5000)} | {"F5000": True}
    compiled = definition.compiled(chain, {})
    assert next(name for name, flag in compiled.flags.items() if not flag.broken) == f"F{5001 - MOST_ASKED}"
    assert compiled.flags[f"F{5001 - MOST_ASKED}"].evaluate(Context()).on
    forks = {f"F{number}": {"requires": [f"F{number + 1}"] * 2} for number in range(20)} | {"F20": True}
    assert sum(not flag.broken for flag in definition.compiled(forks, {}).flags.values()) == 6


@given(st.dictionaries(st.sampled_from("ABCDE"), st.lists(st.sampled_from("ABCDE"), max_size=3), min_size=1))
def test_only_those_are_broken_that_could_never_be_asked(wants: dict[str, list[str]]) -> None:
    compiled = definition.compiled({name: {"requires": others} for name, others in wants.items()}, {})

    def possible(name: str, behind: frozenset[str] = frozenset()) -> bool:
        if name not in wants or name in behind:
            return False
        return all(possible(other, behind | {name}) for other in wants[name])

    assert {name for name, flag in compiled.flags.items() if not flag.broken} == {
        name for name in wants if possible(name)
    }
    for flag in compiled.flags.values():
        assert flag.evaluate(Context()).on == (not flag.broken)


def test_of_unleash_s_a_flag_wants_only_those_that_want_none() -> None:
    features = [
        {"name": "A", "enabled": True, "strategies": [], "dependencies": [{"feature": "B"}]},
        {"name": "B", "enabled": True, "strategies": [], "dependencies": [{"feature": "C"}]},
        {"name": "C", "enabled": True, "strategies": []},
    ]
    compiled = unleash.compiled({"features": features})
    assert [compiled.flags[name].evaluate(Context()).on for name in "ABC"] == [False, True, True]
    assert [one.at for one in compiled.wrong] == [("features", 0, "dependencies", 0)]


# ---- what is taken over from a set before

NAMES = "ABCDEF"
WANTS = st.lists(
    st.sampled_from([*NAMES, "GONE"])
    | st.fixed_dictionaries({"flag": st.sampled_from(NAMES), "enabled": st.just(False)}),
    max_size=2,
)
RAW = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.sampled_from([True, False, 1]),
        "requires": WANTS,
        "users": st.just(["u1"]),
        "segments": st.lists(st.sampled_from(["paying", "no-such"]), max_size=1),
        "rollout": st.sampled_from([True, 1, 1.0, "1", "x"]),
        "variants": st.just([{"name": "blue", "weight": 1}]),
    },
)
DEFINITIONS = st.dictionaries(st.sampled_from(NAMES), RAW, max_size=6)
SEGMENTS: dict[str, Any] = {"paying": [{"field": "plan", "operator": "IN", "values": ["pro"]}]}
OTHERS: dict[str, Any] = {"paying": [{"field": "plan", "operator": "IN", "values": ["max"]}]}


def known(name: str) -> bool:
    return name == "plan"


@given(st.lists(st.tuples(DEFINITIONS, st.sampled_from([SEGMENTS, dict(SEGMENTS), OTHERS])), min_size=2, max_size=5))
def test_one_that_takes_over_what_is_the_same_is_as_one_that_does_not(
    steps: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    """Whatever was there before, circles and mistakes too."""
    made = None
    for define, segments in steps:
        made = at_once(definition.compiling(define, segments, "", known, made))
        fresh = definition.compiled(define, segments, "", known)
        assert sorted(made.wrong) == sorted(fresh.wrong)
        assert made.fields == fresh.fields
        assert list(made.flags) == list(fresh.flags)
        for name, flag in made.flags.items():
            other = fresh.flags[name]
            assert (flag.broken, flag.enabled) == (other.broken, other.enabled)
            for asked in (Context(user="u1"), Context(user="u2", properties={"plan": "pro"}), Context(random="x")):
                assert flag.evaluate(asked) == other.evaluate(asked)
                assert explanation.why(flag, asked) == explanation.why(other, asked)


def test_only_what_is_another_and_what_wants_it_is_made_anew() -> None:
    define: dict[str, Any] = {"A": True, "B": {"requires": "A"}, "C": {"requires": ["B"]}, "D": {"users": ["u1"]}}
    define["B"]["requires"] = ["A"]
    first = definition.compiled(define, {})
    second = at_once(definition.compiling({**define, "A": False, "D": {"users": ["u1"]}}, {}, before=first))
    assert second.flags["D"] is first.flags["D"]
    assert not any(second.flags[name] is first.flags[name] for name in "ABC")
    assert first.flags["C"].evaluate(Context()).on
    assert not second.flags["C"].evaluate(Context()).on
    assert at_once(definition.compiling({**define, "A": False}, {}, before=second)) is second
    third = at_once(definition.compiling({**define, "A": 1}, {}, before=first))
    assert third.wrong, "1 is not true"
