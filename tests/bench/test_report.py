"""The tables land between their markers and nowhere else; their ratios are the medians'."""

from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.measure import Table
from tests.bench.stampede import Round, Wave
from tests.bench.test_bars import TABLE


def test_writing_keeps_what_stands_around(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write(file, "new")
    assert file.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"


@pytest.mark.parametrize(
    "text", ["", report.BEGIN, f"{report.END} {report.BEGIN}", f"{report.BEGIN * 2}{report.END}"]
)
def test_a_file_without_the_markers_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(SystemExit, match="nowhere to write"):
        report.write(file, "new")
    assert file.read_text() == text


def test_a_row_shows_medians_and_ratios() -> None:
    assert report.row(TABLE, "gateway").startswith("| **gateway** | 12,500 (1.25) | 80.0 (0.80) | 70 to 300 |")
    assert "| 150 (1.50) |" in report.row(TABLE, "gateway")


def test_hits_are_set_against_their_own_rival() -> None:
    table = Table(TABLE.samples | {"varnish": TABLE.samples["envoy"]}, {})
    assert report.row(table, "gateway", "varnish") == report.row(TABLE, "gateway")


def test_a_row_of_the_stampede_shows_medians_and_the_worst() -> None:
    waves = [Wave(requests, 200.0, last, 0, ()) for requests, last in ((1, 210.0), (1, 220.0), (9, 500.0))]
    rounds = [Round(wave, Wave(200, 3.0, 30.0, 199, ())) for wave in waves]
    row = "| nginx-lock | 1 (9) | 220 (500) | 200 (200) | 30 (30) | 199 of 200 |"
    assert report.stampede_row("nginx-lock", rounds) == row
