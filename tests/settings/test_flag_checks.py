"""Wrong definitions, names that no flag has, fields that are the gateway's own, and what is probably not meant."""

from __future__ import annotations

import pytest

from gateway.settings import warnings
from tests.settings.configs import mistake, mistakes, of_route, read, with_section


def advice(text: str) -> list[str]:
    return [str(warning).removeprefix("f.yaml:") for warning in warnings(read(text))]


def of_flags(*lines: str) -> str:
    """The smallest config with a `flags` section, whose lines are 7 and on."""
    return with_section("flags:\n" + "".join(f"  {line}\n" for line in lines))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{enabeld: >true}", "no such key; is it enabled?"),
        (">perhaps", "a mapping is wanted, not 'perhaps'"),
        (">[true]", "a mapping is wanted, not list"),
        ("{enabled: >yes}", "true or false is wanted, not 'yes'"),
        ("{rollout: >101%}", "a share of 0 to 100 % is wanted, not '101%'"),
        ("{addresses: [10.0.0.0/8, >here]}", "'here' is no address and no network"),
        ("{addresses: >here}", "'here' is no address and no network"),
        ("{from: >soon}", "'soon' is no date"),
        ("{segments: [>paying]}", "no segment is called 'paying'"),
        ("{requires: >B}", "no flag is called 'B'"),
        ("{requires: >A}", "A and A want one another"),
        ("{stickiness: >plan, rollout: 1%}", "nothing of a request is called 'plan'"),
        ("{variants: [{name: a, weight: >some}]}", "a weight is a whole number"),
        ("{constraints: [{field: >'header:X-Feature-B', operator: IN, values: a}]}", "nothing of a request"),
    ],
)
def test_what_no_rule_takes(written: str, found: str) -> None:
    """At its place, which `>` marks."""
    line = f"define: {{A: {written}}}"
    told = mistakes(of_flags(line.replace(">", "")))
    (only,) = [one for one in told if one.startswith(f"7:{line.index('>') + 3}: ")]
    assert found in only


def test_all_mistakes_are_told() -> None:
    lines = (
        "segments: {s: {field: plan, operator: IS}}",
        "define:",
        "  A: {rollout: x, from: y}",
        "  B: {requires: [C]}",
    )
    assert [found.partition(":")[0] for found in mistakes(of_flags(*lines))] == ["7", "7", "9", "9", "10"]


def test_segments_and_properties_are_there_for_all() -> None:
    text = of_flags(
        'context: {properties: {plan: "jwt:plan"}}',
        "segments: {paying: {field: plan, operator: IN, values: pro}}",
        "define: {A: {segments: paying, rollout: 50%, stickiness: plan}}",
    )
    assert mistakes(text) == []


def test_what_a_variable_brought_is_not_shown() -> None:
    for written in ("{enabled: '${SECRET}'}", "{from: '${SECRET}'}", "{addresses: ['${SECRET}']}", "'${SECRET}'"):
        only = mistake(of_flags(f"define: {{A: {written}}}"), {"SECRET": "hunter2"})
        assert "hunter2" not in only
        assert "'${SECRET}'" in only


def test_a_variable_may_say_what_a_file_may() -> None:
    text = of_flags("define: {A: '${A}', B: {enabled: '${B}', rollout: '${C}'}}")
    assert read(text, {"A": "false", "B": "true", "C": "5%"}).flags.define == {
        "A": False,
        "B": {"enabled": True, "rollout": "5%"},
    }


@pytest.mark.parametrize("other", ["new-search", "new_search", "NEW.SEARCH"])
def test_names_that_an_app_could_not_tell_apart(other: str) -> None:
    only = mistake(of_flags(f"define: {{NEW_SEARCH: true, {other}: true}}"))
    assert "could not tell it from 'NEW_SEARCH'" in only


# ---- where flags are named


def test_a_name_that_is_nearly_right() -> None:
    text = of_route(flags="[NEW_DASHBORD]") + "flags: {define: {NEW_DASHBOARD: true}}\n"
    assert mistake(text) == "3:42: no flag is called 'NEW_DASHBORD'; did you mean 'NEW_DASHBOARD'?"


def test_a_name_where_there_are_no_flags() -> None:
    assert "flags.define has none" in mistake(of_route(require="A"))


def test_none_is_no_name() -> None:
    assert mistakes(of_route(flags="false", require="false")) == []


# ---- fields


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"headers": "{request: {set: {X-Feature-A: x}}}"}, "tells the app of the flag 'A'"),
        ({"headers": "{request: {remove: [x_feature_a]}}"}, "tells the app of the flag 'A'"),
        ({"cache": "{key: {headers: [X-Feature-B]}}"}, "are taken out of requests"),
        ({"rate_limit": "{limit: 1/s, by: [ip, 'header:X-Feature-B']}"}, "are taken out of requests"),
        ({"in_flight": "{limit: 1, by: 'header:X-Feature-B'}"}, "are taken out of requests"),
    ],
)
def test_fields_of_flags(keys: dict[str, str], found: str) -> None:
    assert found in mistake(of_route(**keys) + "flags: {define: {A: true}}\n")
    assert mistakes(of_route(**keys)) == [], "without flags they mean nothing"


def test_a_field_of_no_flag_may_be_set() -> None:
    text = of_route(headers="{request: {set: {X-Feature-B: x}}}") + "flags: {define: {A: true}}\n"
    assert mistakes(text) == []


# ---- warnings


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["ofrep: /flags"], "ofrep has no effect without egress"),
        (["override: {from: [0.0.0.0/0]}"], "any client can force any flag"),
        (["override: {}"], "nobody can force a flag"),
        (["define: {A: {users: u1}}"], "users has no effect"),
        (["define: {A: {groups: [g]}}"], "groups has no effect"),
    ],
)
def test_what_is_probably_not_meant(lines: list[str], found: str) -> None:
    (only,) = advice(of_flags(*lines))
    assert found in only


@pytest.mark.parametrize(
    "lines",
    [
        ["override: {token: '${T:-}'}"],
        ["context: {user: 'jwt:sub'}", "define: {A: {users: u1}}"],
        ["define: {A: true}"],
    ],
)
def test_what_may_well_be_meant(lines: list[str]) -> None:
    assert advice(of_flags(*lines)) == []


@pytest.mark.parametrize(("when", "warned"), [("", True), (", when: A", False)])
def test_a_route_under_a_flag_leaves_others_something(when: str, warned: bool) -> None:
    text = f"""\
        ingress:
          routes:
            - {{path: /**, upstream: app{when}}}
            - {{path: /a, upstream: app}}
        upstreams: {{app: {{url: http://x}}}}
        flags: {{define: {{A: true}}}}
        """
    assert any("can never match" in found for found in advice(text)) is warned
