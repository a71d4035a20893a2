"""The upstream is killed and restarted under load: errors only where it was gone, and nothing done twice."""

from __future__ import annotations

import time

from tests.faults.conftest import Begin
from tests.faults.traffic import assert_counts_agree, assert_nothing_wrong, counted, plan
from tests.support.load import CONNECTIONS, Load
from tests.support.load_origin import LoadOrigin

GONE = {"502 connection_refused", "502 connection_terminated"}
BREAKER = {"failures": 5, "reset": "200ms", "successes": 2}


async def test_killed_and_restarted(begin: Begin, origin: LoadOrigin) -> None:
    gateway, rest = await begin(upstream={"breaker": BREAKER})
    before = await counted(gateway)
    async with Load(lambda: gateway.ingress, plan, seed="killed") as load:
        for how in ("reset", "fin"):
            await load.more(300)
            await origin.kill(how)
            await load.more(300)
            assert await gateway.metric("gateway_breaker_transitions_total", to="open", upstream="app") > 0
            await origin.restart()
            await gateway.metric_is(0, "gateway_breaker_state", upstream="app")
            healed = time.monotonic()
            await load.more(CONNECTIONS + 50)  # of which no more than CONNECTIONS began before
            assert set(load.tally.outcomes(since=healed)) == {"200"}
    tally = load.tally
    outcomes = tally.outcomes()
    assert_nothing_wrong(tally, {"200", "cut", "503 destination_unavailable", *GONE})
    assert outcomes["503 destination_unavailable"] > 0
    assert_counts_agree(tally, origin)
    expected = tally.statuses()
    expected[200] += outcomes["cut"]
    await rest.regained(origin)
    assert await counted(gateway) - before == expected


async def test_restarted_while_nothing_is_under_way(begin: Begin, origin: LoadOrigin) -> None:
    """Every pooled connection is stale then, and nobody notices."""
    gateway, rest = await begin()
    for how in ("reset", "fin"):
        tally = await Load(lambda: gateway.ingress, plan, rounds=2, seed=f"before-{how}").run()
        assert_nothing_wrong(tally, {"200"})
        assert origin.open > 50
        await origin.kill(how)
        await origin.restart()
    tally = await Load(lambda: gateway.ingress, plan, rounds=2, seed="after").run()
    assert_nothing_wrong(tally, {"200"})
    assert all(origin.heads[done.ask.target] == 1 for done in tally.done)
    await rest.regained(origin)
