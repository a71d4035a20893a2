"""What a server sees of a gateway: few calls, keys that end, and a clock that may jump."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import redis

from gateway.rules.gcra import Rate
from gateway.state.ports import Charge, Limit, Unavailable
from gateway.state.redis import RedisState
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from tests.state.reports import Reports
from tests.state.subject import Windows
from tests.support.redis import REDIS, VALKEY, RedisServer

HOUR = 3600


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(VALKEY if request.param == "valkey" else REDIS) as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.flushdb()
        yield client


def connect(server: RedisServer, name: str = "gateway", timeout: float = 5.0) -> RedisState:
    return RedisState(parse_redis_url(server.url), RedisTls(), name, timeout, Reports())


@pytest_asyncio.fixture
async def state(server: RedisServer, client: redis.Redis) -> AsyncIterator[RedisState]:
    state = connect(server)
    yield state
    await state.close(leave=True)


def rate(limit: int = 60, burst: int = 5) -> Limit:
    return Limit("server/rate", Rate(limit, 60, burst))


def quota(start: float, length: int = HOUR, limit: int = 3) -> Limit:
    return Limit("server/quota", Rate(limit, 1, 1), calendar=Windows(length, int(start)))


async def allowed(state: RedisState, limit: Limit, cost: int = 1, key: bytes = b"k") -> bool:
    [standing] = await state.take([Charge(limit, key, cost)])
    return standing.allowed


def calls(client: redis.Redis) -> int:
    """Scripts called so far."""
    stats = client.info("commandstats")
    return sum(stats.get(name, {"calls": 0})["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval"))


# ---- calls


async def test_all_of_a_requests_rules_take_one_call(state: RedisState, client: redis.Redis) -> None:
    charges = [Charge(Limit(f"server/{number}", Rate(10, 60, 10)), b"k", 1) for number in range(5)]
    await state.take(charges)
    before = calls(client)
    await state.take(charges)
    assert calls(client) == before + 1


async def test_calls_of_one_moment_go_together(state: RedisState, client: redis.Redis) -> None:
    limit = rate(6000, 100)
    await allowed(state, limit)
    before = calls(client)
    standings = await asyncio.gather(*(state.take([Charge(limit, b"k", 1)]) for _ in range(300)))
    assert sum(standing.allowed for [standing] in standings) == pytest.approx(99, abs=3)
    assert calls(client) - before <= 4


async def test_a_server_that_lost_its_scripts_gets_them_again(state: RedisState, client: redis.Redis) -> None:
    assert await allowed(state, rate())
    client.script_flush()
    assert await allowed(state, rate())


async def test_few_connections(server: RedisServer, client: redis.Redis, state: RedisState) -> None:
    limit = rate(6000, 1000)
    for _ in range(20):
        await asyncio.gather(
            *(state.take([Charge(limit, b"k", 1)]) for _ in range(200)), *(state.in_use("c", b"") for _ in range(200))
        )
    assert len(client.client_list()) - 1 <= 8


async def test_a_caller_who_leaves_costs_no_connection_and_no_failure(
    server: RedisServer, client: redis.Redis
) -> None:
    reports = Reports()
    state = RedisState(parse_redis_url(server.url), RedisTls(), "gateway", 5.0, reports)
    assert await allowed(state, rate())
    known = {one["id"] for one in client.client_list()}
    for _ in range(20):
        task = asyncio.create_task(allowed(state, rate(), key=b"gone"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await allowed(state, rate(), 100)
    assert {one["id"] for one in client.client_list()} == known
    assert reports.bad == []
    await state.close(leave=True)


async def test_what_a_server_refuses_is_told_by_its_code_alone(server: RedisServer, client: redis.Redis) -> None:
    state = connect(server)
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(Unavailable, match=r"^(OutOfMemoryError|ResponseError)( [A-Z]+)?$"):
            await allowed(state, rate())
    finally:
        client.config_set("maxmemory", "0")
    assert await allowed(state, rate())
    await state.close(leave=True)


# ---- keys


async def test_every_key_has_a_ttl_and_the_one_hash_tag(state: RedisState, client: redis.Redis) -> None:
    await state.say_alive()
    await state.acquire("cap", b"", 1)
    await state.take([Charge(rate(), b"x" * 5000, 3), Charge(quota(time.time() - 600), b"k", 1)])
    lives = {key: client.pttl(key) for key in client.keys("*")}
    assert len(lives) == 4
    for key, life in lives.items():
        assert key.startswith(b"{gateway}:")
        assert len(key) < 120
        assert life > 0
    assert 3000 < next(life for key, life in lives.items() if b"rate:" in key) <= 4000
    assert 2990_000 < next(life for key, life in lives.items() if b"quota:" in key) <= 3001_000


async def test_what_has_drained_is_no_key(state: RedisState, client: redis.Redis) -> None:
    charges = [Charge(rate(), b"k", 3), Charge(quota(time.time() - 600), b"k", 1)]
    await state.take(charges)
    await state.give_back(charges)
    assert client.keys("*rate:*") == client.keys("*quota:*") == []


async def test_gateways_with_other_names_share_nothing(server: RedisServer, client: redis.Redis) -> None:
    one, other = connect(server, "one"), connect(server, "one-2")
    assert await allowed(one, rate(), 5)
    assert await allowed(other, rate(), 5)
    assert await one.forget(rate(), None) == 1
    assert not await allowed(other, rate())
    await one.close(leave=True)
    await other.close(leave=True)


async def test_a_rule_is_forgotten_whatever_its_name_and_however_many_keys(
    state: RedisState, client: redis.Redis
) -> None:
    odd, other = Limit("a*[b]?\\", Rate(1, 60, 1)), Limit("aX[b]X\\", Rate(1, 60, 1))
    takes = [state.take([Charge(limit, b"%d" % key, 1)]) for limit in (odd, other) for key in range(1500)]
    await asyncio.gather(*takes)
    assert await state.forget(odd, None) == 1500
    assert len(client.keys("*")) == 1500


# ---- the server's clock


def set_back(client: redis.Redis, seconds: float) -> None:
    """As if the server's clock had been set back: what it keeps is from later than now."""
    for key in client.keys("*rate:*"):
        level, last = struct.unpack("<dd", client.get(key))
        client.set(key, struct.pack("<dd", level, last + seconds * 1e6), px=600_000)


async def test_a_clock_set_back_gives_no_token_away_and_shuts_nobody_out(
    state: RedisState, client: redis.Redis
) -> None:
    limit = rate(1200, 5)  # 20 a second
    assert await allowed(state, limit, 5)
    set_back(client, 7200)
    assert not await allowed(state, limit, 3)
    await asyncio.sleep(0.26)
    assert await allowed(state, limit, 5)


async def test_a_quota_used_before_the_clock_went_back_over_its_windows_start_stays_used(
    state: RedisState, client: redis.Redis
) -> None:
    now = time.time()
    limit = quota(now - 5)
    start = int(now - 5)
    assert await allowed(state, limit, 2)
    [key] = client.keys("*quota:*")
    client.set(key, struct.pack("<ddd", 2, (start + HOUR) * 1e6, (start + 2 * HOUR) * 1e6), px=600_000)
    assert not await allowed(state, limit, 2)
    [standing] = await state.take([Charge(limit, b"k", 2)])
    assert standing.retry_after == pytest.approx(2 * HOUR - 5, abs=2)
    assert await allowed(state, limit, 1)


async def test_a_quota_from_far_in_the_future_is_this_windows(state: RedisState, client: redis.Redis) -> None:
    now = time.time()
    limit = quota(now - 5)
    start = int(now - 5)
    assert await allowed(state, limit)
    [key] = client.keys("*quota:*")
    client.set(key, struct.pack("<ddd", 3, (start + 9 * HOUR) * 1e6, (start + 10 * HOUR) * 1e6), px=600_000)
    [standing] = await state.take([Charge(limit, b"k", 1)])
    assert not standing.allowed
    assert standing.retry_after == pytest.approx(HOUR - 5, abs=2)


@pytest.mark.parametrize("skew", [-3 * HOUR - 100, -HOUR, -30, 30, HOUR, 3 * HOUR + 100])
async def test_a_quotas_window_is_the_servers_whatever_the_gateway_thinks(
    server: RedisServer, client: redis.Redis, skew: int
) -> None:
    start = int(time.time()) - 600
    state = connect(server)
    state._codec._wall = lambda: time.time() + skew
    [standing] = await state.take([Charge(quota(start), b"k", 1)])
    assert standing.allowed
    assert standing.reset == pytest.approx(HOUR - 600, abs=3)
    await state.close(leave=True)


# ---- slots


async def test_slots_are_as_many_as_the_limit_for_each_key_and_come_back(
    server: RedisServer, client: redis.Redis
) -> None:
    one, other = connect(server), connect(server)
    leases = await asyncio.gather(*(state.acquire("cap", b"k", 5) for state in (one, other) for _ in range(5)))
    held = [lease for lease in leases if lease is not None]
    assert len(held) == len(set(held)) == 5
    assert await one.in_use("cap", b"k") == await other.in_use("cap", b"k") == 5
    assert await one.acquire("cap", b"another", 5)
    assert await one.acquire("cap2", b"k", 5)
    for _ in range(2):
        await one.release("cap", b"k", held[0])
    assert await other.in_use("cap", b"k") == 4
    assert await other.acquire("cap", b"k", 5)
    assert await other.acquire("cap", b"k", 5) is None
    assert await other.acquire("cap", b"k", 6)
    await one.close(leave=True)
    await other.close(leave=True)
    assert client.keys("*") == []


async def test_a_lease_that_nobody_renews_runs_out(server: RedisServer, client: redis.Redis) -> None:
    killed, alive = connect(server), connect(server)
    gone = [await killed.acquire("cap", b"", 4) for _ in range(2)]
    kept = [await alive.acquire("cap", b"", 4) for _ in range(2)]
    assert all(gone)
    await killed.close(leave=False)
    [key] = client.keys("*slots:*")
    for lease, ends in client.zrange(key, 0, -1, withscores=True):
        assert ends / 1000 - time.time() == pytest.approx(30, abs=2)
        client.zadd(key, {lease: ends - 31_000})
    assert await alive.renew() == 2
    assert await alive.in_use("cap", b"") == 2
    assert set(client.zrange(key, 0, -1)) == set(kept)
    assert [await alive.acquire("cap", b"", 4) is not None for _ in range(3)] == [True, True, False]
    await alive.close(leave=True)


async def test_a_lease_granted_to_somebody_who_has_left_goes_back(state: RedisState, client: redis.Redis) -> None:
    task = asyncio.create_task(state.acquire("cap", b"", 1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    until = time.monotonic() + 5
    while await state.acquire("cap", b"", 1) is None:
        assert time.monotonic() < until
    assert await state.in_use("cap", b"") == 1


async def test_a_slot_given_back_while_it_is_renewed_stays_free(state: RedisState) -> None:
    leases = [await state.acquire("cap", b"", 1000) for _ in range(300)]
    renewing = asyncio.create_task(state.renew())
    await asyncio.gather(*(state.release("cap", b"", lease) for lease in leases if lease))
    await renewing
    until = time.monotonic() + 5
    while await state.in_use("cap", b""):
        assert time.monotonic() < until


async def test_leases_from_a_clock_that_was_ahead_do_not_stay(state: RedisState, client: redis.Redis) -> None:
    assert await state.acquire("cap", b"", 2)
    [key] = client.keys("*slots:*")
    client.zadd(key, {b"of a gateway that is gone": (time.time() + 7200) * 1000})
    assert await state.in_use("cap", b"") == 1


async def test_gateways_are_counted_while_they_live(server: RedisServer, client: redis.Redis) -> None:
    first, second, third = connect(server), connect(server), connect(server)
    assert [await state.say_alive() for state in (first, second, third, first)] == [1, 2, 3, 3]
    await third.close(leave=True)
    assert await first.say_alive() == 2
    await second.close(leave=False)
    for gateway, ends in client.zrange("{gateway}:replicas", 0, -1, withscores=True):
        client.zadd("{gateway}:replicas", {gateway: ends - 31_000})
    assert await first.say_alive() == 1
    await first.close(leave=True)


async def test_levels_only_rise(state: RedisState) -> None:
    start = time.time() - 600
    await state.take([Charge(rate(), b"a", 4), Charge(quota(start), b"a", 2)])
    raised = [(limit, key, level) for key in (b"a", b"b") for limit, level in ((rate(), 2.0), (quota(start), 1.0))]
    for _ in range(2):
        assert await state.raise_levels(raised) == 4
    left = {key: [(await state.look(limit, key)) for limit in (rate(), quota(start))] for key in (b"a", b"b")}
    assert [standing and standing.remaining for standing in left[b"a"]] == [1, 1]
    assert [standing and standing.remaining for standing in left[b"b"]] == [3, 2]
    await state.raise_levels([(rate(), b"b", 1e9)])
    standing = await state.look(rate(), b"b")
    assert standing is not None
    assert standing.reset <= 5
