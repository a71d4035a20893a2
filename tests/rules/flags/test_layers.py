"""A flag's value from its layers, and what environment variables say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.definition import KEYS, compiled
from gateway.rules.flags.layers import as_value, environment, merged, nearest, patched, variable

values = st.dictionaries(st.sampled_from("abcd"), st.none() | st.integers(0, 3))


def test_a_boolean_is_whether_it_is_enabled() -> None:
    assert as_value(True) == {"enabled": True}
    assert as_value({"rollout": "5%"}) == {"rollout": "5%"}
    assert as_value("yes") is None


def test_each_layer_says_some_keys() -> None:
    file = {"rollout": "10%", "users": ["u1"]}
    assert merged(file, None, None) == file
    assert merged(file, {"enabled": False}, {"rollout": "20%"}) == {
        "rollout": "20%",
        "users": ["u1"],
        "enabled": False,
    }
    assert merged(True, {"enabled": False}, {"enabled": True}) == {"enabled": True}
    assert merged(file, None, {"rollout": None}) == {"users": ["u1"]}
    assert merged("nonsense", {"enabled": True}) == "nonsense", "for the compiler to refuse"


def test_a_change_is_a_merge_patch() -> None:
    assert patched(None, {"enabled": True}) == {"enabled": True}
    assert patched({"enabled": True, "rollout": 5}, {"enabled": None}) == {"rollout": 5}
    assert patched({"enabled": True}, {"enabled": None}) is None
    assert patched({"users": None}, {"rollout": 5}) == {"users": None, "rollout": 5}, "a null that was put stays"


@given(st.lists(values, max_size=4))
def test_the_highest_layer_that_says_a_key_has_it(layers: list[dict[str, Any]]) -> None:
    result = merged(*layers)
    assert isinstance(result, dict)
    for key in "abcd":
        said = [layer[key] for layer in layers if key in layer]
        assert result.get(key) == (said[-1] if said else None)
        assert key not in result or result[key] is not None


@given(values, values)
def test_a_patch_says_what_it_says_and_leaves_the_rest(before: dict[str, Any], change: dict[str, Any]) -> None:
    after = patched(before, change) or {}
    for key in "abcd":
        if key in change:
            assert after.get(key) == change[key]
            assert (key in after) is (change[key] is not None)
        else:
            assert (key in after, after.get(key)) == (key in before, before.get(key))


@pytest.mark.parametrize(
    ("flag", "name"), [("NEW_UI", "NEW_UI"), ("new-ui.2", "NEW_UI_2"), ("newUi", "NEWUI"), ("ü", "_")]
)
def test_what_a_variable_calls_a_flag(flag: str, name: str) -> None:
    assert variable(flag) == name


def test_variables_say_whether_it_is_enabled_and_its_share() -> None:
    variables = {
        "FEATURE_A": "true", "FEATURE_B": " OFF ", "ROLLOUT_B": "25", "ROLLOUT_C_C": "0.5%", "FEATURE_D": "",
        "PATH": "/", "FEATURES": "1",
    }  # fmt: skip
    found = environment(variables, ["A", "B", "c-c", "D"])
    assert found.values == {
        "A": {"enabled": True},
        "B": {"enabled": False, "rollout": "25"},
        "c-c": {"rollout": "0.5%"},
    }
    assert found.wrong == found.unknown == ()


@pytest.mark.parametrize("text", ["1", "yes", "On", "TRUE", "enabled", "0", "no", "off", "False", "disabled"])
def test_words_for_yes_and_no(text: str) -> None:
    on = text.lower() in ("1", "yes", "on", "true", "enabled")
    assert environment({"FEATURE_A": text}, ["A"]).values == {"A": {"enabled": on}}


def test_what_is_wrong_is_said_and_says_nothing() -> None:
    found = environment({"FEATURE_A": "maybe", "ROLLOUT_A": "101", "FEATURE_AA": "true", "ROLLOUT_X": "1"}, ["A"])
    assert found.values == {}
    assert found.wrong == (
        ("A", "FEATURE_A: true or false is wanted"),
        ("A", "ROLLOUT_A: a share of 0 to 100 % is wanted"),
    )
    assert found.unknown == ("FEATURE_AA", "ROLLOUT_X")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("FEATURE_NEW_SAERCH", "FEATURE_NEW_SEARCH"), ("ROLLOUT_NEW-SEARCH", "ROLLOUT_NEW_SEARCH"),
        ("FEATURE_FLAGS_URL", None), ("FEATURE_", None), ("ROLLOUT_STRATEGY", None),
    ],
)  # fmt: skip
def test_what_an_unknown_variable_was_meant_to_be(name: str, near: str | None) -> None:
    assert nearest(name, ["new-search", "UPLOADS"]) == near


@given(st.dictionaries(st.sampled_from(["FEATURE_A", "ROLLOUT_A"]), st.text(max_size=6)))
def test_whatever_variables_hold_no_wrong_definition_comes_of_it(variables: dict[str, str]) -> None:
    found = environment(variables, ["A"])
    assert compiled({"A": merged(True, found.values.get("A"))}, {}).wrong == ()
    assert all(value.keys() <= KEYS for value in found.values.values())
