"""What is counted of the cache, and what a scrape makes of it."""

from __future__ import annotations

import pytest

from gateway.rules.storable import Why
from gateway.telemetry.cache import BOUNDS, REASONS, RESULTS, CacheMetrics, RouteCounts
from gateway.telemetry.exposition import Scraper
from gateway.telemetry.histogram import BOUNDS as USUAL
from gateway.telemetry.metrics import HistogramFamily, Labels, Metrics, Number


class Holding:
    """A store of a known size."""

    size = 4096
    evictions = 7

    def __len__(self) -> int:
        return 3


class Finding:
    hits = 5
    misses = 2


def numbers(cache: CacheMetrics, name: str) -> dict[Labels, Number]:
    for family in cache.families():
        if family.name == name and not isinstance(family, HistogramFamily):
            return dict(family.samples)
    raise AssertionError(f"no {name}")


def test_each_result_is_counted_by_its_word() -> None:
    cache = CacheMetrics()
    counts = cache.route("ingress", "models")
    for number, result in enumerate(RESULTS, 1):
        setattr(counts, result, number)
    assert numbers(cache, "gateway_cache_requests_total") == {
        ("models", result): number for number, result in enumerate(RESULTS, 1)
    }
    assert list(counts.results()) == list(RESULTS)


def test_routes_of_one_name_on_two_listeners_are_added_and_those_gone_forgotten() -> None:
    cache = CacheMetrics()
    cache.route("ingress", "/**").hit += 2
    cache.route("egress", "/**").hit += 3
    cache.route("ingress", "/**").not_stored(Why.PRIVATE)
    assert numbers(cache, "gateway_cache_requests_total")["/**", "hit"] == 5
    assert numbers(cache, "gateway_cache_not_stored_total") == {("/**", "private"): 1}
    cache.forget_route("ingress", "/**")
    cache.forget_route("ingress", "never-there")
    assert numbers(cache, "gateway_cache_requests_total")["/**", "hit"] == 3
    assert numbers(cache, "gateway_cache_not_stored_total") == {}


def test_there_is_room_for_every_reason_and_for_no_free_text() -> None:
    counts = RouteCounts("ingress", "a")
    for why in Why:
        counts.not_stored(why)
    assert len(list(Why)) < REASONS
    for number in range(1000):
        counts.not_stored(f"text {number}")
    assert len(counts.reasons) == REASONS + 1
    assert sum(counts.reasons.values()) == 1000 + len(list(Why))


def test_tiers() -> None:
    cache = CacheMetrics()
    assert numbers(cache, "gateway_cache_entries") == {}
    cache.watch_memory(Holding())
    cache.memory.hits += 1
    cache.watch_redis(Finding(), lambda: False)
    assert numbers(cache, "gateway_cache_entries") == {("memory",): 3}
    assert numbers(cache, "gateway_cache_bytes") == {("memory",): 4096}
    assert numbers(cache, "gateway_cache_evictions_total") == {("memory",): 7}
    assert numbers(cache, "gateway_cache_look_ups_total") == {
        ("memory", "hit"): 1,
        ("memory", "miss"): 0,
        ("redis", "hit"): 5,
        ("redis", "miss"): 2,
    }
    assert [(tier.name, tier.up()) for tier in cache.tiers()] == [("memory", True), ("redis", False)]
    cache.forget_redis()
    assert [tier.name for tier in cache.tiers()] == ["memory"]


def test_the_mean_is_of_what_was_timed() -> None:
    cache = CacheMetrics()
    assert cache.redis.mean is None
    cache.redis.observe(0.002)
    cache.redis.observe(0.004)
    assert cache.redis.mean == pytest.approx(0.003)


async def test_a_scrape_has_buckets_that_fit_a_look_up() -> None:
    metrics, cache = Metrics(), CacheMetrics()
    metrics.watch("cache", cache.families)
    cache.watch_memory(Holding())
    cache.memory.observe(0.000002)
    cache.flights = lambda: 4
    _, text = await Scraper(metrics).scrape("")
    lines = text.decode().splitlines()
    assert 'gateway_cache_seconds_bucket{le="1e-06",tier="memory"} 0.0' in lines
    assert 'gateway_cache_seconds_bucket{le="2.5e-06",tier="memory"} 1.0' in lines
    assert 'gateway_cache_seconds_bucket{le="+Inf",tier="memory"} 1.0' in lines
    assert "gateway_cache_flights 4.0" in lines
    assert 'gateway_event_loop_lag_seconds_bucket{le="0.0005"} 0.0' in lines
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert len(BOUNDS) == len(USUAL), "a scrape's portions are made for as many"
