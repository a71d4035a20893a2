"""`${...}`: what is filled in, what cannot be, and that it stays text and within bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.fill import Filler
from gateway.settings.mistakes import Filled
from tests.settings.configs import mistake, mistakes, of_upstream, read


def filled(text: str, env: dict[str, str] | None = None, folder: str = "") -> str:
    return Filler(env or {}, folder).fill(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${A:-d}", "1"),
        ("${NONE:-d}", "d"),
        ("${NONE:-}", ""),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("$${A}", "${A}"),
        ("$${A}${A}", "${A}1"),
        ("$A $ $$ {A}", "$A $ $$ {A}"),
    ],
)
def test_variables(text: str, value: str) -> None:
    assert filled(text, {"A": "1", "EMPTY": ""}) == value


def test_a_value_is_not_filled_in_again() -> None:
    assert filled("${A}", {"A": "${B}", "B": "1"}) == "${B}"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("${OPENAI_KEY}", "no OPENAI_KEY; did you mean 'OPENAI_API_KEY'"),
        ("${}", r"write \$\{NAME\}"),
        ("${1A}", r"write \$\{NAME\}"),
        ("${A B}", r"write \$\{NAME\}"),
        ("${A-d}", r"write \$\{NAME\}"),
        ("${A", r"without its \}"),
        ("${A:-${B}}", "cannot hold another"),
        ("${file:}", "not a regular file"),
    ],
)
def test_what_cannot_be_filled_in(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        filled(text, {"OPENAI_API_KEY": "hunter2"})


def test_what_was_filled_in_remembers_how_it_was_written() -> None:
    text = filled("${A}", {"A": "hunter2"})
    assert isinstance(text, Filled)
    assert text.written == "${A}"
    assert not isinstance(filled("$${A}"), Filled)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    (tmp_path / "crlf").write_bytes(b"hunter2\r\n")
    (tmp_path / "two").write_text("a\n\n")
    (tmp_path / "latin").write_bytes(b"\xff")
    (tmp_path / "large").write_text("x" * 70_000)
    assert filled("${file:key}", folder=str(tmp_path)) == "hunter2"
    assert filled(f"${{file:{tmp_path}/key}}", folder="/nowhere") == "hunter2"
    assert filled("${file:crlf}", folder=str(tmp_path)) == "hunter2"
    assert filled("${file:two}", folder=str(tmp_path)) == "a\n"
    for name, hint in [
        ("none", "No such file"),
        ("latin", "not UTF-8"),
        ("large", "too large"),
        ("a\0b", "cannot be"),
    ]:
        with pytest.raises(ValueError, match=hint):
            filled(f"${{file:{name}}}", folder=str(tmp_path))


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="not a regular file"):
        filled("${file:fifo}", folder=str(tmp_path))


def test_relative_paths_begin_at_the_config(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    text = of_upstream(preset="openai", api_key="${file:key}")
    key = read(text, name=str(tmp_path / "gateway.yaml")).upstreams["app"].api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"


def test_all_together_are_bounded() -> None:
    filler = Filler({"A": "x" * 60_000}, "")
    with pytest.raises(ValueError, match="too large"):
        filler.fill("${A}" * 1000)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_value_from_outside_never_becomes_yaml(value: str) -> None:
    """Whatever a variable holds, the key is that text, or one mistake at its place."""
    text = of_upstream(preset="openai", api_key="${KEY}")
    found = mistakes(text, {"KEY": value})
    if found:
        assert [line.split(":")[:2] for line in found] == [["7", "14"]]
        assert "visible ASCII" in found[0]
        return
    key = read(text, {"KEY": value}).upstreams["app"].api_key
    assert (key.get_secret_value() if key else "") == value


@pytest.mark.parametrize("value", ["{}", "a: b", "[x]", "&a", "null", "true", "123", "~"])
def test_a_value_that_looks_like_yaml_is_text(value: str) -> None:
    assert read(of_upstream(url="http://x", tls='{ca: "${CA}"}'), {"CA": value}).upstreams["app"].tls.ca == value


def test_numbers_and_switches_may_come_from_variables() -> None:
    text = of_upstream(
        url="http://x", pool='{connections: "${N}"}', breaker="${B:-false}", tls='{verify: "${V:-true}"}'
    )
    app = read(text, {"N": "5"}).upstreams["app"]
    assert (app.pool.connections, app.breaker, app.tls.verify) == (5, None, True)


def test_a_missing_variable_is_a_mistake_at_its_place_and_the_only_one() -> None:
    assert mistake(of_upstream(url="${APP}")) == "6:10: the environment has no APP"


def test_a_variable_cannot_stand_in_a_key() -> None:
    assert "6:5: a variable cannot stand in a key" in mistakes(of_upstream(**{"${X}": "1", "url": "http://x"}))
