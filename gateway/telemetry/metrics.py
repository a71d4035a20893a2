"""The registry of everything counted, by the names that dashboards use, and its reading for one scrape.

`snapshot` runs on the event loop, as every count does, so what it copies belongs together; turning the copy into
text is slow, and happens in a thread (`exposition.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from gateway.telemetry.counters import ConfigMetrics, ListenerMetrics, RouteMetrics, UpstreamMetrics
from gateway.telemetry.histogram import BOUNDS, Histogram

Number = int | float
Labels = tuple[str, ...]


class Family(NamedTuple):
    """A counter or a gauge as it stood: its samples are pairs of label values and a number.

    Samples may be an iterator over copies: what can be put off is left to the thread that renders.
    """

    kind: Literal["counter", "gauge"]
    name: str
    help: str
    labels: Labels
    samples: Iterable[tuple[Labels, Number]]


class HistogramFamily(NamedTuple):
    """A histogram as it stood: its samples are pairs of label values and (counts by bucket, sum)."""

    name: str
    help: str
    labels: Labels
    samples: Iterable[tuple[Labels, tuple[list[int], float]]]
    #: Upper bounds of the buckets but the last.
    bounds: tuple[float, ...] = BOUNDS


Snapshot = list[Family | HistogramFamily]


class Metrics:
    """All counters of the process. Asking twice for a name gives the same part, so counts survive a reload."""

    def __init__(self) -> None:
        self.loop_lag = Histogram()
        self.config = ConfigMetrics(time.time())
        self._routes: dict[tuple[str, str], RouteMetrics] = {}
        self._leaving: list[RouteMetrics] = []
        self._upstreams: dict[str, UpstreamMetrics] = {}
        self._listeners: dict[str, ListenerMetrics] = {}
        self._dropped_lines: dict[str, Callable[[], int]] = {}
        self._sources: dict[str, Callable[[], Iterable[Family | HistogramFamily]]] = {}

    def listener(self, name: str) -> ListenerMetrics:
        """The part of one listener."""
        return self._listeners.setdefault(name, ListenerMetrics(name))

    def route(self, listener: str, route: str) -> RouteMetrics:
        """The part of one route; `none` is the route of requests that match none."""
        key = (listener, route)
        return self._routes.setdefault(key, RouteMetrics(listener, route))

    def routes(self) -> list[RouteMetrics]:
        """Each route's part."""
        return list(self._routes.values())

    def in_flight(self, listener: str) -> int:
        """Requests of a listener under way, those of routes that are no more too."""
        return sum(part.in_flight for part in (*self._routes.values(), *self._leaving) if part.listener == listener)

    def forget_route(self, listener: str, route: str) -> None:
        """Let a removed route's counts vanish; its requests in flight still count for the listener."""
        self._leaving = [part for part in self._leaving if part.in_flight]
        part = self._routes.pop((listener, route), None)
        if part is not None:
            self._leaving.append(part)

    def upstream(self, name: str) -> UpstreamMetrics:
        """The part of one upstream."""
        return self._upstreams.setdefault(name, UpstreamMetrics(name))

    def forget_upstream(self, name: str) -> None:
        """Let a removed upstream's counts vanish."""
        self._upstreams.pop(name, None)

    def watch_dropped_lines(self, log: str, count: Callable[[], int]) -> None:
        """Ask `count` at each scrape how many lines the log named `log` has dropped so far."""
        self._dropped_lines[log] = count

    def watch(self, name: str, source: Callable[[], Iterable[Family | HistogramFamily]]) -> None:
        """Ask `source` for families of its own at each scrape, on the event loop; it replaces one of its name."""
        self._sources[name] = source

    def snapshot(self) -> Snapshot:
        """Everything as it stands. Call it on the event loop."""
        return [
            *self._of_routes(),
            *self._of_upstreams(),
            *self._of_listeners(),
            Family("gauge", "gateway_in_flight", "Exchanges under way.", ("scope", "name"), self._in_flight()),
            *self._of_process(),
            *(family for source in self._sources.values() for family in source()),
        ]

    def _of_routes(self) -> Iterator[Family | HistogramFamily]:
        routes = list(self._routes.values())
        requests = [(part.listener, part.route, part.requests.copy()) for part in routes]
        yield Family(
            "counter",
            "gateway_requests_total",
            "Requests answered, by what the client saw.",
            ("listener", "route", "method", "status"),
            (
                ((listener, route, method.decode("ascii"), str(status)), count)
                for listener, route, counts in requests
                for (method, status), count in counts.items()
            ),
        )
        yield HistogramFamily(
            "gateway_request_duration_seconds",
            "From a request's first byte to its response's last.",
            ("listener", "route"),
            [((part.listener, part.route), part.duration.snapshot()) for part in routes],
        )

    def _of_upstreams(self) -> Iterator[Family | HistogramFamily]:
        parts = list(self._upstreams.values())
        yield Family(
            "counter",
            "gateway_upstream_requests_total",
            "Calls to an upstream, by how they went.",
            ("upstream", "outcome"),
            [((part.name, outcome), count) for part in parts for outcome, count in part.outcomes.items()],
        )
        yield HistogramFamily(
            "gateway_upstream_duration_seconds",
            "Calls to an upstream, from taking a connection to the response's last byte.",
            ("upstream",),
            [((part.name,), part.duration.snapshot()) for part in parts],
        )
        yield Family(
            "gauge",
            "gateway_upstream_connections",
            "Connections to an upstream.",
            ("upstream", "state"),
            [
                ((part.name, state), count)
                for part in parts
                if part.connections is not None
                for state, count in part.connections().items()
            ],
        )
        yield Family(
            "gauge",
            "gateway_breaker_state",
            "0 closed, 1 half-open, 2 open.",
            ("upstream",),
            [((part.name,), part.breaker()) for part in parts if part.breaker is not None],
        )
        yield Family(
            "counter",
            "gateway_breaker_transitions_total",
            "Changes of a breaker's state.",
            ("upstream", "to"),
            [((part.name, to), count) for part in parts for to, count in part.all_transitions().items()],
        )

    def _of_listeners(self) -> Iterator[Family | HistogramFamily]:
        parts = list(self._listeners.values())
        label = ("listener",)
        yield Family(
            "gauge",
            "gateway_connections",
            "Client connections open.",
            label,
            [((part.name,), part.connections) for part in parts],
        )
        yield Family(
            "counter",
            "gateway_connections_refused_total",
            "Client connections turned away at the listener's limit.",
            label,
            [((part.name,), part.refused) for part in parts],
        )
        yield Family(
            "counter",
            "gateway_malformed_requests_total",
            "What clients sent that was not one unambiguous HTTP request.",
            label,
            [((part.name,), part.malformed) for part in parts],
        )

    def _in_flight(self) -> list[tuple[Labels, int]]:
        listeners = dict.fromkeys(self._listeners, 0)
        for part in (*self._routes.values(), *self._leaving):
            listeners[part.listener] = listeners.get(part.listener, 0) + part.in_flight
        return [
            *((("listener", name), count) for name, count in listeners.items()),
            *((("route", f"{part.listener}:{part.route}"), part.in_flight) for part in self._routes.values()),
            *((("upstream", part.name), part.in_flight) for part in self._upstreams.values()),
        ]

    def _of_process(self) -> Iterator[Family | HistogramFamily]:
        config = self.config
        yield HistogramFamily(
            "gateway_event_loop_lag_seconds",
            "How late the event loop came to a timer.",
            (),
            [((), self.loop_lag.snapshot())],
        )
        yield Family(
            "counter",
            "gateway_log_lines_dropped_total",
            "Log lines dropped because their sink was slow or broken.",
            ("log",),
            [((log,), count()) for log, count in self._dropped_lines.items()],
        )
        yield Family(
            "counter",
            "gateway_config_reloads_total",
            "Readings of a changed config.",
            ("result",),
            [((result,), count) for result, count in config.results.items()],
        )
        yield Family(
            "gauge",
            "gateway_config_last_reload_successful",
            "1 when the config in use is the newest one read, 0 when that one was wrong.",
            (),
            [((), int(config.ok))],
        )
        yield Family(
            "gauge",
            "gateway_config_last_reload_success_timestamp_seconds",
            "When the config in use was read.",
            (),
            [((), config.loaded_at)],
        )
