"""One fetch for three replicas, on a real server, whatever becomes of the one that fetches."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable

import pytest

from gateway.cache import codec, turns
from gateway.cache.entry import Entry
from gateway.cache.turns import RedisTurn
from tests.cache.entries import fields
from tests.cache.replicas import NOTHING, Open, Replica, until
from tests.support.redis import RedisServer

HOLDER = """
import asyncio, sys
from gateway.cache import codec, turns
from tests.cache.replicas import NOTHING, Replica

async def hold():
    replica = Replica(sys.argv[1])
    await replica.start()
    assert isinstance(await replica.turn(b"key", NOTHING, 1), turns.RedisTurn)
    print("mine", flush=True)
    await asyncio.sleep(60)

turns.LASTS = 0.6
asyncio.run(hold())
"""


class Upstream:
    """Counts its requests; each takes a while."""

    def __init__(self, seconds: float = 0.05, lifetime: int = 60) -> None:
        self.requests = 0
        self._seconds = seconds
        self._lifetime = lifetime

    async def fetched_by(self, replica: Replica, longest: float = 5.0) -> bytes:
        """What a replica answers, by another's fetch or its own."""
        waited = await replica.turn(b"key", NOTHING, longest)
        if isinstance(waited, Entry):
            return waited.body
        self.requests += 1
        answer = replica.fetched(body=b"answer %d" % self.requests, lifetime=self._lifetime)
        await asyncio.sleep(self._seconds)
        replica.put(answer, NOTHING)
        if waited is not None:
            waited.done()
        return answer.body


async def mine(replica: Replica, longest: float = 5.0, key: bytes = b"key", values: object = NOTHING) -> RedisTurn:
    turn = await replica.turn(key, values, longest)  # type: ignore[arg-type]
    assert isinstance(turn, RedisTurn)
    return turn


async def timed(waiting: Awaitable[object]) -> tuple[float, object]:
    began = time.monotonic()
    result = await waiting
    return time.monotonic() - began, result


def locks(server: RedisServer) -> list[bytes]:
    with server.client() as client:
        return list(client.keys("*:l:*"))


@pytest.mark.parametrize("lifetime", [60, 0])
async def test_three_replicas_make_one_fetch(replica: Open, server: RedisServer, lifetime: int) -> None:
    """Also of what is stale at once: what has come since is the answer to all that were waiting."""
    upstream = Upstream(lifetime=lifetime)
    three = [await replica() for _ in range(3)]
    await three[0].store(three[0].fetched(body=b"stale", lifetime=0))
    answers = await asyncio.gather(*map(upstream.fetched_by, three))
    assert answers == [b"answer 1"] * 3
    assert upstream.requests == 1
    await until(lambda: not locks(server))


async def test_what_was_stored_before_the_turn_came_is_taken(replica: Open) -> None:
    a, b = await replica(), await replica()
    await a.store(a.fetched())
    found = await b.turn(b"key", NOTHING, 1)
    assert isinstance(found, Entry)
    assert found.body == b"content"


async def test_who_waits_hears_soon(replica: Open) -> None:
    a, b = await replica(), await replica()
    turn = await mine(a)
    waiting = asyncio.create_task(timed(b.turn(b"key", NOTHING, 5)))
    await asyncio.sleep(0.4)
    began = time.monotonic()
    a.put(a.fetched(), NOTHING)
    turn.done()
    _, found = await waiting
    assert isinstance(found, Entry)
    assert time.monotonic() - began < 3 * 1.5 * turns.SLOWEST


async def test_nobody_is_told_before_it_is_stored(replica: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = await replica(), await replica()
    encode, go_on = codec.encode, threading.Event()

    def slowly(*arguments: object) -> bytes:
        go_on.wait(10)
        return encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(codec, "encode", slowly)
    turn = await mine(a)
    a.put(a.fetched(body=bytes(200_000)), NOTHING)
    turn.done()
    waiting = asyncio.create_task(b.turn(b"key", NOTHING, 5))
    await asyncio.sleep(0.2)
    go_on.set()
    assert isinstance(await waiting, Entry)


async def test_what_is_nobody_elses_lets_all_go(replica: Open) -> None:
    a, b, c = [await replica() for _ in range(3)]
    turn = await mine(a)
    waiting = [asyncio.create_task(one.turn(b"key", NOTHING, 5)) for one in (b, c)]
    await asyncio.sleep(0.05)
    turn.done(let_go=True)
    took, results = await timed(asyncio.gather(*waiting))
    assert results == [None, None]
    assert took < 3 * 1.5 * turns.SLOWEST
    took, result = await timed(b.turn(b"key", NOTHING, 5))
    assert result is None, "and so do those who come later"
    assert took < turns.SLOWEST


async def test_after_a_fetch_that_failed_the_next_one_tries(replica: Open) -> None:
    a, b, c = [await replica() for _ in range(3)]
    turn = await mine(a)
    waiting = {asyncio.create_task(mine(one)) for one in (b, c)}
    await asyncio.sleep(0.05)
    turn.done()
    turn.done()
    for _ in range(2):
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        [next_one] = done
        next_one.result().done()


async def test_nobody_waits_longer_than_they_are_told_to(replica: Open) -> None:
    a, b = await replica(), await replica()
    turn = await mine(a)
    took, result = await timed(b.turn(b"key", NOTHING, 0.2))
    assert result is None
    assert 0.19 < took < 0.6
    turn.done()


async def test_a_turn_lasts_while_it_is_held(
    replica: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LASTS", 0.3)
    a, b = await replica(), await replica()
    turn = await mine(a)
    assert await b.turn(b"key", NOTHING, 0.8) is None
    assert len(locks(server)) == 1
    turn.done()
    await until(lambda: not locks(server))


async def test_a_replica_that_is_killed_is_waited_for_only_so_long(replica: Open, server: RedisServer) -> None:
    b = await replica()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, server.url], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == b"mine\n"
        assert await b.turn(b"key", NOTHING, 0.9) is None, "it lives"
    finally:
        holder.kill()
        await asyncio.to_thread(holder.communicate)
    took, turn = await timed(mine(b))
    assert isinstance(turn, RedisTurn)
    assert took < 3 * (0.6 + turns.SLOWEST)
    turn.done()


@pytest.mark.parametrize("end", [RedisServer.kill, RedisServer.stop])
async def test_nobody_waits_when_the_server_goes(replica: Open, server: RedisServer, end: object) -> None:
    a, b = await replica(failures=3), await replica(failures=3)
    turn = await mine(a)
    waiting = asyncio.create_task(b.turn(b"key", NOTHING, 30))
    await asyncio.sleep(0.1)
    end(server)  # type: ignore[operator]
    took, result = await timed(waiting)
    assert result is None
    assert took < 3
    turn.done()


async def test_a_server_that_comes_back_empty_learns_of_the_turn(
    replica: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LASTS", 0.3)
    a = await replica()
    turn = await mine(a)
    with server.client() as client:
        client.flushall()
    await until(lambda: locks(server))
    turn.done()
    await until(lambda: not locks(server))


async def test_nobody_ends_anothers_turn(replica: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = await replica(), await replica()
    first = await mine(a)
    with server.client() as client:
        client.delete(*locks(server))
    second = await mine(b)
    first.done()
    await until(lambda: not a._work._tasks)
    assert len(locks(server)) == 1
    monkeypatch.setattr(turns, "LASTS", 0.3)
    [lock] = locks(server)
    with server.client() as client:
        client.set(lock, b"somebody's")
        await asyncio.wait([second._heart], timeout=5)
        assert second._heart.done(), "it is lengthened no more"
        second.done()
        await until(lambda: not b._work._tasks)
        assert client.get(lock) == b"somebody's"


async def test_who_leaves_while_waiting_or_when_it_is_theirs_leaves_no_lock(
    replica: Open, server: RedisServer
) -> None:
    a = await replica()
    for turns_of_the_loop in range(12):
        waiting = asyncio.create_task(a.turn(b"key", NOTHING, 5))
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        if not waiting.cancelled() and isinstance(turn := waiting.result(), RedisTurn):
            turn.done()
    await until(lambda: not a._work._tasks)
    turn = await mine(a, 1)
    turn.done()
    await until(lambda: not locks(server))


async def test_who_ends_gives_turns_back(replica: Open, server: RedisServer) -> None:
    a = await replica()
    await mine(a)
    await mine(a, key=b"another")
    assert len(locks(server)) == 2
    await a.close()
    assert locks(server) == []


async def test_different_variants_do_not_wait_for_each_other(replica: Open) -> None:
    a, b = await replica(), await replica()
    de, en = fields(accept_language="de"), fields(accept_language="en")
    await a.store(a.fetched(lifetime=0, nominated=(b"accept-language",), values=de))
    for one in (a, b):
        await one.find(b"key", de)
    german = await mine(a, values=de)
    english = await mine(b, 0.5, values=en)
    assert await b.turn(b"key", de, 0.05) is None
    german.done()
    english.done()
