"""Tables on a terminal of 80 columns: no number and no title is broken, and what tells something is there."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.cli.main import main
from gateway.cli.table import Grid, rendered
from tests.cli.conftest import Background


def shown(grid: Grid, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, color_system=None).print(rendered([grid]))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_columns_without_news_make_room() -> None:
    columns = ("RULE", "ALLOWED", "REFUSED", "NOTE")
    rows = [("ingress/generate/daily", 1234567, 0, ""), ("ingress//all", 7, 0, "")]
    assert shown(Grid(columns, rows, ""), 80)[0].split() == ["RULE", "ALLOWED", "REFUSED", "NOTE"]
    narrow = shown(Grid(columns, rows, ""), 40)
    assert narrow[0].split() == ["RULE", "ALLOWED"]
    assert narrow[2].split() == ["ingress/generate/daily", "1234567"]


@given(
    st.lists(
        st.tuples(st.text("ab/", min_size=1, max_size=60), st.integers(0, 10**9), st.integers(0, 99)), min_size=1
    )
)
def test_no_number_is_ever_broken(rows: list[tuple[str, int, int]]) -> None:
    lines = shown(Grid(("NAME", "ADMITTED", "REFUSED"), rows, ""), 40)
    assert all(len(line) <= 40 for line in lines)
    words = {word for line in lines for word in line.split()}
    assert {str(admitted) for _, admitted, _ in rows} - {"0"} <= words
    assert {str(refused) for *_, refused in rows} - {"0"} <= words


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["status", "health"],
        ["status", "connections"],
        ["status", "slow"],
        ["status", "routes"],
        ["limits"],
        ["breakers"],
        ["cache"],
        ["cache", "top"],
        ["flags"],
    ],
)
def test_every_page_fits_80_columns(
    words: list[str], admin: Background, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert main([*words, "--url", admin.url]) == 0
    lines = capsys.readouterr().out.splitlines()
    rules = [number for number, line in enumerate(lines) if line.startswith("──")]
    assert rules or words == ["cache", "top"]
    for number in rules:
        assert len(lines[number]) <= 80
        # A title that is broken has its beginning in a line above the others'.
        assert number == 1 or not lines[number - 2].strip().isupper(), lines[number - 2 : number]
        assert len(lines[number - 1]) <= 80
