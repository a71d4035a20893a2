"""Half of the clients leave, at random, in every phase; the others notice nothing, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.faults.conftest import Begin
from tests.faults.leavers import Leavers
from tests.faults.traffic import assert_counts_agree, assert_nothing_wrong, counted, plan
from tests.support.config import url
from tests.support.faults import unreachable
from tests.support.gateway import until
from tests.support.load import CONNECTIONS, Load
from tests.support.load_origin import LoadOrigin

HALF = CONNECTIONS // 2
ROUNDS = 3


async def test_in_every_phase(begin: Begin, origin: LoadOrigin) -> None:
    # One failure would open the breaker, and the other half would be refused.
    sensitive = {"breaker": {"failures": 1, "reset": "60s"}}
    with unreachable() as nowhere:
        lost = {
            "url": url(nowhere),
            "timeout": {"connect": "60s"},
            "pool": {"connections": 5, "wait": "60s"},
            **sensitive,
        }
        app = {"url": origin.url, "timeout": {"connect": "10s"}, **sensitive}
        routes = [
            {"name": "nowhere", "path": "/nowhere/**", "upstream": "lost"},
            {"name": "all", "path": "/**", "upstream": "app"},
        ]
        gateway, rest = await begin(upstreams={"app": app, "lost": lost, "provider": app}, ingress={"routes": routes})
        before = await counted(gateway)
        leavers = Leavers(origin, lambda: gateway.ingress)
        async with Load(lambda: gateway.ingress, plan, connections=HALF, seed="stays") as load:
            await asyncio.gather(*(leavers.leave(number, ROUNDS) for number in range(HALF)))
        assert_nothing_wrong(load.tally, {"200"})
        assert_counts_agree(load.tally, origin)
        assert len(load.tally.done) > HALF
        assert leavers.left.keys() == leavers.phases.keys()
        assert sum(leavers.left.values()) == HALF * ROUNDS
        assert len(leavers.seen) == sum(leavers.left[phase] for phase in leavers.certain)
        await rest.regained(origin)

        # every request that was under way is accounted for, once, as one whose client had left
        counts = await counted(gateway) - before
        await until(lambda: len(gateway.access) == sum(counts.values()) + sum(before.values()), "the access lines")
        told = Counter(str(line["correlation_id"]) for line in gateway.access if line["status"] == 499)
        assert leavers.seen <= told.keys(), leavers.seen - told.keys()
        assert set(told.values()) == {1}
        assert counts == {200: len(load.tally.done), 499: len(told)}
        for upstream in ("app", "lost"):
            assert await gateway.metric("gateway_breaker_transitions_total", upstream=upstream) == 0
