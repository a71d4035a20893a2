"""A loop that is held up shows it, for a while."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.telemetry import loop_lag
from gateway.telemetry.histogram import BOUNDS, Histogram
from gateway.telemetry.loop_lag import LoopLag


async def _looks(histogram: Histogram, count: int) -> None:
    async with asyncio.timeout(10):
        while sum(histogram.counts) < count:
            await asyncio.sleep(0.01)


async def test_a_stall_is_seen_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every test of a stall stalls the machine's other tests too, so the lag that is told is set lower here.
    monkeypatch.setattr(loop_lag, "NOTICEABLE", 0.15)
    histogram = Histogram()
    lag = LoopLag(histogram)
    lag.start()
    try:
        time.sleep(0.3)
        await _looks(histogram, 1)
    finally:
        lag.stop()
    assert sum(histogram.counts[BOUNDS.index(0.1) + 1 :]) == 1, histogram.counts
    state, detail = lag.health()
    assert state == "degraded"
    assert detail.startswith("the event loop was late by 0.")


async def test_a_stall_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "MEMORY", 0.2)
    monkeypatch.setattr(loop_lag, "NOTICEABLE", 0.5)
    histogram = Histogram()
    lag = LoopLag(histogram)
    lag.start()
    try:
        time.sleep(0.7)
        await _looks(histogram, 1)
        assert lag.health()[0] == "degraded"
        async with asyncio.timeout(10):
            while lag.health()[0] == "degraded":
                await asyncio.sleep(0.02)
    finally:
        lag.stop()
    assert lag.health() == ("healthy", "")


async def test_it_looks_again_and_again_until_stopped() -> None:
    histogram = Histogram()
    lag = LoopLag(histogram)
    lag.start()
    await _looks(histogram, 3)
    lag.stop()
    lag.stop()
    seen = sum(histogram.counts)
    await asyncio.sleep(0.25)
    assert sum(histogram.counts) == seen
