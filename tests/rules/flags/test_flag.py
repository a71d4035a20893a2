"""One flag: the order in which it is decided."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags import bucket, unleash
from gateway.rules.flags.answer import NO_RULE, OFF
from gateway.rules.flags.context import Context
from gateway.rules.flags.definition import compiled
from gateway.rules.flags.flag import Flag, Prerequisite


def flag(**feature: Any) -> Flag:
    made = unleash.compiled({"features": [{"name": "A", "enabled": True, **feature}]})
    assert made.wrong == ()
    return made.flags["A"]


def variant(made: Flag, asked: Context) -> str | None:
    found = made.evaluate(asked).variant
    return found and found.name


def users(ids: str, *names: str) -> dict[str, Any]:
    variants = [{"name": name, "weight": 1} for name in names]
    return {"name": "userWithId", "parameters": {"userIds": ids}, **({"variants": variants} if variants else {})}


def test_the_first_strategy_that_is_met_decides_and_its_variants_go_before_the_flag_s() -> None:
    strategies = [users("u1,u2", "first"), users("u2,u3", "second"), users("u4")]
    made = flag(strategies=strategies, variants=[{"name": "flag's", "weight": 1}])
    asked = [Context(user=f"u{number}") for number in range(1, 6)]
    assert [variant(made, one) for one in asked] == ["first", "first", "second", "flag's", None]
    assert made.evaluate(asked[4]) is NO_RULE


def test_one_that_is_not_enabled_is_off_for_everybody() -> None:
    made = flag(enabled=False, strategies=[{"name": "default"}], variants=[{"name": "a", "weight": 1}])
    assert made.evaluate(Context()) is OFF


def test_a_flag_that_is_not_bound_is_off() -> None:
    assert Flag("A", True).evaluate(Context()) is OFF


@pytest.mark.parametrize("stickiness", ["default", "userId", "random", "plan"])
@pytest.mark.parametrize("rollout", ["0", "30", "30.5", "100"])
def test_a_share_alone_and_a_share_among_others_are_the_same(stickiness: str, rollout: str) -> None:
    share = {"name": "flexibleRollout", "parameters": {"rollout": rollout, "stickiness": stickiness, "groupId": "g"}}
    ways = [
        flag(strategies=[share]),
        flag(strategies=[users("nobody"), share]),
        flag(strategies=[users("nobody"), users("no one"), users("nowhere"), share]),
        flag(strategies=[{**share, "constraints": [{"contextName": "x", "operator": "NOT_IN", "values": ["x"]}]}]),
        flag(strategies=[share], variants=[{"name": "a", "weight": 1}]),
    ]
    for number in range(200):
        asked = Context(user=f"u{number}", random=f"r{number}", properties={"plan": f"p{number % 7}"})
        assert len({way.evaluate(asked).on for way in ways}) == 1


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Prerequisite("B"), "B is on"),
        (Prerequisite("B", False), "B is off"),
        (Prerequisite("B", True, frozenset("yx")), "B is on as one of [x, y]"),
    ],
)
def test_prerequisites_in_words(wanted: Prerequisite, said: str) -> None:
    assert str(wanted) == said


IDS = st.one_of(st.none(), st.sampled_from(["", "u1", "u2", "ü", "\ud800"]))
RULES = st.fixed_dictionaries(
    {},
    optional={
        "users": st.lists(st.sampled_from(["u1", "u2"])),
        "groups": st.lists(st.sampled_from(["beta", "staff"])),
        "rollout": st.sampled_from(["0", "25%", "50%", "99.5%", "100%"]),
        "stickiness": st.sampled_from(["default", "userId", "random"]),
        "enabled": st.booleans(),
        "variants": st.just([{"name": "blue", "weight": 1}]),
        "environments": st.just(["production"]),
        "group_id": st.sampled_from(["ü", "g"]),
    },
)


@given(
    st.lists(RULES, max_size=6),
    st.builds(
        Context,
        user=IDS,
        session=IDS,
        random=st.sampled_from(["r1", "r2"]),
        groups=st.lists(st.sampled_from(["beta", "other"])),
        environment=st.sampled_from([None, "production"]),
    ),
)
def test_together_they_say_what_each_says(define: list[dict[str, object]], asked: Context) -> None:
    flags = list(compiled({f"F{number}": one for number, one in enumerate(define)}, {}).flags.values())
    usual = [(flag, flag.usual) for flag in flags if flag.usual is not None]
    said = bucket.Several([asks for _, (asks, _) in usual]).ask(asked)
    assert list(said) == [flag.evaluate(asked).on for flag, _ in usual]
    for _, (_, (by_user, by_group, inside, outside)) in usual:
        assert by_user.on
        assert by_group.on
        assert inside.on
        assert not outside.on


def test_most_flags_are_asked_together() -> None:
    define = {"A": {"rollout": "25%"}, "B": {"rollout": "25%", "users": ["u1"], "groups": ["beta"]}}
    assert all(flag.usual is not None for flag in compiled(define, {}).flags.values())
