"""From a snapshot to what Prometheus reads: its text format, or OpenMetrics when the scraper prefers it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import exposition as text
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from gateway.telemetry.metrics import Family, HistogramFamily, Metrics, Snapshot
from gateway.telemetry.version import version

Item = TypeVar("Item")

#: Samples made at one go, well under a millisecond of them; and the pause after, which must be more than nothing
#: for the other thread to wake in.
_PORTION = 72
_PAUSE = 0.00002
# All our names fit the old character set, where this escaping changes nothing and is by far the quickest.
_openmetrics = partial(openmetrics.generate_latest, escaping=openmetrics.ALLOWUTF8)


class Scraper:
    """Answers scrapes: the snapshot is taken on the event loop, its text made in a thread, one at a time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        # These have no counts of their own: they read /proc and the interpreter when collected.
        own = CollectorRegistry()
        self._others: tuple[Collector, ...] = (
            ProcessCollector(registry=None),
            PlatformCollector(registry=None),
            GCCollector(registry=own),
            _BuildInfo(version()),
        )

    async def scrape(self, accept: str) -> tuple[str, bytes]:
        """The content type and the text, by the Accept header's value."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._render, self._metrics.snapshot(), accept)

    def _render(self, families: Snapshot, accept: str) -> tuple[str, bytes]:
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(families))
        for collector in self._others:
            registry.register(collector)
        encode, content_type = _choose(accept)
        return content_type, encode(registry)


class SnapshotCollector(Collector):
    """prometheus_client's view of a snapshot."""

    def __init__(self, families: Snapshot) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Each family with its samples."""
        for family in self._families:
            yield _metric(family)


class _BuildInfo(Collector):
    def __init__(self, version: str) -> None:
        self._metric = InfoMetricFamily("gateway_build", "The gateway's version.", value={"version": version})

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def prefers_openmetrics(accept: str) -> bool:
    """Whether an Accept header (RFC 9110, section 12.5.1) names OpenMetrics, and nothing above it that we have."""
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for entry in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        if media_type in best:
            best[media_type] = max(best[media_type], _quality(parameters))
    return best["application/openmetrics-text"] > 0 and (best["application/openmetrics-text"] >= best["text/plain"])


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def _choose(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    if prefers_openmetrics(accept):
        return _openmetrics, openmetrics.CONTENT_TYPE_LATEST
    return text.generate_latest, text.CONTENT_TYPE_PLAIN_0_0_4


def _metric(family: Family | HistogramFamily) -> Metric:
    unit = "seconds" if family.name.endswith("_seconds") else ""
    metric: Metric
    if isinstance(family, HistogramFamily):
        metric = histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels, unit=unit)
        bounds = _bound_labels(family.bounds)
        for labels, (counts, total) in in_portions(family.samples, _PORTION // len(bounds)):
            cumulated = map(float, accumulate(counts))
            histogram.add_metric(labels, list(zip(bounds, cumulated, strict=True)), total)
    else:
        make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        metric = number = make(family.name, family.help, labels=family.labels, unit=unit)
        for labels, value in in_portions(family.samples, _PORTION):
            number.add_metric(labels, value)
    metric.samples = _Portions(metric.samples)
    return metric


@lru_cache(4)
def _bound_labels(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*(f"{bound:g}" for bound in bounds), "+Inf")


class _Portions(list[Sample]):
    """Samples which the encoders, too, walk in portions."""

    def __iter__(self) -> Iterator[Sample]:
        return in_portions(super().__iter__(), _PORTION)


def in_portions(items: Iterable[Item], size: int) -> Iterator[Item]:
    """Yield all items, with a pause after each `size` of them in which the event loop's thread can run.

    The interpreter would let it wait for 5 ms (`sys.getswitchinterval`) each time it comes back from its poll.
    """
    for number, item in enumerate(items, 1):
        yield item
        if number % size == 0:
            time.sleep(_PAUSE)
