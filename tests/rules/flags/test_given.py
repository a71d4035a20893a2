"""A context that somebody writes down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from gateway.rules.flags.context import Context
from gateway.rules.flags.given import Here, NoMoment, context

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
NAMES = st.sampled_from(["targetingKey", "userId", "user", "groups", "session", "header:X-A", "app"])


HERE = Here("production", "shop", {"user": "header:X-User-Id", "groups": "header:X-Groups", "plan": "jwt:plan"})


def read(**given: Any) -> Context:
    return context(given, 100.0, "r", HERE)


@pytest.mark.parametrize(
    ("given", "user"),
    [
        ({"targetingKey": "u1"}, "u1"),
        ({"targetingKey": "t", "userId": "u1"}, "u1"),
        ({"targetingKey": "t", "user": "u1"}, "u1"),
        ({"targetingKey": "t", "userId": ""}, "t"),
        ({"targetingKey": 7}, "7"),
        ({"targetingKey": {"id": "u1"}}, None),
        ({"targetingKey": None}, None),
        ({}, None),
    ],
)
def test_who_it_is(given: dict[str, Any], user: str | None) -> None:
    assert context(given, 0.0, "", Here()).user == user


def test_every_name_of_the_usual_fields() -> None:
    for one in (
        read(sessionId="s", remoteAddress="::1", appName="a", environment="dev", currentTime="1970-01-02"),
        read(session="s", address="::1", app="a", environment="dev", now="1970-01-02T00:00:00Z"),
    ):
        assert (one.session, one.address, one.app, one.environment, one.now) == ("s", "::1", "a", "dev", 86400.0)


def test_what_is_not_said_is_as_it_is_here() -> None:
    one = read()
    assert (one.environment, one.app, one.now, one.random) == ("production", "shop", 100.0, "r")
    assert (one.session, one.address, one.groups) == (None, None, frozenset())


@pytest.mark.parametrize("groups", [["a", " b ", "", {}], "a, b,", ["b", "a", "a"]])
def test_groups_are_a_list_or_a_text(groups: Any) -> None:
    assert read(groups=groups).groups == {"a", "b"}


def test_everything_is_a_property_too() -> None:
    one = read(plan="pro", seats=5, trial=True, nested={"a": 1})
    assert [one.get(name) for name in ("plan", "seats", "trial", "nested", "none")] == [
        "pro",
        "5",
        "true",
        None,
        None,
    ]


def test_a_header_field_has_no_spelling() -> None:
    one = read(**{"Header:x-plan": "pro"})
    assert one.get("header:X-Plan") == one.get("header:x-plan") == "pro"
    assert one.get("cookie:X-Plan") is None


@pytest.mark.parametrize("moment", ["tomorrow", "2026-13-01", 5])
def test_a_time_that_is_none(moment: Any) -> None:
    with pytest.raises(NoMoment):
        read(now=moment)


@generated(
    st.dictionaries(NAMES | st.text(), JSON, max_size=5).filter(lambda one: not one.keys() & {"now", "currentTime"})
)
def test_whatever_json_says_becomes_texts_of_characters(given: dict[str, Any]) -> None:
    one = context(json.loads(json.dumps(given)), 0.0, "", HERE)
    for text in (one.user, one.session, one.app, *one.groups, *(one.get(name) for name in given)):
        assert text is None or text.encode() is not None


def test_what_is_no_character_is_replaced() -> None:
    assert read(targetingKey="a\ud800b").user == "a?b"


def test_what_the_config_finds_in_a_request_has_both_names() -> None:
    one = read(targetingKey="u1", groups=["a", "b"], plan="pro")
    assert (one.user, one.groups) == ("u1", {"a", "b"})
    assert (one.get("header:X-User-Id"), one.get("jwt:plan")) == ("u1", "pro")
    assert set((one.get("header:X-Groups") or "").split(",")) == {"a", "b"}
    other = read(**{"header:x-user-id": "u1", "header:X-Groups": "a, b", "jwt:plan": "pro"})
    assert (other.user, other.groups, other.get("plan")) == ("u1", {"a", "b"}, "pro")
    both = read(**{"user": "u1", "header:X-User-Id": "u2", "plan": "pro", "jwt:plan": "free"})
    assert (both.user, both.get("header:X-User-Id"), both.get("plan"), both.get("jwt:plan")) == (
        "u1",
        "u2",
        "pro",
        "free",
    )
