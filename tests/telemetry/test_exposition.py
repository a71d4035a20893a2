"""What a scraper reads: both formats parse, numbers belong together, Prometheus's own linter has nothing to say."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator

import pytest
from prometheus_client import parser as text_parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from gateway.telemetry.exposition import Scraper, in_portions, prefers_openmetrics
from gateway.telemetry.histogram import BOUNDS
from gateway.telemetry.metrics import Metrics

Parser = Callable[[str], Iterable[Metric]]
OPENMETRICS = "application/openmetrics-text"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,/;q=0.1"
)
#: The names of the contract that the gateway has so far, and those beside it that the operator's pages tell of.
NAMES = {
    "gateway_requests_total",
    "gateway_request_duration_seconds",
    "gateway_in_flight",
    "gateway_upstream_requests_total",
    "gateway_upstream_duration_seconds",
    "gateway_upstream_connections",
    "gateway_breaker_state",
    "gateway_breaker_transitions_total",
    "gateway_event_loop_lag_seconds",
    "gateway_connections",
    "gateway_connections_refused_total",
    "gateway_malformed_requests_total",
    "gateway_log_lines_dropped_total",
    "gateway_config_reloads_total",
    "gateway_config_last_reload_successful",
    "gateway_config_last_reload_success_timestamp_seconds",
    "gateway_build_info",
}


def _in_use(routes: int = 1) -> Metrics:
    metrics = Metrics()
    for number in range(routes):
        route = metrics.route("ingress", f"route-{number}")
        route.begin()
        route.begin()
        route.end(b"GET", 200, 0.003)
    listener = metrics.listener("ingress")
    listener.opened()
    listener.malformed_request()
    app = metrics.upstream("app")
    app.begin()
    app.end("ok", 0.5)
    app.watch_connections(lambda: {"idle": 1, "busy": 2})
    app.watch_breaker(lambda: 0)
    app.transition("open")
    metrics.watch_dropped_lines("access", lambda: 3)
    metrics.loop_lag.observe(0.0001)
    metrics.config.reloaded(ok=True, at=1700000000.5)
    return metrics


async def _text(metrics: Metrics, accept: str = "") -> str:
    return (await Scraper(metrics).scrape(accept))[1].decode()


def _by_name(text: str, parse: Parser = text_parser.text_string_to_metric_families) -> dict[str, Metric]:
    return {metric.name: metric for metric in parse(text)}


def _value(metric: Metric, name: str, **labels: str) -> float:
    return next(sample.value for sample in metric.samples if sample.name == name and sample.labels == labels)


async def test_every_name_is_there_with_its_type() -> None:
    types = dict(
        line.removeprefix("# TYPE ").split()
        for line in (await _text(_in_use())).splitlines()
        if line.startswith("# TYPE ")
    )
    assert {name for name in types if name.startswith("gateway_")} == NAMES
    for name, kind in types.items():
        assert name.endswith("_total") == (kind == "counter"), name
    assert {"process_cpu_seconds_total", "process_open_fds", "python_gc_collections_total", "python_info"} <= set(
        types
    )


async def test_a_histogram_is_cumulated() -> None:
    metrics = Metrics()
    route = metrics.route("egress", "openai")
    for seconds in (0.0004, 0.0005, 0.3, 500.0):
        route.end(b"POST", 200, seconds)
    family = _by_name(await _text(metrics))["gateway_request_duration_seconds"]
    labels = {"listener": "egress", "route": "openai"}
    name = "gateway_request_duration_seconds"
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name == f"{name}_bucket"}
    assert [float(bound) for bound in buckets] == [*BOUNDS, float("inf")]
    assert (buckets["0.0005"], buckets["0.25"], buckets["0.5"], buckets["120"], buckets["+Inf"]) == (2, 2, 3, 3, 4)
    assert _value(family, f"{name}_count", **labels) == 4
    assert _value(family, f"{name}_sum", **labels) == pytest.approx(500.3009)


async def test_names_from_the_config_are_escaped() -> None:
    metrics = Metrics()
    name = 'a"b\\c\nd/**'
    metrics.route("ingress", name).end(b"GET", 200, 0.1)
    parsers: dict[str, Parser] = {
        "": text_parser.text_string_to_metric_families,
        OPENMETRICS: openmetrics_parser.text_string_to_metric_families,
    }
    for accept, parse in parsers.items():
        family = _by_name(await _text(metrics, accept), parse)["gateway_requests"]
        assert [sample.labels["route"] for sample in family.samples] == [name]


async def test_openmetrics_says_the_same() -> None:
    metrics = _in_use()
    openmetrics = await _text(metrics, OPENMETRICS)
    assert openmetrics.endswith("# EOF\n")
    parsed = _by_name(openmetrics, openmetrics_parser.text_string_to_metric_families)
    plain = _by_name(await _text(metrics))
    for name in ("gateway_requests", "gateway_request_duration_seconds", "gateway_in_flight", "gateway_connections"):
        assert sorted(map(str, parsed[name].samples)) == sorted(map(str, plain[name].samples))
    assert parsed["gateway_build"].type == "info"
    assert parsed["gateway_request_duration_seconds"].unit == "seconds"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        (OPENMETRICS, True),
        (OPENMETRICS.upper(), True),
        (PROMETHEUS, True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.3, text/plain", False),
        ("application/openmetrics-text, text/plain;q=0.9", True),
        ("application/openmetrics-text;q=high", False),
        ("application/openmetrics-text;version=abc", True),
        ("application/json", False),
        (";,;=,q=1;;;", False),
    ],
)
async def test_the_format_is_chosen_by_the_accept_field(accept: str, expected: bool) -> None:
    assert prefers_openmetrics(accept) == expected
    content_type, text = await Scraper(Metrics()).scrape(accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0" if expected else "text/plain; ")
    assert text.endswith(b"# EOF\n") == expected


def test_portions_lose_nothing() -> None:
    for size in (1, 7, 100):
        assert list(in_portions(range(100), size)) == list(range(100))
    assert list(in_portions([], 3)) == []


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns every 10 us, so that what can be torn is."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


async def test_a_scrape_under_traffic_is_never_torn_and_traffic_goes_on(often: None) -> None:
    metrics = _in_use(routes=30)
    routes = [metrics.route("ingress", f"route-{number}") for number in range(30)]
    scraper = Scraper(metrics)
    for _ in range(10):
        task = asyncio.create_task(scraper.scrape(""))
        turns = 0
        while not task.done():
            for route in routes:
                route.begin()
                route.end(b"GET", 200 + turns % 3, 0.001 * (turns % 50))
            turns += 1
            await asyncio.sleep(0)
        assert turns > 3, "the loop must run while the text is made"
        families = _by_name(task.result()[1].decode())
        requests: dict[str, float] = {}
        for sample in families["gateway_requests"].samples:
            requests[sample.labels["route"]] = requests.get(sample.labels["route"], 0) + sample.value
        observed = {
            sample.labels["route"]: sample.value
            for sample in families["gateway_request_duration_seconds"].samples
            if sample.name.endswith("_count")
        }
        assert requests == observed
        assert len(set(requests.values())) == 1, "all routes were counted alike"


async def test_promtool_finds_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    text = await _text(_in_use())
    done = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
