"""Wording: what a message shows of a value, and which name it thinks was meant."""

from __future__ import annotations

from gateway.settings.mistakes import ConfigError, Filled, Mistake, nearest, shown, suggestion


def test_mistakes_come_once_and_in_the_order_of_the_file() -> None:
    first, second, third = Mistake("f", 2, 9, "b"), Mistake("f", 10, 1, "a"), Mistake("f", 10, 3, "a")
    error = ConfigError([third, second, first, second])
    assert error.mistakes == [first, second, third]
    assert str(error) == "f:2:9: b\nf:10:1: a\nf:10:3: a"


def test_a_shown_value_is_quoted_on_one_line_and_short() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert shown("\x1b[31m") == "'\\x1b[31m'"
    assert len(shown("x" * 1000)) == 62


def test_a_shown_variable_is_as_written_but_for_its_default() -> None:
    assert shown(Filled("http://hunter2", "http://${HOST:-hunter2}")) == "'http://${HOST:-…}'"


def test_nearest() -> None:
    assert nearest("limts", ["limits", "routes"]) == "limits"
    assert nearest("get", ["GET", "PUT"]) == "GET"
    assert nearest("zzz", ["limits"]) is None
    assert nearest("x" * 1_000_000, ["limits"]) is None


def test_a_suggestion_names_the_nearest_or_what_there_is() -> None:
    assert suggestion("fel", ["fal", "openai"]) == "; did you mean 'fal'?"
    assert suggestion("zzz", ["fal", "openai"]) == "; known: fal, openai"
    assert suggestion("zzz", []) == ""
    assert suggestion("zzz", [str(number) for number in range(100)]) == ""
