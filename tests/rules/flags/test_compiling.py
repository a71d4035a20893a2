"""What is taken apart, and what is noted of what is not what it should be."""

from __future__ import annotations

import pytest

from gateway.rules.flags.compiling import Notes, as_text, same, shown


def test_what_is_wrong_has_its_place_and_something_to_go_on_with() -> None:
    notes = Notes()
    at = ("define", "A")
    assert notes.mapping([1], at) == {}
    assert notes.items({"a": 1}, (*at, "users")) == ()
    assert notes.texts(["a", 1, None, True, {}], (*at, "users")) == ("a", "1", "true")
    assert not notes.flag("yes", (*at, "enabled"), True)
    assert notes.mapping({"rolout": 1}, at, frozenset({"rollout", "users"})) == {"rolout": 1}
    assert [str(one) for one in notes.wrong] == [
        "define.A: a mapping is wanted, not list",
        "define.A.users: a list is wanted, not dict",
        "define.A.users.2: a text is wanted, not None",
        "define.A.users.4: a text is wanted, not dict",
        "define.A.enabled: true or false is wanted, not 'yes'",
        "define.A.rolout: no such key; is it rollout?",
    ]


def test_nothing_is_what_it_would_be_unset() -> None:
    notes = Notes()
    assert notes.items(None, ()) == ()
    assert notes.flag(None, (), True)
    assert not notes.flag(None, (), False)
    assert notes.wrong == []


def test_scalars_are_text_and_messages_are_short() -> None:
    assert [as_text(one) for one in ("a", 1, 1.5, True, None, [])] == ["a", "1", "1.5", "true", None, None]
    assert len(shown("x" * 1000)) == 60


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True), ({"a": 1}, {"a": 1, "b": None}, False),
        (True, 1, False), (1, 1.0, False), ([True], [1], False), ({"a": 0}, {"a": False}, False), ("1", 1, False),
        ([1, 2], [2, 1], False), ([], {}, False), (None, None, True), ({"a": 1}, {"b": 1}, False),
        ([1], [1, 2], False),
    ],
)  # fmt: skip
def test_what_is_written_alike(one: object, other: object, alike: bool) -> None:
    assert same(one, other) is same(other, one) is alike
