"""Nodes to plain data: what is noted on the way, and where things are."""

from __future__ import annotations

from typing import Any

from gateway.settings.document import compose
from gateway.settings.fill import Filler
from gateway.settings.reading import Reading


def read(text: str) -> tuple[Any, Reading]:
    root = compose(text)
    assert root is not None
    reading = Reading("f", Filler({"A": "1"}, ""))
    return reading.data(root), reading


def test_data_is_dicts_lists_and_texts() -> None:
    data, reading = read("a: 1\nb: [x, {c: no}, '${A}']\n")
    assert data == {"a": "1", "b": ["x", {"c": "no"}, "1"]}
    assert reading.mistakes == []


def test_places_of_keys_and_values() -> None:
    _, reading = read("a:\n  b: [x, y]\n")
    assert (reading.key_place(("a", "b")), reading.place(("a", "b"))) == ((2, 3), (2, 6))
    assert reading.place(("a", "b", 1)) == (2, 10)
    assert reading.key_place(("a", "b", 1)) == (2, 10)


def test_what_is_not_there_is_where_the_nearest_around_it_is() -> None:
    _, reading = read("a:\n  b: 1\n")
    assert reading.place(("a", "b", "c", 0)) == (2, 6)


def test_what_has_no_value_is_settled_with_all_below_it() -> None:
    data, reading = read("a:\nb: [~, '${NONE}']\n")
    assert data == {"a": None, "b": [None, None]}
    assert [str(mistake).split(": ")[0] for mistake in reading.mistakes] == ["f:1:1", "f:2:5", "f:2:8"]
    assert reading.is_settled(("a",))
    assert reading.is_settled(("a", "x"))
    assert reading.is_settled(("b", 1))
    assert not reading.is_settled(("b",))


def test_the_first_of_two_equal_keys_counts() -> None:
    data, reading = read("a: 1\na: 2\n")
    assert data == {"a": "1"}
    assert [str(mistake) for mistake in reading.mistakes] == ["f:2:1: 'a' is written twice, first in line 1"]
