"""The kinds of value: text or ready value, bounds, `false`, and what may stand in place of a mapping."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import ValidationError

from gateway.settings.types import (
    Alternative,
    Choice,
    Duration,
    Kind,
    Section,
    Share,
    Size,
    Switch,
    Text,
    Whole,
    parse_name,
    sections_in,
)


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (Duration(), "30s", 30.0),
        (Duration(), 30.0, 30.0),
        (Duration(off=True), "false", None),
        (Duration(off=True), "False", None),
        (Duration(off=True), False, None),
        (Duration(off=True), None, None),
        (Size(), "1KiB", 1024),
        (Size(), 1024, 1024),
        (Share(off=True), "50%", 0.5),
        (Whole(), "5", 5),
        (Whole(), 5, 5),
        (Switch(), "true", True),
        (Switch(), False, False),
        (Text(), "false", "false"),
        (Text(optional=True), None, None),
        (Choice(words=("a", "b")), "a", "a"),
    ],
)
def test_a_kind_reads_text_and_takes_ready_values(kind: Kind, value: Any, read: Any) -> None:
    assert kind.check(value) == read


@pytest.mark.parametrize(
    ("kind", "value", "hint"),
    [
        (Duration(low=1), "999ms", "'999ms' is out of range: at least 1s"),
        (Duration(low=1, high=60), "61s", "'61s' is out of range: 1s to 1m"),
        (Duration(low=0.001), "0", "out of range: at least 1ms"),
        (Duration(), "false", "is not a duration"),
        (Duration(low=1), 0.5, "out of range"),
        (Size(low=64), "63B", "out of range: at least 64B"),
        (Share(low=0.01, high=1), "0%", "out of range: 1% to 100%"),
        (Whole(low=1, high=9), "10", "out of range: 1 to 9"),
        (Whole(), {}, "must be one value, not a mapping"),
        (Text(), ["a"], "must be one value, not a list"),
        (Text(), None, "no value here"),
        (Choice(words=("debug", "info")), "inf", "'inf' is not known; did you mean 'info'"),
    ],
)
def test_what_a_kind_refuses(kind: Kind, value: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        kind.check(value)


class Inner(Section):
    total: Annotated[float, Duration()] = 1.0


class Outer(Section):
    short: Annotated[Inner | None, Alternative(short=Duration(), key="total")] = None
    true: Annotated[Inner | None, Alternative(true=True)] = None
    items: tuple[Inner, ...] = ()


def test_an_alternative_brings_other_ways_into_the_form_of_a_mapping() -> None:
    assert Outer.model_validate({"short": {"total": "2s"}}).short == Inner(total=2)
    assert Outer.model_validate({"short": "3s"}).short == Inner(total=3)
    assert Outer.model_validate({"short": "false"}).short is None
    assert Outer.model_validate({"short": False}).short is None
    assert Outer(short=Inner(total=4)).short == Inner(total=4)
    assert [Outer.model_validate({"true": value}).true for value in ("true", True, {})] == [Inner()] * 3
    assert [Outer.model_validate({"true": value}).true for value in ("false", False)] == [None] * 2
    with pytest.raises(ValidationError):
        Outer.model_validate({"short": "true"})


def test_sections_are_frozen_and_know_their_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Inner().total = 2.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="totl"):
        Inner.model_validate({"totl": "2s"})


def test_validation_errors_do_not_show_the_input() -> None:
    with pytest.raises(ValidationError) as raised:
        Inner.model_validate("hunter2")
    assert "hunter2" not in str(raised.value)


def test_sections_in() -> None:
    assert [*sections_in(Outer.model_fields["short"].annotation)] == [Inner]
    assert [*sections_in(dict[str, Outer | None])] == [Outer]
    assert [*sections_in(int)] == []


@pytest.mark.parametrize("text", ["a", "/users/:id", "GET /a", "404", "x" * 100])
def test_names(text: str) -> None:
    assert parse_name(text) == text


@pytest.mark.parametrize("text", ["", "x" * 101, "ä", "a\nb", 'a"\x00', "none"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name"):
        parse_name(text)
