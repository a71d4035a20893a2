"""The registry: the same part for the same name, removed names gone, sums right meanwhile."""

from __future__ import annotations

from gateway.telemetry.counters import BREAKER_STATES
from gateway.telemetry.metrics import HistogramFamily, Labels, Metrics, Number


def _numbers(metrics: Metrics, name: str) -> dict[Labels, Number]:
    for family in metrics.snapshot():
        if family.name == name and not isinstance(family, HistogramFamily):
            return dict(family.samples)
    raise AssertionError(f"no {name}")


def _counts(metrics: Metrics, name: str) -> dict[Labels, int]:
    for family in metrics.snapshot():
        if family.name == name and isinstance(family, HistogramFamily):
            return {labels: sum(counts) for labels, (counts, _) in family.samples}
    raise AssertionError(f"no {name}")


def test_a_name_asked_for_again_goes_on_counting() -> None:
    metrics = Metrics()
    metrics.route("ingress", "a").end(b"GET", 200, 0.1)
    metrics.route("ingress", "a").end(b"GET", 200, 0.1)
    metrics.upstream("app").end("ok", 0.1)
    metrics.upstream("app").end("ok", 0.1)
    metrics.listener("ingress").malformed_request()
    metrics.listener("ingress").malformed_request()
    assert _numbers(metrics, "gateway_requests_total") == {("ingress", "a", "GET", "200"): 2}
    assert _counts(metrics, "gateway_request_duration_seconds") == {("ingress", "a"): 2}
    assert _numbers(metrics, "gateway_upstream_requests_total") == {("app", "ok"): 2}
    assert _counts(metrics, "gateway_upstream_duration_seconds") == {("app",): 2}
    assert _numbers(metrics, "gateway_malformed_requests_total") == {("ingress",): 2}


def test_in_flight_by_route_listener_and_upstream() -> None:
    metrics = Metrics()
    metrics.listener("egress")
    metrics.route("ingress", "a").begin()
    metrics.route("ingress", "/b/**").begin()
    metrics.route("ingress", "/b/**").begin()
    metrics.upstream("app").begin()
    assert _numbers(metrics, "gateway_in_flight") == {
        ("listener", "egress"): 0,
        ("listener", "ingress"): 3,
        ("route", "ingress:a"): 1,
        ("route", "ingress:/b/**"): 2,
        ("upstream", "app"): 1,
    }


def test_a_forgotten_route_vanishes_but_its_requests_still_count_for_the_listener() -> None:
    metrics = Metrics()
    leaving = metrics.route("ingress", "old")
    leaving.begin()
    leaving.begin()
    leaving.end(b"GET", 200, 0.1)
    metrics.forget_route("ingress", "old")
    assert _numbers(metrics, "gateway_requests_total") == {}
    assert _counts(metrics, "gateway_request_duration_seconds") == {}
    assert _numbers(metrics, "gateway_in_flight") == {("listener", "ingress"): 1}
    leaving.end(b"GET", 200, 0.1)
    assert _numbers(metrics, "gateway_in_flight") == {("listener", "ingress"): 0}


def test_a_route_that_comes_back_begins_at_nought() -> None:
    metrics = Metrics()
    old = metrics.route("ingress", "a")
    old.begin()
    metrics.forget_route("ingress", "a")
    metrics.route("ingress", "a").begin()
    old.end(b"GET", 200, 0.1)
    assert _numbers(metrics, "gateway_requests_total") == {}
    assert _numbers(metrics, "gateway_in_flight") == {("listener", "ingress"): 1, ("route", "ingress:a"): 1}


def test_reloads_for_ever_leave_nothing_behind() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.route("ingress", f"r{number}").end(b"GET", 200, 0.1)
        metrics.route("ingress", f"r{number}").begin()
        metrics.forget_route("ingress", f"r{number}")
    assert len(metrics._leaving) <= 1


def test_a_forgotten_upstream_vanishes() -> None:
    metrics = Metrics()
    metrics.upstream("app").end("ok", 0.1)
    metrics.forget_upstream("app")
    metrics.forget_upstream("never-there")
    metrics.forget_route("ingress", "never-there")
    assert _numbers(metrics, "gateway_upstream_requests_total") == {}


def test_what_is_watched_is_asked_at_each_snapshot() -> None:
    metrics = Metrics()
    states = {"idle": 3, "busy": 1}
    breaker = [0]
    metrics.upstream("app").watch_connections(lambda: states)
    metrics.upstream("app").watch_breaker(lambda: breaker[0])
    metrics.upstream("unwatched")
    metrics.watch_dropped_lines("access", lambda: 7)
    assert _numbers(metrics, "gateway_upstream_connections") == {("app", "idle"): 3, ("app", "busy"): 1}
    assert _numbers(metrics, "gateway_log_lines_dropped_total") == {("access",): 7}
    states["busy"] = 2
    breaker[0] = BREAKER_STATES.index("open")
    assert _numbers(metrics, "gateway_upstream_connections")["app", "busy"] == 2
    assert _numbers(metrics, "gateway_breaker_state") == {("app",): 2}
    assert _numbers(metrics, "gateway_breaker_transitions_total")["app", "open"] == 0


def test_a_snapshot_does_not_change_with_later_requests() -> None:
    metrics = Metrics()
    route = metrics.route("ingress", "a")
    route.end(b"GET", 200, 0.1)
    families = {family.name: family for family in metrics.snapshot()}
    route.end(b"GET", 200, 0.1)
    route.end(b"GET", 404, 0.1)
    assert list(families["gateway_requests_total"].samples) == [(("ingress", "a", "GET", "200"), 1)]


def test_connections_and_config() -> None:
    metrics = Metrics()
    metrics.listener("ingress").opened()
    metrics.listener("ingress").refuse()
    assert _numbers(metrics, "gateway_connections") == {("ingress",): 1}
    assert _numbers(metrics, "gateway_connections_refused_total") == {("ingress",): 1}
    assert _numbers(metrics, "gateway_config_last_reload_successful") == {(): 1}
    metrics.config.reloaded(ok=False, at=5.0)
    assert _numbers(metrics, "gateway_config_last_reload_successful") == {(): 0}
    assert _numbers(metrics, "gateway_config_reloads_total") == {("success",): 0, ("failure",): 1}
    metrics.config.reloaded(ok=True, at=7.0)
    assert _numbers(metrics, "gateway_config_last_reload_success_timestamp_seconds") == {(): 7.0}
