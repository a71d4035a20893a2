"""The Redis server goes, and comes back, under two gateways whose rules all ask it, at 500 requests a second.

What each request got and how long it took is returned; what must hold in any case is asserted here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.fleet import fleet
from tests.faults.steady import Asked, Steady
from tests.support.client import Address, fetch
from tests.support.gateway import Gateway, until

RATE = 500  # requests a second
TIMEOUT = 0.1  # seconds: state.timeout; twice the default, for a machine that others use
GRACE = 0.02  # seconds besides that a request may be later than without Redis
FAILURES = 20  # in a row: state.breaker.failures; twice the default too, for a moment's pause is no outage
RESET = 0.25  # seconds: state.breaker.reset
GATEWAYS = 2
SMALL = 80  # a second
QUIET = 0.8  # seconds before anything happens; enough for SMALL's burst to be used up

_ROUTES: list[dict[str, Any]] = [
    {"path": "/small", "rate_limit": [{"limit": f"{SMALL}/s"}]},
    {"path": "/once", "rate_limit": [{"limit": "3/h"}]},
    {"path": "/wide", "rate_limit": [{"limit": "10000/s"}, {"limit": "1000000/min", "by": "ip"}]},
]


@dataclass(frozen=True)
class Fault:
    """What happens to the server, what mends it, and whether it is to be waited for."""

    begin: Callable[[], object]
    end: Callable[[], object]


@dataclass(frozen=True)
class Outage:
    """The requests, and when it began, when all gateways knew, when it ended, when all gateways knew."""

    load: Steady
    began: float
    known: float
    mended: float
    back: float

    @property
    def struck(self) -> list[float]:
        """How much later than the others those were that asked the server, or may have, while it was not there."""
        usual = median(one.took for one in self.load.since(self.known, self.mended))
        return sorted(one.took - usual for one in self.load.since(self.began - TIMEOUT, self.known))

    @property
    def spared(self) -> list[float]:
        """How long those took that came when all knew."""
        return sorted(one.took for one in self.load.since(self.known, self.mended))

    def passed_alone(self, gateway: int) -> float:
        """How many a second of the small limit one gateway let through while all knew."""
        alone = self.load.since(self.known, self.mended)
        passed = sum(one.status == 200 for one in alone if (one.target, one.gateway) == ("/small", gateway))
        return passed / (self.mended - self.known)

    def passed(self) -> list[Asked]:
        """All that the small limit let through."""
        return [one for one in self.load.asked if one.target == "/small" and one.status == 200]


async def ride_out(directory: Path, origin: Address, redis: str, fault: Fault, seconds: float) -> Outage:
    """Have it happen, for so long."""
    breaker = {"failures": FAILURES, "reset": f"{RESET * 1000:.0f}ms"}
    state = {"redis": redis, "timeout": f"{TIMEOUT * 1000:.0f}ms", "breaker": breaker}
    routes = [{**route, "name": route["path"][1:], "upstream": "app"} for route in _ROUTES]
    sections = {"ingress": {"routes": routes}, "state": state}
    async with fleet(directory, origin, GATEWAYS, known=True, **sections) as gateways:
        assert await _once(gateways) == [200, 200]
        assert await _once(gateways) == [200, 429]
        await _refused(gateways)
        addresses = [gateway.ingress for gateway in gateways]
        async with Steady(addresses, lambda number: ("/small", "/wide")[number // GATEWAYS % 2], RATE) as load:
            await asyncio.sleep(QUIET)
            await _seen(gateways, up=True)
            began = time.monotonic()
            await asyncio.to_thread(fault.begin)
            await _told(gateways, "state_down")
            known = time.monotonic()
            await _seen(gateways, up=False)
            await asyncio.sleep(seconds)
            await _refused(gateways)
            mended = time.monotonic()
            await asyncio.to_thread(fault.end)
            await _told(gateways, "state_up")
            back = time.monotonic()
            await _refused(gateways)
            await _seen(gateways, up=True)
            await asyncio.sleep(QUIET / 2)
        told = [[line["event"] for line in one.events if line["event"].startswith("state_")] for one in gateways]
        assert told == [["state_down", "state_up"]] * GATEWAYS, told
    assert load.statuses("/wide").keys() == {200}, "no 5xx, no broken connection, no limit for nothing"
    assert load.statuses("/small").keys() == {200, 429}
    return Outage(load, began, known, mended, back)


async def _once(gateways: list[Gateway]) -> list[int]:
    return [(await fetch(gateway.ingress, "GET", "/once")).status for gateway in gateways]


async def _refused(gateways: list[Gateway]) -> None:
    """A key that has used all of an hour's tokens is refused, whoever decides."""
    assert await _once(gateways) == [429] * GATEWAYS


async def _told(gateways: list[Gateway], event: str) -> None:
    await until(lambda: all(any(line["event"] == event for line in one.events) for one in gateways), event, 15)


async def _seen(gateways: list[Gateway], *, up: bool) -> None:
    """What dashboards and probes are told."""
    for gateway in gateways:
        assert await gateway.metric("gateway_state_up", backend="redis") == up
        health = json.loads((await gateway.get("/health")).body)
        assert health["status"] == ("healthy" if up else "degraded")
        assert health["parts"]["state"]["state"] == health["status"]
        assert (await gateway.get("/readyz")).status == 200
