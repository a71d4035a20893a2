"""Why a flag says what it says."""

from __future__ import annotations

import json
from typing import Any

from gateway.rules.flags import definition
from gateway.rules.flags.bucket import PARTS, place
from gateway.rules.flags.context import Context
from gateway.rules.flags.explanation import Bucket, Check, DrawnVariant, Explanation, Tried, plain, why

DEFINE: dict[str, Any] = {
    "A": {
        "enabled": True,
        "users": ["u1"],
        "rollout": "25%",
        "constraints": [{"field": "header:X-Plan", "operator": "IN", "values": ["pro"]}],
        "requires": ["B"],
        "variants": [{"name": "x", "weight": 1}, {"name": "y", "weight": 3}],
    },
    "B": {"groups": ["staff"]},
    "C": False,
    "D": {"requires": ["D"]},
    "E": {"strategies": [{"name": "default", "disabled": True}]},
    "F": {"rollout": "25%", "stickiness": "userId"},
}


def explained(name: str, **context: Any) -> Explanation:
    asked = Context(**context)
    found = why(definition.compiled(DEFINE, {}).flags[name], asked)
    assert found.answer == definition.compiled(DEFINE, {}).flags[name].evaluate(asked)
    return found


def test_what_decided_and_all_that_was_asked_before() -> None:
    who = next(f"u{n}" for n in range(2, 1000) if place("A", f"u{n}") < 25 * PARTS)
    found = explained("A", user=who, groups=["staff"], properties={"header:X-Plan": "pro"})
    assert found.because == "strategy 2, rollout, is met"
    assert found.prerequisites == (Check("B is on", True, "on"),)
    assert found.guards == (Check("header:X-Plan IN [pro]", True, "pro"),)
    assert found.strategies == (
        Tried("users", False, (Check("the user is one of 1 listed", False, who),)),
        Tried("rollout", True, (), Bucket("A", "default", who, place("A", who) / PARTS, 25.0)),
    )
    assert found.variant is not None
    assert found.variant.of == 4
    assert found.variant.drawn in (1, 2, 3, 4)
    assert found.variant.variant == ("x" if found.variant.drawn == 1 else "y")


def test_what_stood_in_the_way() -> None:
    plan = {"header:X-Plan": "pro"}
    assert explained("A", user="u1", properties=plan).because == "not met: B is on"
    found = explained("A", user="u1", groups=["staff"], properties={"header:X-Plan": "x" * 100})
    assert found.because == "not met: header:X-Plan IN [pro]"
    assert found.guards == (Check("header:X-Plan IN [pro]", False, "x" * 64 + "…"),)
    out = next(f"u{n}" for n in range(2, 1000) if place("A", f"u{n}") >= 25 * PARTS)
    found = explained("A", user=out, groups=["staff"], properties=plan)
    assert found.because == "no strategy is met"
    assert found.strategies[1].bucket == Bucket("A", "default", out, place("A", out) / PARTS, 25.0)
    assert explained("C").because == "it is not enabled"
    assert explained("D").because == "D and D want one another"
    assert explained("E").because == "it is for nobody"
    found = explained("F", session="s")
    assert found.strategies == (Tried("rollout", False, (), Bucket("F", "userId", None, None, 25.0)),)


def test_as_json_says_it() -> None:
    found = plain(explained("F", user="u"))
    stands = place("F", "u") / PARTS
    on = stands < 25
    bucket = {"group": "F", "stickiness": "userId", "who": "u", "place": stands, "below": 25.0}
    assert json.loads(json.dumps(found)) == {
        "flag": "F",
        "answer": {"on": on, "reason": "SPLIT" if on else "DEFAULT", "variant": None},
        "because": "strategy 1, rollout, is met" if on else "no strategy is met",
        "prerequisites": [],
        "guards": [],
        "strategies": [{"strategy": "rollout", "met": on, "checks": [], "bucket": bucket}],
        "variant": None,
    }


def test_a_variant_by_name_was_not_drawn() -> None:
    raw = {"variants": [{"name": "x", "weight": 1, "overrides": [{"field": "userId", "values": ["u1"]}]}]}
    flag = definition.compiled({"A": raw}, {}).flags["A"]
    assert why(flag, Context(user="u1")).variant == DrawnVariant("x", "default", None, 1)
    assert why(flag, Context(user="u2")).variant == DrawnVariant("x", "default", 1, 1)
