"""What passes three gateways that share limits, under three times as much: by exact rules, leased ones, and several.

t seconds let burst + limit x t through. How long t was depends on where it is measured, by a few milliseconds: from
the first request to the last answer no more may pass than that, and until the last request no less.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.fleet import fleet
from tests.faults.steady import NO_ANSWER, Steady
from tests.support.gateway import Gateway
from tests.support.origin import Origin
from tests.support.redis import RedisServer

GATEWAYS = 3
OVER = 3  # times the limit is asked
EXACT, LEASED = 0.01, 0.05  # of what may pass


@dataclass(frozen=True)
class Case:
    """A route with rules: each a limit a second, a burst and a mode."""

    name: str
    rules: tuple[tuple[int, int, str], ...]

    @property
    def target(self) -> str:
        return f"/{self.name}"

    @property
    def route(self) -> dict[str, Any]:
        rules = [{"limit": f"{limit}/s", "burst": burst, "mode": mode} for limit, burst, mode in self.rules]
        return {"name": self.name, "path": self.target, "upstream": "app", "rate_limit": rules}

    @property
    def rate(self) -> int:
        """Requests a second."""
        return OVER * min(limit for limit, _, _ in self.rules)

    @property
    def leased(self) -> bool:
        return any(mode == "leased" for _, _, mode in self.rules)

    def promised(self, seconds: float) -> float:
        """How many may pass in that time."""
        return min(burst + limit * seconds for limit, burst, _ in self.rules)


@dataclass(frozen=True)
class Passed:
    """How many passed, at least and at most may have, and what each request got."""

    case: Case
    count: int
    least: float
    most: float
    statuses: Counter[int]

    @property
    def too_few(self) -> float:
        """A share; negative where there were more."""
        return 1 - self.count / self.least

    @property
    def too_many(self) -> float:
        """A share; negative where there were fewer."""
        return self.count / self.most - 1

    def check(self) -> None:
        """An exact rule never lets through even one more."""
        few, many = (LEASED, LEASED) if self.case.leased else (EXACT, 0.0)
        assert self.too_few <= few, self
        assert self.too_many <= many, self


def cases(limit: int) -> list[Case]:
    """Where there are two rules, one holds first and the other later: a refused request must not charge either."""
    low = limit * 3 // 5
    return [
        Case("exact", ((limit, limit, "exact"),)),
        Case("leased", ((limit, 2 * limit, "leased"),)),
        Case("both", ((low, 2 * low, "exact"), (2 * low, low // 2, "exact"))),
        Case("mixed", ((limit, 2 * limit, "leased"), (2 * limit, limit // 2, "exact"))),
    ]


async def crowd(
    directory: Path, origin: Origin, server: RedisServer, cases: list[Case], seconds: float, *, kill: bool = False
) -> list[Passed]:
    """Ask all for that long, and count at the origin. kill: one of the gateways, in the middle of it."""
    routes = [case.route for case in cases]
    state = {"redis": server.url, "timeout": "500ms"}  # so that a busy machine is not taken for a slow server
    async with fleet(directory, origin.address, GATEWAYS, ingress={"routes": routes}, state=state) as gateways:
        loads = await _ask(gateways, cases, seconds, kill=kill)
        for gateway in gateways[kill:]:
            assert await gateway.metric("gateway_rate_limit_decisions_total", decision="fallback") == 0
    passed = Counter(request.target.decode() for request in origin.requests)
    found = []
    for case, load in zip(cases, loads, strict=True):
        statuses = load.statuses()
        assert set(statuses) <= {200, 429, NO_ANSWER}, statuses
        assert not any(one.status == NO_ANSWER for one in load.asked if one.gateway or not kill)
        least, most = case.promised(load.last - load.first), case.promised(load.ended - load.first)
        found.append(Passed(case, passed[case.target], least, most, statuses))
    return found


async def _ask(gateways: list[Gateway], cases: list[Case], seconds: float, *, kill: bool) -> list[Steady]:
    addresses = [gateway.ingress for gateway in gateways]
    loads = [Steady(addresses, lambda _, case=case: case.target, case.rate) for case in cases]  # type: ignore[misc]
    async with AsyncExitStack() as stack:
        for load in loads:
            await stack.enter_async_context(load)
        await asyncio.sleep(seconds / 2)
        if kill:
            gateways[0].kill()
        await asyncio.sleep(seconds / 2)
    return loads
