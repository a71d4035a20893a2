"""Flags as the gateway's own config defines them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags import definition
from gateway.rules.flags.answer import DEFAULT, DISABLED, SPLIT, STATIC, TARGETING
from gateway.rules.flags.bucket import PARTS, place
from gateway.rules.flags.context import Context
from gateway.rules.flags.definition import KEYS
from gateway.rules.flags.explanation import why

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def flags(define: dict[str, Any], segments: dict[str, Any] | None = None, hostname: str = "") -> Any:
    compiled = definition.compiled(define, segments or {}, hostname)
    assert compiled.wrong == ()
    return compiled.flags


def on(raw: Any, asked: Context, segments: dict[str, Any] | None = None) -> bool:
    found: bool = flags({"A": raw}, segments)["A"].evaluate(asked).on
    return found


# The example of the config's description: any of the three turns it on.
@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [
        ("u1", (), True),
        ("u2", ("beta_tester",), True),
        ("u-in", (), True),
        ("u-out", (), False),
        ("u-out", ("x",), False),
    ],
)
def test_users_groups_and_rollout_any_of_them_turns_it_on(user: str, groups: tuple[str, ...], expected: bool) -> None:
    raw = {"enabled": True, "rollout": "25%", "users": ["u1"], "groups": ["beta_tester"]}
    inside = next(f"in{n}" for n in range(1000) if place("A", f"in{n}") < 25 * PARTS)
    outside = next(f"out{n}" for n in range(1000) if place("A", f"out{n}") >= 25 * PARTS)
    named = {"u-in": inside, "u-out": outside, "u2": outside}
    assert on(raw, Context(user=named.get(user, user), groups=groups)) == expected
    assert not on({**raw, "enabled": False}, Context(user=named.get(user, user), groups=groups))


@pytest.mark.parametrize(
    ("raw", "asked", "expected", "reason"),
    [
        (True, Context(), True, STATIC),
        (False, Context(), False, DISABLED),
        ({}, Context(), True, STATIC),
        ({"enabled": False}, Context(), False, DISABLED),
        ({"rollout": "100%"}, Context(), True, STATIC),
        ({"rollout": "0%"}, Context(user="u"), False, DEFAULT),
        ({"users": ["u1"]}, Context(user="u1"), True, TARGETING),
        ({"users": []}, Context(user="u1"), False, DEFAULT),
        ({"users": ["u1"]}, Context(), False, DEFAULT),
        ({"groups": ["a", "b"]}, Context(groups=["c", "b"]), True, TARGETING),
        ({"groups": ["a"]}, Context(), False, DEFAULT),
        ({"addresses": ["10.0.0.0/8"]}, Context(address="10.1.2.3"), True, TARGETING),
        ({"addresses": ["10.0.0.0/8"], "users": ["u1"]}, Context(address="192.0.2.1"), False, DEFAULT),
        ({"environments": ["prod"]}, Context(environment="prod"), True, TARGETING),
        ({"environments": ["prod"], "users": ["u1"]}, Context(user="u1", environment="dev"), False, DEFAULT),
        ({"from": "2026-01-01T12:00:00Z"}, Context(now=NOON), True, TARGETING),
        ({"from": "2026-01-01T12:00:01Z"}, Context(now=NOON), False, DEFAULT),
        ({"until": "2026-01-01T12:00:00Z"}, Context(now=NOON), False, DEFAULT),
        ({"until": "2026-01-02"}, Context(now=NOON), True, TARGETING),
        ({"segments": ["staff"]}, Context(user="u@example.com"), True, TARGETING),
        ({"segments": ["staff"]}, Context(user="u@example.org"), False, DEFAULT),
        (
            {"strategies": [{"name": "userWithId", "parameters": {"userIds": "a, b"}}]},
            Context(user="b"),
            True,
            TARGETING,
        ),
        ({"strategies": [{"name": "default", "disabled": True}]}, Context(), False, DEFAULT),
        ({"rollout": "0%", "strategies": [{"name": "default"}]}, Context(), True, STATIC),
        ({"variants": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]}, Context(), True, SPLIT),
    ],
)
def test_what_each_key_does(raw: Any, asked: Context, expected: bool, reason: str) -> None:
    segments = {"staff": [{"field": "userId", "operator": "STR_ENDS_WITH", "values": ["@example.com"]}]}
    flag = flags({"A": raw}, segments)["A"]
    assert flag.evaluate(asked)[:2] == (expected, reason)
    assert why(flag, asked).answer == flag.evaluate(asked)


def test_a_group_and_a_stickiness_of_its_own() -> None:
    made = flags({name: {"rollout": "50%", "group_id": "both", "stickiness": "sessionId"} for name in "AB"})
    for number in range(100):
        asked = Context(user="u", session=f"s{number}")
        assert made["A"].evaluate(asked) == made["B"].evaluate(asked)
        assert made["A"].evaluate(asked).on == (place("both", f"s{number}") < 50 * PARTS)
    assert not made["A"].evaluate(Context(user="u", random="r")).on


def test_a_host_s_flags() -> None:
    raw = {"strategies": [{"name": "applicationHostname", "parameters": {"hostNames": "web-1, Web-2"}}]}
    assert flags({"A": raw}, hostname="web-2")["A"].evaluate(Context()).on
    assert not flags({"A": raw}, hostname="web-3")["A"].evaluate(Context()).on


def test_fields_are_those_that_somebody_must_know_how_to_read() -> None:
    raw = {
        "constraints": [{"field": "header:X-Plan", "operator": "IN", "values": ["pro"]}],
        "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "5", "stickiness": "cookie:id"}}],
        "variants": [
            {"name": "a", "weight": 1, "overrides": [{"field": "jwt:tier", "values": ["gold"]}]},
        ],
    }
    segments = {"s": [{"field": "query:beta", "operator": "IN", "values": ["1"]}]}
    assert definition.compiled({"A": raw}, segments).fields == {
        "header:X-Plan",
        "cookie:id",
        "jwt:tier",
        "query:beta",
    }


def test_shorter_names_of_what_every_context_has() -> None:
    raw = {
        "constraints": [{"field": "address", "operator": "IN_CIDR", "values": ["10.0.0.0/8"]}],
        "rollout": "50%",
        "stickiness": "session",
    }
    compiled = definition.compiled({"A": raw}, {}, known=lambda name: False)
    assert compiled.wrong == ()
    assert compiled.fields == {"remoteAddress", "sessionId"}
    for number in range(20):
        asked = Context(session=f"s{number}", address="10.0.0.1")
        assert compiled.flags["A"].evaluate(asked).on == (place("A", f"s{number}") < 50 * PARTS)


def test_fields_that_there_are_not_are_wrong_where_somebody_knows() -> None:
    raw = {
        "constraints": [{"field": "heder:X-Plan", "operator": "IN", "values": ["pro"]}],
        "rollout": "50%",
        "stickiness": "userid",
        "variants": [{"name": "a", "weight": 1, "overrides": [{"contextName": "user", "values": []}]}],
    }
    compiled = definition.compiled({"A": raw}, {}, known=lambda name: name.startswith("header:"))
    assert [one.at[2:] for one in compiled.wrong] == [
        ("stickiness",),
        ("constraints", 0, "field"),
        ("variants", 0, "overrides", 0, "contextName"),
    ]


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ("on", ()),
        ({"enabeld": True}, ("enabeld",)),
        ({"enabled": "true"}, ("enabled",)),
        ({"rollout": "many"}, ("rollout",)),
        ({"users": "u1"}, ("users",)),
        ({"addresses": ["10.0.0.0/33"]}, ("addresses", 0)),
        ({"from": "tomorrow"}, ("from",)),
        ({"until": "2026-02-30"}, ("until",)),
        ({"segments": ["nobody"]}, ("segments", 0)),
        ({"constraints": [{"field": "x", "operator": "IS"}]}, ("constraints", 0, "operator")),
        ({"strategies": [{"name": "mine"}]}, ("strategies", 0, "name")),
        ({"strategies": [{"name": "userWithId"}]}, ("strategies", 0, "parameters", "userIds")),
        ({"variants": [{"name": "a"}]}, ("variants",)),
        ({"requires": ["B"]}, ("requires", 0)),
        ({"requires": ["A"]}, ("requires", 0)),
        ({"requires": [{"enabled": True}]}, ("requires", 0)),
    ],
)
def test_what_is_wrong_is_noted_and_turns_nobody_on(raw: Any, at: tuple[str | int, ...]) -> None:
    compiled = definition.compiled({"A": raw}, {})
    assert [one.at for one in compiled.wrong] == [("define", "A", *at)]
    if at not in (("enabeld",), ("variants",), ()):
        assert not compiled.flags["A"].evaluate(Context(user="u1", now=NOON)).on


texts = st.sampled_from(["u1", "u2", "a", "prod", "pro", "10.0.0.1", "2026-01-01", "B", "C", ""])
constraint = st.fixed_dictionaries(
    {"field": st.sampled_from(["userId", "plan"]), "operator": st.sampled_from(["IN", "NOT_IN", "STR_CONTAINS"])},
    optional={"values": st.lists(texts, max_size=2), "inverted": st.booleans()},
)
variant = st.fixed_dictionaries({"name": texts, "weight": st.integers(0, 3)}, optional={"stickiness": texts})
strategy = st.fixed_dictionaries(
    {"name": st.sampled_from(["default", "userWithId", "flexibleRollout", "gradualRolloutRandom", "remoteAddress"])},
    optional={
        "parameters": st.fixed_dictionaries(
            {"userIds": texts, "IPs": texts, "rollout": st.integers(0, 100), "percentage": st.integers(0, 100)}
        ),
        "constraints": st.lists(constraint, max_size=1),
        "variants": st.lists(variant, max_size=2),
        "disabled": st.booleans(),
    },
)
one_definition = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.sampled_from([True, True, False]),
        "rollout": st.floats(0, 100) | st.integers(0, 100) | texts,
        "users": st.lists(texts, max_size=2),
        "groups": st.lists(texts, max_size=2),
        "addresses": st.lists(texts, max_size=2),
        "environments": st.lists(texts, max_size=1),
        "from": texts,
        "constraints": st.lists(constraint, max_size=1),
        "strategies": st.lists(strategy, max_size=2),
        "variants": st.lists(variant, max_size=3),
        "requires": st.lists(
            st.sampled_from("ABC") | st.fixed_dictionaries({"flag": st.just("B"), "enabled": st.booleans()}),
            max_size=2,
        ),
        "stickiness": st.sampled_from(["default", "userId", "random", "plan"]),
    },
)
contexts = st.builds(
    Context,
    user=st.none() | texts,
    session=st.none() | texts,
    address=st.none() | st.just("10.0.0.1"),
    environment=st.none() | texts,
    groups=st.lists(texts, max_size=2),
    now=st.just(NOON),
    random=texts,
    properties=st.fixed_dictionaries({}, optional={"plan": texts}),
)


@given(st.fixed_dictionaries({name: one_definition | st.booleans() for name in "ABC"}), contexts)
def test_why_says_what_evaluating_says(define: dict[str, Any], asked: Context) -> None:
    for flag in definition.compiled(define, {}).flags.values():
        answer = flag.evaluate(asked)
        assert why(flag, asked).answer == answer
        assert flag.evaluate(asked) is answer
        assert answer.on or answer.variant is None


@given(one_definition, contexts, st.integers(0, 100_000), st.integers(0, 100_000))
def test_a_larger_rollout_turns_nobody_off(raw: dict[str, Any], asked: Context, one: int, other: int) -> None:
    small, large = sorted((one, other))
    before, after = (
        definition.compiled({"A": {**raw, "requires": [], "rollout": f"{parts / 1000}%"}}, {})
        .flags["A"]
        .evaluate(asked)
        for parts in (small, large)
    )
    assert before.on <= after.on


anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(sorted(KEYS)), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), anything, max_size=3))
def test_no_definition_is_an_error(define: dict[str, Any]) -> None:
    for flag in definition.compiled(define, {}).flags.values():
        flag.evaluate(Context())
        why(flag, Context())
