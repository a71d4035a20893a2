"""An upstream that accepts and never answers: every request ends in time, and all is well once it answers again."""

from __future__ import annotations

import asyncio

from tests.faults.conftest import Begin
from tests.faults.traffic import assert_counts_agree, assert_nothing_wrong, counted, plan, serve
from tests.support.expect import assert_within
from tests.support.load import CONNECTIONS, Load
from tests.support.load_origin import LoadOrigin
from tests.support.message import Request
from tests.support.origin import Upstream

TIMED_OUT = "504 http_response_timeout"
HEADERS = 1.0  # seconds
FEW = 20  # clients where every one must be answered within that, however busy the machine
WAIT = 1.5


async def silent(upstream: Upstream, request: Request) -> bool:
    """Take the request, say nothing, and wait until the gateway has had enough."""
    await upstream.body(request).rest()
    await upstream.gone(within=30)
    return False


async def test_every_request_times_out_and_then_none(begin: Begin, origin: LoadOrigin) -> None:
    """Whether the upstream takes them and is silent, or does not even take their bodies."""
    limits = {"headers": f"{HEADERS * 1000:.0f}ms", "idle": f"{HEADERS * 1000:.0f}ms"}
    gateway, rest = await begin(connections=FEW, upstream={"timeout": limits})
    counts = await counted(gateway)
    over = asyncio.Event()

    async def unread(upstream: Upstream, _request: Request) -> bool:
        upstream.wire.pause()
        await over.wait()
        upstream.wire.resume()
        await upstream.gone(within=30)
        return False

    for number, act in enumerate([silent, unread]):
        origin.act = act
        tally = await Load(lambda: gateway.ingress, plan, rounds=1, seed=f"silent-{number}").run()
        assert_nothing_wrong(tally, {TIMED_OUT})
        assert_counts_agree(tally, origin)
        assert_within(max(done.ended - done.began for done in tally.done), HEADERS)
        origin.act = serve
        tally = await Load(lambda: gateway.ingress, plan, connections=FEW, rounds=2, seed=f"talks-{number}").run()
        assert_nothing_wrong(tally, {"200"})
        counts.update({504: CONNECTIONS, 200: 2 * FEW})
    over.set()
    await rest.regained(origin)
    assert await counted(gateway) == counts


async def test_the_breaker_spares_all_but_a_few(begin: Begin, origin: LoadOrigin) -> None:
    """Only the requests that were under way before the first failures were known wait for them."""
    breaker = {"failures": 5, "reset": "60s"}
    gateway, rest = await begin(connections=FEW, upstream={"timeout": {"headers": "1500ms"}, "breaker": breaker})
    origin.act = silent
    tally = await Load(lambda: gateway.ingress, plan, rounds=3, seed="spared").run()
    assert not tally.wrong
    assert_nothing_wrong(tally, {TIMED_OUT, "503 destination_unavailable"})
    assert_counts_agree(tally, origin)
    waited = tally.outcomes()[TIMED_OUT]
    # Who was the first to be let down may ask once more before the fifth is.
    assert CONNECTIONS <= waited < CONNECTIONS + 5
    assert sum(origin.heads.values()) == waited
    await rest.regained(origin)


async def test_a_full_pool_refuses_in_time(begin: Begin, origin: LoadOrigin) -> None:
    """50 places, 100 that wait, the others refused at once; who waits is refused after `wait`, and none is lost."""
    pool = {"connections": 50, "queue": 100, "wait": f"{WAIT * 1000:.0f}ms"}
    gateway, rest = await begin(connections=50, upstream={"pool": pool})
    talk = asyncio.Event()

    async def held(upstream: Upstream, request: Request) -> bool:
        await talk.wait()
        return await serve(upstream, request)

    origin.act = held
    async with Load(lambda: gateway.ingress, plan, rounds=1, seed="full") as load:
        await load.more(CONNECTIONS - 50)
        assert sum(origin.heads.values()) == 50
        talk.set()
    assert not load.tally.wrong
    assert load.tally.outcomes() == {"200": 50, "503 connection_limit_reached": CONNECTIONS - 50}
    assert_counts_agree(load.tally, origin)
    refused = sorted(done.ended - done.began for done in load.tally.done if done.outcome != "200")
    assert refused[49] < WAIT
    assert_within(refused[-1], WAIT)
    await rest.regained(origin)
