"""The gate before a shared state: who waits for it, and what holds without it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import RateLimited
from gateway.gate import WAIT
from gateway.state.leases import Leases
from tests.policies.rate_limit.site import Site, lines
from tests.state.limits import SharedMemory


async def test_shared_rules_wait_for_the_shared_state() -> None:
    site, shared = Site("[{limit: 5/min}, {limit: 2/min, by: ip, shared: false}]"), SharedMemory()
    site.share(shared)
    assert [rule.way.value for rule in site.limits.rules()] == ["exact", "local"]
    results = []
    for _ in range(3):
        asked = site.exchange()
        results.append(await site.ask(asked))
    assert [one is None for one in results] == [True, True, False]
    assert shared.calls == 2
    assert list(lines(asked)) == ["RateLimit-Policy", "RateLimit"]
    assert "r-1" not in lines(asked)["RateLimit"], "it was not asked"
    assert site.counts().fallback == 0


async def test_what_the_shared_state_refuses_costs_nothing_here() -> None:
    site, shared = Site("[{limit: 1/min}, {limit: 5/min, by: ip, shared: false}]"), SharedMemory()
    site.share(shared)
    assert await site.ask(site.exchange()) is None
    asked = site.exchange()
    error = await site.ask(asked)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, "'r-1'" in error.detail) == (60, True)
    assert '"r-2";r=4' in lines(asked)["RateLimit"]


@pytest.mark.parametrize("fate", ["down", "failing"])
async def test_without_the_shared_state_its_share_holds(fate: str) -> None:
    site, shared = Site("{limit: 6/min, by: ip}"), SharedMemory(replicas=3)
    site.share(shared)
    shared.up, shared.failing = fate != "down", fate == "failing"
    asked = [site.exchange() for _ in range(3)]
    assert [await site.ask(one) is None for one in asked] == [True, True, False]
    assert (site.counts().fallback, site.counts().allowed, site.counts().refused) == (3, 2, 1)
    assert lines(asked[0])["RateLimit"] == '"r-1";r=1;t=30'
    if fate == "down":
        assert shared.calls == 0


async def test_leased_rules_are_decided_without_waiting_when_tokens_are_here() -> None:
    site, shared = Site("{limit: 1000/min, mode: leased}"), SharedMemory()
    site.share(shared, leases=True)
    assert site.check() is WAIT
    assert await site.ask(site.exchange()) is None
    calls = shared.calls
    asked = site.exchange()
    assert site.gate().check(asked, site.now) is None
    assert shared.calls == calls
    assert lines(asked)["RateLimit-Policy"] == '"r-1";q=1000;w=60'
    assert isinstance(site.limits.leases, Leases)
    await site.limits.leases.close()


@pytest.mark.usefixtures("no_leaked_tasks")
async def test_a_chunked_body_is_charged_to_the_shared_state() -> None:
    site, shared = Site("{limit: 100B/min}"), SharedMemory()
    site.share(shared)
    asked = site.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST")
    assert await site.ask(asked) is None
    asked.body.feed(b"x" * 150)
    asked.end()
    await asyncio.sleep(0)
    assert isinstance(await site.ask(site.exchange()), RateLimited)
