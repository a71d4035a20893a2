"""The shared state while its server is killed, stands still, and comes back, under calls all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio

from gateway.rules.gcra import Rate
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit, Unavailable
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from gateway.state.shared import Shared
from tests.state.subject import Windows
from tests.support.faults import black_hole, refusing
from tests.support.redis import RedisServer

TIMEOUT = 0.1
RESET = 0.3
#: Three times what a call may take, as everywhere in these tests.
LATEST = 3 * (TIMEOUT + 0.02)
LIMIT = Limit("shared/rate", Rate(60, 60, 30))


class Watched(Shared):
    """With a memory of its own, and all that it told."""

    def __init__(self, url: str, failures: int = 10, timeout: float = TIMEOUT, reset: float = RESET) -> None:
        self.memory = MemoryBuckets()
        self.told: list[tuple[bool, str]] = []
        super().__init__(
            parse_redis_url(url),
            RedisTls(),
            "gateway",
            timeout,
            failures,
            reset,
            self.memory,
            lambda up, why: self.told.append((up, why)),
        )


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> Iterator[RedisServer]:
    if running.dead:
        running.start()
    with running.client() as client:
        client.flushall()
    yield running
    if not running.dead:
        running.go_on()


@pytest_asyncio.fixture
async def open_(server: RedisServer, no_leaked_tasks: None) -> AsyncIterator[Callable[..., Awaitable[Watched]]]:
    opened: list[Watched] = []

    async def start(failures: int = 10, url: str = server.url, **more: float) -> Watched:
        shared = Watched(url, failures, **more)
        opened.append(shared)
        await shared.start()
        return shared

    yield start
    for shared in opened:
        await shared.close()


Open = Callable[..., Awaitable[Watched]]


async def timed(call: Awaitable[object]) -> tuple[float, bool]:
    """How long a call took, and whether it was answered; anything but Unavailable is a failure of the test."""
    began = time.monotonic()
    try:
        await call
    except Unavailable:
        return time.monotonic() - began, False
    return time.monotonic() - began, True


async def until(what: Callable[[], bool], within: float = 5.0) -> None:
    end = time.monotonic() + within
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def takes(shared: Watched, count: int) -> list[Awaitable[object]]:
    return [shared.take([Charge(LIMIT, b"%d" % number, 1)]) for number in range(count)]


async def test_64_calls_to_a_server_that_stands_still_are_over_in_time(open_: Open, server: RedisServer) -> None:
    shared = await open_()
    await asyncio.gather(*takes(shared, 64))
    server.stop()
    ends = await asyncio.gather(*map(timed, [*takes(shared, 64), shared.acquire("cap", b"", 1)]))
    assert [answered for _, answered in ends] == [False] * 65
    assert max(took for took, _ in ends) < LATEST
    assert not shared.up
    assert shared.told == [(False, "timeout")]
    ends = await asyncio.gather(*map(timed, takes(shared, 64)))
    assert max(took for took, _ in ends) < TIMEOUT / 2, "nobody waits any more"
    state, text = shared.health()
    assert state == "degraded"
    assert "timeout" in text
    server.go_on()
    await until(lambda: shared.up)
    assert shared.told == [(False, "timeout"), (True, "timeout")]
    assert shared.health() == ("healthy", "")
    assert all(answered for _, answered in await asyncio.gather(*map(timed, takes(shared, 64))))


async def test_a_server_is_killed_and_started_under_load(open_: Open, server: RedisServer) -> None:
    shared = await open_()
    ends: list[tuple[float, bool]] = []
    stop = asyncio.Event()

    async def load() -> None:
        while not stop.is_set():
            ends.append(await timed(shared.take([Charge(LIMIT, b"k", 1)])))
            await asyncio.sleep(0.005)

    workers = [asyncio.create_task(load()) for _ in range(16)]
    await asyncio.sleep(0.1)
    server.kill()
    await until(lambda: not shared.up)
    await asyncio.sleep(0.05)
    await asyncio.to_thread(server.start)
    await until(lambda: shared.up)
    await asyncio.sleep(0.1)
    count = len(ends)
    await until(lambda: len(ends) > count + 50)
    stop.set()
    await asyncio.gather(*workers)
    assert max(took for took, _ in ends) < LATEST
    assert [up for up, _ in shared.told] == [False, True]
    assert all(answered for _, answered in ends[-50:])


async def test_a_restart_that_nobody_noticed_costs_nothing(open_: Open, server: RedisServer) -> None:
    shared = await open_()
    await asyncio.gather(*takes(shared, 8))
    server.kill()
    await asyncio.to_thread(server.start)
    ends = await asyncio.gather(*map(timed, takes(shared, 8)))
    assert sum(answered for _, answered in ends) >= 4
    assert shared.up
    assert (await timed(shared.take([Charge(LIMIT, b"k", 1)])))[1]


@pytest.mark.parametrize("peer", [refusing, black_hole])
async def test_a_server_that_is_not_there_at_the_start(peer: Callable[[], object], open_: Open) -> None:
    with peer() as (host, port):
        shared = await open_(url=f"redis://:s3cret@{host}:{port}")
        assert not shared.up
        [(up, why)] = shared.told
        assert not up
        assert why
        assert str(port) not in why + shared.health()[1]
        assert "s3cret" not in why + shared.health()[1]
        assert (await timed(shared.take([Charge(LIMIT, b"k", 1)])))[0] < TIMEOUT / 2
        await asyncio.sleep(2 * RESET)
        assert len(shared.told) == 1, "one line, however often it is tried"


async def test_callers_who_leave_are_no_failures_and_leave_nothing(open_: Open, server: RedisServer) -> None:
    shared = await open_(timeout=2.0)
    server.stop()
    for _ in range(3):
        callers = [asyncio.ensure_future(call) for call in takes(shared, 20)]
        callers += [asyncio.create_task(shared.acquire("cap", b"", 100))]
        await asyncio.sleep(0.02)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
    server.go_on()
    await until(lambda: shared.up)
    assert (await timed(shared.take([Charge(LIMIT, b"another", 1)])))[1]
    assert shared.told == []
    with server.client() as client:
        await until(lambda: client.zcard(b"{gateway}:slots:cap\x00=") == 0)
        assert len(client.client_list()) - 1 <= 8


async def test_calls_that_fail_now_and_then_are_left_to_the_caller(open_: Open, server: RedisServer) -> None:
    shared = await open_()
    for _ in range(3):
        server.stop()
        assert [await timed(take) for take in takes(shared, 3)] == [(pytest.approx(TIMEOUT, abs=LATEST), False)] * 3
        server.go_on()
        while not (await timed(shared.take([Charge(LIMIT, b"k", 1)])))[1]:
            assert shared.up
    assert shared.told == []


async def test_an_event_loop_that_was_held_up_is_not_the_servers_fault(open_: Open, server: RedisServer) -> None:
    shared = await open_()
    await asyncio.gather(*takes(shared, 20))
    calls = [asyncio.ensure_future(timed(take)) for take in takes(shared, 20)]
    for _ in range(3):
        await asyncio.sleep(0)
    time.sleep(2 * TIMEOUT)
    assert all(answered for _, answered in await asyncio.gather(*calls))


# ---- bursts


async def test_a_loss_gives_no_burst_away(open_: Open, server: RedisServer) -> None:
    shared, other = await open_(), await open_()
    await shared._say_alive()
    assert shared.replicas == 2
    quota = Limit("shared/quota", Rate(100, 1, 1), calendar=Windows(3600, int(time.time()) - 600))
    for number in range(26):
        await (shared, other)[number % 2].take([Charge(LIMIT, b"k", 1), Charge(quota, b"k", 1)])
    await shared.take([Charge(LIMIT, b"k", 1), Charge(quota, b"k", 1)])
    server.stop()
    await asyncio.gather(*map(timed, takes(shared, 10)))
    assert not shared.up
    # A share of 15 tokens, half as fast: 27 of the 30 are gone, so one or two of the 15 are left.
    share = Limit(LIMIT.id, Rate(60, 120, 15))
    passed = sum(shared.memory.take([Charge(share, b"k", 1)], time.monotonic())[0].allowed for _ in range(10))
    assert passed <= 2
    part = Limit(quota.id, Rate(50, 1, 50), calendar=quota.calendar)
    [standing] = shared.memory.take([Charge(part, b"k", 1)], time.monotonic())
    assert standing.remaining == 50 - 14 - 1
    assert "1/2" in shared.health()[1]


async def test_a_return_gives_no_burst_away_even_from_an_empty_server(open_: Open, server: RedisServer) -> None:
    shared = await open_()
    quota = Limit("shared/quota", Rate(100, 1, 1), calendar=Windows(3600, int(time.time()) - 600))
    await shared.take([Charge(LIMIT, b"before", 25), Charge(quota, b"k", 10)])
    lease = await shared.acquire("cap", b"", 5)
    server.kill()
    await asyncio.gather(*map(timed, takes(shared, 10)))
    assert not shared.up
    [standing] = shared.memory.take([Charge(LIMIT, b"meanwhile", 20)], time.monotonic())
    assert standing.allowed
    for _ in range(5):
        shared.memory.take([Charge(quota, b"k", 1)], time.monotonic())
    began = time.monotonic()
    await asyncio.to_thread(server.start)
    await until(lambda: shared.up)
    drained = time.monotonic() - began + 2
    left = {key: await shared.look(LIMIT, key) for key in (b"before", b"meanwhile")}
    assert left[b"before"] is not None
    assert 5 <= left[b"before"].remaining <= 5 + drained + RESET
    assert left[b"meanwhile"] is not None
    assert 10 <= left[b"meanwhile"].remaining <= 10 + drained + RESET
    standing_ = await shared.look(quota, b"k")
    assert standing_ is not None
    assert standing_.remaining == 85
    assert lease is not None
    assert await shared.in_use("cap", b"") == 1


async def test_what_one_replica_used_of_a_quota_is_taken_to_be_what_each_did(
    open_: Open, server: RedisServer
) -> None:
    quota = Limit("shared/quota", Rate(100, 1, 1), calendar=Windows(3600, int(time.time()) - 600))
    shared, other = await open_(), await open_()
    await shared._say_alive()
    server.kill()
    await asyncio.gather(*map(timed, [*takes(shared, 10), *takes(other, 10)]))
    part = Limit(quota.id, Rate(50, 1, 50), calendar=quota.calendar)
    for one in (shared, other):
        one.memory.take([Charge(part, b"k", 20)], time.monotonic())
    await asyncio.to_thread(server.start)
    await until(lambda: shared.up and other.up)
    standing = await shared.look(quota, b"k")
    assert standing is not None
    assert standing.remaining == 60


async def test_a_slot_given_back_while_the_server_was_gone_is_free_when_it_returns(
    open_: Open, server: RedisServer
) -> None:
    shared = await open_()
    leases = [await shared.acquire("cap", b"", 5) for _ in range(2)]
    server.kill()
    await asyncio.gather(*map(timed, takes(shared, 10)))
    assert leases[0] is not None
    with pytest.raises(Unavailable):
        await shared.release("cap", b"", leases[0])
    await asyncio.to_thread(server.start)
    await until(lambda: shared.up)
    assert await shared.in_use("cap", b"") == 1


async def test_many_levels_are_told_before_it_is_up(open_: Open, server: RedisServer) -> None:
    shared = await open_()
    server.kill()
    await asyncio.gather(*map(timed, takes(shared, 10)))
    for number in range(3000):
        shared.memory.take([Charge(LIMIT, b"many %d" % number, 20)], time.monotonic())
    await asyncio.to_thread(server.start)
    await until(lambda: shared.up)
    with server.client() as client:
        assert len(client.keys("*many*")) == 3000


# ---- replicas and the end


async def test_replicas_are_remembered_when_a_server_comes_back_empty(open_: Open, server: RedisServer) -> None:
    one, _two = await open_(), await open_()
    await one._say_alive()
    assert one.replicas == 2
    server.kill()
    await asyncio.gather(*map(timed, takes(one, 10)))
    await asyncio.to_thread(server.start)
    await until(lambda: one.up)
    assert one.replicas == 2


async def test_a_gateway_gone_is_counted_no_more_after_a_while(open_: Open, server: RedisServer) -> None:
    one, two = await open_(), await open_()
    await one._say_alive()
    await two.close()
    for _ in range(8):
        await one._say_alive()
        assert one.replicas == 2
    await one._say_alive()
    assert one.replicas == 1


async def test_close_ends_everything(server: RedisServer, no_leaked_tasks: None) -> None:
    shared = Watched(server.url)
    await shared.start()
    assert await shared.acquire("cap", b"", 5)
    await asyncio.gather(*takes(shared, 3))
    pending = [asyncio.create_task(timed(take)) for take in takes(shared, 3)]
    await asyncio.sleep(0)
    await shared.close()
    await asyncio.gather(*pending)
    with pytest.raises(Unavailable):
        await shared.take([Charge(LIMIT, b"k", 1)])
    with server.client() as client:
        assert len(client.client_list()) == 1
        assert client.keys("{gateway}:slots:*") == client.keys("{gateway}:replicas") == []


async def test_close_does_not_wait_for_a_server_that_is_gone(server: RedisServer, no_leaked_tasks: None) -> None:
    shared = Watched(server.url)
    await shared.start()
    server.stop()
    await asyncio.gather(*map(timed, takes(shared, 10)))
    began = time.monotonic()
    await shared.close()
    assert time.monotonic() - began < LATEST
