"""A Redis keeps what a store promises, and what becomes of one that is gone, stands still, or comes back empty."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.background import end
from gateway.flags import merging
from gateway.flags.ports import MOST_FLAGS
from gateway.flags.redis_store import RedisStore
from gateway.state.ports import Unavailable
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from tests.flags.contract import Open, SharedContract
from tests.flags.replicas import SOON, Replica, until
from tests.support.redis import RedisServer

LIVE = "{gateway}:flags:live"


@pytest_asyncio.fixture
async def replica(server: RedisServer, no_leaked_tasks: None) -> AsyncIterator[Open]:
    """Starts replicas; they end with the test, which none of them may have found a bug in."""
    opened: list[Replica] = []

    async def start() -> Replica:
        url = parse_redis_url(server.url)
        one = Replica(lambda moved, bug: RedisStore(url, RedisTls(), "gateway", moved, bug))
        opened.append(one)
        await one.store.start()
        return one

    yield start
    for one in opened:
        await one.store.close()
    assert [bug for one in opened for bug in one.bugs] == []


def up(one: Replica) -> bool:
    """Whether its store can be asked."""
    assert isinstance(one.store, RedisStore)
    return one.store.up


class TestRedisStore(SharedContract):
    """The contract."""


async def test_who_hears_no_message_follows_within_a_second(replica: Open) -> None:
    a, b = await replica(), await replica()
    await end([b.store._keeper.tasks.pop()])
    await a.put("A", {"enabled": True})
    assert await until(lambda: b.on("A")) < SOON


async def test_the_last_known_values_stay_when_it_is_killed(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    await a.put("A", {"enabled": True}, "ann", "go")
    await until(lambda: b.on("A"))
    server.kill()
    await until(lambda: not up(a) and not up(b))
    assert a.on("A")
    assert b.on("A")
    assert a.registry.health()[0] == "degraded"
    assert "the last known values stay, and nothing can be changed" in a.registry.health()[1]
    with pytest.raises(Unavailable):
        await a.put("A", {"enabled": False})
    with pytest.raises(Unavailable):
        await a.registry.history("A")
    assert a.on("A")
    await asyncio.to_thread(server.start)
    await until(lambda: up(a) and up(b))
    assert a.on("A"), "it is empty now, and is told"
    assert [one for one, _ in a.moves] == [False, True], "said once each way"
    c = await replica()
    assert c.on("A")
    assert [(one.who, one.why) for one in await c.registry.history("A")] == [("ann", "go")]
    await b.put("A", {"enabled": False})
    assert await until(lambda: not a.on("A") and not c.on("A")) < SOON


async def test_one_that_stands_still(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    await a.put("A", {"enabled": True})
    await until(lambda: b.on("A"))
    server.stop()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await a.put("A", {"enabled": False})
    assert time.monotonic() < began + 3
    assert a.on("A")
    await until(lambda: not up(a), 15)
    server.go_on()
    await until(lambda: up(a) and up(b))
    # What was sent while it stood still may have been kept: all agree on either.
    await b.put("B", {"enabled": False})
    assert await until(lambda: a.registry.shown("B") == b.registry.shown("B")) < SOON
    assert a.registry.shown("A") == b.registry.shown("A")


async def test_who_starts_without_it_has_the_files_values_and_then_the_kept_ones(
    replica: Open, server: RedisServer
) -> None:
    a = await replica()
    await a.put("A", {"enabled": True})
    server.kill()
    b = await replica()
    assert not b.on("A")
    assert "the config file's values are in force" in b.registry.health()[1]
    assert [one for one, _ in b.moves] == [False]
    with pytest.raises(Unavailable):
        await b.put("A", {"enabled": True})
    await asyncio.to_thread(server.start)
    await until(lambda: b.on("A"))


async def test_one_that_has_lost_the_latest_is_told_it(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    await a.put("A", {"enabled": True})
    await until(lambda: b.on("A"))
    with server.client() as client:
        before = client.hgetall(LIVE)
        await a.put("A", {"enabled": False})
        await a.put("B", {"rollout": "0%"})
        await until(lambda: b.store.mark == a.store.mark)
        # As a replica of the server that took over: two changes are lost.
        client.delete(LIVE)
        client.hset(LIVE, mapping=before)
        await until(lambda: client.hget(LIVE, "A") not in (None, before[b"A"]) and client.hexists(LIVE, "B"))
        assert b'"enabled":false' in client.hget(LIVE, "A")
    assert not a.on("A")
    assert not b.on("A")
    assert len(await a.registry.history("A")) == 2, "told twice, made once"


async def test_a_change_by_a_clock_that_is_behind_is_the_later_one_all_the_same(
    replica: Open, server: RedisServer
) -> None:
    a, b = await replica(), await replica()
    with server.client() as client:
        ahead = int(time.time() * 1000) + 3_600_000
        client.hset(LIVE, mapping={"A": f'{ahead}:{{"value":{{"enabled":true}},"who":"x","why":"y"}}', "": "mark"})
    await until(lambda: a.on("A") and b.on("A"))
    await a.put("A", {"enabled": False})
    assert await until(lambda: not b.on("A")) < SOON
    assert not a.on("A")


async def test_what_cannot_be_read_is_nobodys(replica: Open, server: RedisServer) -> None:
    a = await replica()
    with server.client() as client:
        kept = {"A": "garbage", "B": "5:{", "C": '5:{"value":{"enabled":false},"who":"x","why":"y"}', "": "mark"}
        client.hset(LIVE, mapping=kept)
    await until(lambda: a.registry.shown("C").live == {"enabled": False})
    assert a.registry.shown("A").live is None
    assert a.registry.health() == ("healthy", "")
    await a.put("A", {"enabled": True})
    assert a.on("A")


async def test_a_key_of_another_kind_is_a_fault_of_the_server(replica: Open, server: RedisServer) -> None:
    with server.client() as client:
        client.set(LIVE, "x")
        a = await replica()
        assert "WRONGTYPE" in a.registry.health()[1]
        client.delete(LIVE)
    await until(lambda: up(a))


async def test_a_change_that_has_no_place_in_its_history_is_not_made(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    with server.client() as client:
        client.set("{gateway}:flags:history:A", "x")
        with pytest.raises(Unavailable, match="WRONGTYPE"):
            await a.put("A", {"enabled": True})
        assert client.hgetall(LIVE) == {}
        with pytest.raises(Unavailable, match="WRONGTYPE"):
            await a.registry.history("A")
        client.delete("{gateway}:flags:history:A")
    await until(lambda: up(a))
    await a.put("A", {"enabled": True})
    await until(lambda: b.on("A"))


@pytest.mark.parametrize("when", ["90000000000000", "999999999999999", "1" + "0" * 30])
async def test_a_time_that_no_clock_gives_is_nobodys(replica: Open, server: RedisServer, when: str) -> None:
    a = await replica()
    with server.client() as client:
        client.hset(LIVE, mapping={"A": f'{when}:{{"value":{{"enabled":false}},"who":"x","why":"y"}}', "": "mark"})
    await until(lambda: a.store.mark == b"mark")
    await a.put("A", {"enabled": True})
    assert a.on("A")
    await a.put("A", {"enabled": False})
    assert not a.on("A")


async def test_flags_without_a_value_make_room(replica: Open, server: RedisServer) -> None:
    gone = '5:{"value":null,"who":"x","why":"y"}'
    there = '5:{"value":{"enabled":true},"who":"x","why":"y"}'
    with server.client() as client:
        client.hset(LIVE, mapping={"": "m", **{f"F{n}": gone if n < 10 else there for n in range(MOST_FLAGS)}})
        a = await replica()
        await a.put("A", {"enabled": True})
        assert a.on("A")
        assert client.hlen(LIVE) == MOST_FLAGS - 10 + 2
        client.hset(LIVE, mapping={f"G{n}": there for n in range(9)})
        b = await replica()
        with pytest.raises(Exception, match=f"{MOST_FLAGS} flags"):
            await b.put("B", {"enabled": True})
        assert not client.hexists(LIVE, "B")
    assert len(merging.merged(a.store.live, ())) <= MOST_FLAGS


async def test_three_replicas_follow_under_traffic(replica: Open) -> None:
    """Toggles while all three evaluate: each answers by the new value within a second."""
    three = [await replica() for _ in range(3)]
    asked = 0
    ends = time.monotonic() + 1.5
    waits: list[float] = []

    async def ask() -> None:
        nonlocal asked
        while time.monotonic() < ends:
            for one in three:
                one.on("C")
            asked += 3
            await asyncio.sleep(0.005)

    async def toggle() -> None:
        on = False
        while time.monotonic() < ends:
            on = not on
            await three[0].put("A", {"enabled": on})
            waits.append(await until(lambda on=on: all(one.on("C") is on for one in three)))

    await asyncio.gather(ask(), toggle())
    assert asked > 300
    assert len(waits) > 3
    assert max(waits) < SOON


async def test_the_rights_that_the_reference_names_are_enough() -> None:
    page = (Path(__file__).parents[2] / "config" / "reference" / "state.md").read_text()
    listed = re.search(r"the commands `([A-Z\s]+)`", page)
    assert listed is not None
    commands = " ".join(f"+{name.lower()}" for name in listed[1].split())
    with RedisServer(user=f"flags on >secret ~{{gateway}}:* &{{gateway}}:* {commands}") as server:
        url = parse_redis_url(f"redis://flags:secret@127.0.0.1:{server.port}")
        a, b = [Replica(lambda moved, bug: RedisStore(url, RedisTls(), "gateway", moved, bug)) for _ in range(2)]
        try:
            for one in (a, b):
                await one.store.start()
                assert one.registry.health() == ("healthy", "")
            await a.put("A", {"enabled": True})
            assert await until(lambda: b.on("A")) < SOON
            assert len(await b.registry.history("A")) == 1
        finally:
            for one in (a, b):
                await one.store.close()
        with server.client() as client:
            denied = [entry["object"] for entry in client.acl_log()]
        assert denied == []
