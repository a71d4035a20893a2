"""A window has what was counted within it: never less, and no more than one note's time before."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry import recent as module
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recent import INTERVAL, Counts, Recent, total


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_a_window_tells() -> None:
    clock, metrics = Clock(), Metrics()
    recent = Recent(metrics, clock=clock)
    route = metrics.route("ingress", "a")
    recent.note()
    clock.now += 20
    for status, seconds in ((200, 0.02), (200, 0.02), (503, 0.2), (429, 0.0001), (404, 0.0001), (499, 3.0)):
        route.begin()
        route.end(b"GET", status, seconds)
    window = recent.window(60)
    assert window.seconds == 20
    counts = window.routes[route]
    assert (counts.requests, counts.server_errors, counts.limited, counts.client_errors, counts.left) == (
        6,
        1,
        1,
        1,
        1,
    )
    assert counts.quantile(0.5) == pytest.approx(0.0175, abs=0.0075)
    assert window.of("egress") == Counts()
    assert window.of("ingress") == counts


def test_what_is_meant_to_last_is_in_no_quantile() -> None:
    metrics = Metrics()
    recent = Recent(metrics)
    route = metrics.route("ingress", "events")
    for seconds in (0.02, 600.0, 90.0):
        route.begin()
        route.end(b"GET", 200, seconds)
        if seconds > 1:
            route.lasting.observe(seconds)
    counts = recent.window(None).routes[route]
    assert (counts.requests, counts.lasting) == (3, 2)
    p99 = counts.quantile(0.99)
    assert p99 is not None
    assert p99 <= 0.025


@given(st.lists(st.floats(0.1, 40.0), max_size=60), st.sampled_from([60.0, 300.0]))
def test_a_window_is_whole_and_hardly_longer(gaps: list[float], seconds: float) -> None:
    """One request after each gap, a note whenever its time has come."""
    clock, metrics = Clock(), Metrics()
    recent = Recent(metrics, clock=clock)
    route = metrics.route("ingress", "a")
    recent.note()
    begun = due = clock.now
    due += INTERVAL
    moments = []
    for gap in gaps:
        until = clock.now + gap
        while due <= until:
            clock.now = due
            recent.note()
            due += INTERVAL
        clock.now = until
        route.begin()
        route.end(b"GET", 200, 0.01)
        moments.append(clock.now)
    window = recent.window(seconds)
    assert window.seconds <= min(seconds + INTERVAL, clock.now - begun) + 1e-6
    assert window.seconds >= min(seconds, clock.now - begun) - 1e-6
    counted = window.routes[route].requests
    assert counted == sum(moment > clock.now - window.seconds for moment in moments)
    assert recent.window(None).routes[route].requests == len(gaps)


def test_a_route_that_comes_anew_begins_anew() -> None:
    clock, metrics = Clock(), Metrics()
    recent = Recent(metrics, clock=clock)
    before = metrics.route("ingress", "a")
    before.begin()
    before.end(b"GET", 200, 0.1)
    recent.note()
    metrics.forget_route("ingress", "a")
    clock.now += 90
    after = metrics.route("ingress", "a")
    assert recent.window(60).routes == {after: Counts()}


def test_the_sum_of_routes() -> None:
    one = Counts((1, *(0,) * 17), 1, 0, 0, 0, 0, 0)
    two = Counts((1, *(0,) * 16, 1), 2, 1, 1, 1, 1, 1)
    assert total([one, two]) == Counts((2, *(0,) * 16, 1), 3, 1, 1, 1, 1, 1)
    assert total([]) == Counts()


def test_other_counts_never_run_backwards() -> None:
    clock, count = Clock(), {"hits": 5}
    recent = Recent(Metrics(), lambda: dict(count), clock)
    recent.note()
    clock.now += 60
    count["hits"] = 12
    assert recent.others(60) == {"hits": 7}
    count["hits"] = 1
    assert recent.others(60) == {"hits": 0}


def test_it_forgets() -> None:
    clock, metrics = Clock(), Metrics()
    recent = Recent(metrics, clock=clock)
    for _ in range(1000):
        recent.note()
        clock.now += INTERVAL
    assert len(recent._notes) == 32
    assert recent.window(300).seconds == 300


async def test_it_takes_notes_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.01)
    recent = Recent(Metrics())
    recent.start()
    async with asyncio.timeout(10):
        while len(recent._notes) < 3:
            await asyncio.sleep(0.01)
    recent.stop()
    noted = len(recent._notes)
    await asyncio.sleep(0.05)
    assert len(recent._notes) == noted
