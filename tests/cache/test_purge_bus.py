"""Purges that reach every replica, with what is lost on the way: messages, the server's memory, the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.background import end
from gateway.cache import purge_bus
from gateway.cache.purge_bus import PurgeBus, _read, _written
from gateway.rules.purge import Effect, Kind, Purge, PurgeLog, Subject
from tests.cache.replicas import NOTHING, TAGGED, Open, Replica, until
from tests.support.redis import RedisServer

NEWS = [b"news"]
SPORT = Purge(Kind.TAG, b"sport")
#: Seconds within which every replica has to know of a purge.
SOON = 1.0

purges = st.builds(
    Purge, st.sampled_from(Kind), st.binary(max_size=20), st.none() | st.binary(max_size=20), st.booleans()
)


async def deaf(replica: Replica) -> None:
    """Have it hear no message from now on."""
    await end([replica._keeper.tasks.pop()])


async def test_a_purge_reaches_all_within_a_second(replica: Open) -> None:
    a, b, c = [await replica() for _ in range(3)]
    stored = await a.store(a.fetched(tags=NEWS))
    assert await b.body() == b"content"
    assert a.tell(TAGGED)
    assert await a.body() is None, "here at once"
    assert await a.told(SOON)
    assert await until(lambda: b.applied and c.applied) < SOON
    assert b.applied == c.applied == [TAGGED]
    assert a.applied == [], "its own memory is purged by whoever purges"
    for one in (a, b, c):
        assert one.log.hit(stored.subject, 0) is Effect.HARD
        assert await one.body() is None
    await b.store(b.fetched(tags=NEWS))
    assert await c.body() == b"content", "it was fetched after the purge"


async def test_who_missed_the_message_finds_out_within_a_second(replica: Open) -> None:
    a, b = await replica(), await replica()
    await deaf(b)
    await a.store(a.fetched(tags=NEWS))
    a.tell(TAGGED)
    a.tell(SPORT)
    assert await until(lambda: len(b.applied) == 2) < SOON
    assert b.applied == [TAGGED, SPORT]
    assert await b.body() is None


async def test_what_is_fetched_before_a_purge_and_stored_after_it_is_not_believed(replica: Open) -> None:
    a, b = await replica(), await replica()
    fetched = b.fetched(tags=NEWS)
    a.tell(TAGGED)
    await until(lambda: b.applied)
    await b.store(fetched)
    assert await a.body() is None
    assert await b.body() is None
    assert a.counts.purged == 1


async def test_a_soft_purge_makes_it_stale(replica: Open) -> None:
    a, b = await replica(), await replica()
    await a.store(a.fetched(tags=NEWS))
    a.tell(TAGGED._replace(soft=True))
    await until(lambda: b.applied)
    for one in (a, b):
        found = await one.find(b"key", NOTHING)
        assert found is not None
        assert found.fresh_until <= found.born + 1
        assert found.version == one.log.version


async def test_who_starts_later_knows_of_earlier_purges(replica: Open) -> None:
    a = await replica()
    await a.store(a.fetched(b"one", tags=NEWS))
    a.tell(TAGGED)
    assert await a.told(SOON)
    await a.store(a.fetched(b"two", tags=NEWS))
    b = await replica()
    assert b.applied == [TAGGED]
    assert await b.body(b"one") is None
    assert await b.body(b"two") == b"content"


async def test_a_log_that_does_not_reach_back_purges_all(
    replica: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_bus, "MOST", 3)
    a = await replica()
    await a.store(a.fetched(b"before"))
    b = await replica()
    await deaf(b)
    server_side = [Purge(Kind.TAG, b"%d" % number) for number in range(5)]
    for one in server_side[:4]:
        a.tell(one)
        assert await a.told(SOON)
    await a.store(a.fetched(b"after"))
    a.tell(server_side[4])
    await until(lambda: b.applied[-1:] == server_side[4:])
    late = await replica()
    assert await late.body(b"before") is None
    assert await late.body(b"after") == b"content"
    with server.client() as client:
        assert client.llen("{gateway}:cache:purges") == 3


async def test_a_gap_that_the_log_does_not_fill_purges_all(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    await deaf(b)
    await a.store(a.fetched(b"before"))
    assert await b.body(b"before") == b"content"
    with server.client() as client:
        client.hincrby("{gateway}:cache:epoch", "number", 5)
    await until(lambda: b.applied)
    assert b.applied == [Purge(Kind.ALL)]
    assert await b.body(b"before") is None
    await b.store(b.fetched(b"after"))
    assert await a.body(b"after") == b"content"
    a.tell(TAGGED)
    assert await until(lambda: b.applied[1:] == [TAGGED]) < SOON


async def test_purges_wait_for_a_server_that_is_gone(replica: Open, server: RedisServer) -> None:
    a, b = await replica(failures=3), await replica(failures=3)
    stored = a.fetched(tags=NEWS)
    server.kill()
    for one in (a, b):
        for _ in range(3):
            await one.find(b"key", NOTHING)
    await until(lambda: not a.up and not b.up)
    assert not a.tell(TAGGED)
    assert a.log.hit(stored.subject, stored.version) is Effect.HARD, "here at once"
    assert not await a.told(0.01)
    assert a.purges_waiting == 1
    assert "purges waiting for it: 1" in a.health()[1]
    await asyncio.to_thread(server.start)
    await until(lambda: TAGGED in b.applied)
    assert await a.told(SOON)
    assert a.purges_waiting == 0


async def test_purges_wait_for_a_server_that_stands_still(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    server.stop()
    a.tell(TAGGED)
    assert not await a.told(0.3)
    server.go_on()
    await until(lambda: TAGGED in b.applied)
    assert await a.told(5)


async def test_equal_purges_that_wait_are_one(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    server.stop()
    versions = []
    for _ in range(5):
        a.tell(TAGGED)
        versions.append(a.log.version)
        a.tell(SPORT)
    assert versions == sorted(set(versions)), "each has its number here"
    assert a.purges_waiting == 2
    server.go_on()
    await until(lambda: a.purges_waiting == 0)
    await until(lambda: {TAGGED, SPORT} <= set(b.applied))


async def test_too_many_that_wait_are_one_of_everything(
    replica: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await replica(failures=1), await replica(failures=1)
    server.kill()
    await until(lambda: not a.up)
    monkeypatch.setattr(purge_bus, "MOST", 3)
    for number in range(10):
        a.tell(Purge(Kind.TAG, b"%d" % number))
    assert a.purges_waiting <= 3
    monkeypatch.undo()
    await asyncio.to_thread(server.start)
    await until(lambda: Purge(Kind.ALL) in b.applied)
    await until(lambda: a.purges_waiting == 0)


async def test_a_server_that_comes_back_empty_is_told_what_it_may_have_lost(
    replica: Open, server: RedisServer
) -> None:
    a, b = await replica(), await replica()
    await deaf(b)
    await a.store(a.fetched(tags=NEWS))
    before = a._bus.epoch
    a.tell(TAGGED)
    await until(lambda: not a.purges_waiting)
    with server.client() as client:
        client.flushall()
    b.applied.clear()
    await until(lambda: TAGGED in b.applied)
    assert a._bus.epoch == b._bus.epoch != before
    await a.store(a.fetched(tags=NEWS))
    assert await b.body() == b"content"


async def test_a_server_that_lost_the_latest_numbers_goes_on_from_ours(replica: Open, server: RedisServer) -> None:
    """As one that takes over does, which had not heard of everything."""
    a, b = await replica(), await replica()
    for number in range(3):
        a.tell(Purge(Kind.TAG, b"%d" % number))
    await until(lambda: len(b.applied) == 3)
    with server.client() as client:
        client.hset("{gateway}:cache:epoch", "number", 1)
        await until(lambda: client.hget("{gateway}:cache:epoch", "number") == b"3")
    b.tell(SPORT)
    await until(lambda: SPORT in a.applied)
    await until(lambda: a._bus._known == b._bus._known == 4)


async def test_listening_goes_on_when_its_connection_breaks(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    with server.client() as client:
        await until(lambda: client.pubsub_numsub("{gateway}:cache:purged")[0][1] == 2)
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: client.pubsub_numsub("{gateway}:cache:purged")[0][1] == 2)
    assert b._keeper.deaf
    a.tell(TAGGED)
    await until(lambda: b.applied)


async def test_garbage_on_the_channel_is_nothing_and_a_purge_of_another_version_is_of_everything(
    replica: Open, server: RedisServer
) -> None:
    a = await replica()
    with server.client() as client:
        await until(lambda: client.pubsub_numsub("{gateway}:cache:purged")[0][1] == 1)
        for message in (b"garbage", b":", b"-1:x", b"9" * 100 + b":x", b"\xff"):
            client.publish("{gateway}:cache:purged", message)
        client.publish("{gateway}:cache:purged", b'1:["b","by-moon","",null,false]')
        await until(lambda: a.applied)
    assert a.applied == [Purge(Kind.ALL)]


@given(purges)
def test_a_purge_comes_back_as_it_went(purge: Purge) -> None:
    assert _read(_written(purge, "us")) == purge


@given(st.binary(max_size=60))
def test_what_cannot_be_read_is_a_purge_of_everything(text: bytes) -> None:
    assert _read(text) == Purge(Kind.ALL)


# ---- the numbers, against a plain reference: everybody's purges, one list


class Server:
    """The script's other end: as lua/purges.lua, in memory."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.listeners: list[Callable[[bytes], None]] = []

    async def run(self, _script: object, _keys: object, arguments: list[bytes]) -> object:
        epoch, known = arguments[0], int(arguments[1])
        before = len(self.log)
        missed = self.log[known if epoch == b"epoch..1" else 0 :]
        self.log += arguments[6:]
        for number, text in enumerate(arguments[6:], before + 1):
            for listener in self.listeners:
                listener(b"%d:%b" % (number, text))
        return [b"epoch..1", b"%d" % before, missed]


class Node:
    """One replica's end, and what it holds: for each entry the purges that its upstream had not heard of yet."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.log = PurgeLog()
        self.lost: list[bytes] = []
        self.bus = PurgeBus(b"p:", self.log, lambda _: None)
        server.listeners.append(self.lost.append)


_steps = st.lists(
    st.tuples(st.sampled_from(["fetch", "purge", "exchange", "hear", "lose", "store", "read"]), st.integers(0, 2)),
    max_size=60,
)


@settings(max_examples=300)
@given(_steps)
def test_nothing_that_was_fetched_before_a_known_purge_is_ever_believed(steps: list[tuple[str, int]]) -> None:
    asyncio.run(_believe(steps))


async def _believe(steps: list[tuple[str, int]]) -> None:
    """Purges are all of one tag. An entry may be believed by a replica only if no purge that the replica knows of was
    made after the entry was fetched."""
    server = Server()
    nodes = [Node(server) for _ in range(3)]
    subject = Subject(b"key", b"", b"", frozenset(NEWS))
    purged_at: dict[int, list[int]] = {0: [], 1: [], 2: []}
    fetched: list[tuple[int, int, int]] = []  # when, by whom, with which version
    stored: list[tuple[int, int]] = []  # when it was fetched, with which shared version
    for node in nodes:
        await node.bus.exchange(server.run)
    for now, (step, who) in enumerate(steps):
        node = nodes[who]
        if step == "fetch":
            fetched.append((now, who, node.log.version))
        elif step == "purge":
            node.bus.publish(TAGGED)
            purged_at[who].append(now)
        elif step == "exchange":
            await node.bus.exchange(server.run)
        elif step == "hear":
            for message in node.lost:
                node.bus.heard(message)
            node.lost.clear()
        elif step == "lose":
            node.lost.clear()
        elif step == "store" and fetched:
            at, by, version = fetched[-1]
            shared = nodes[by].bus.there(version)
            if shared is not None:
                stored.append((at, shared))
        elif step == "read":
            for at, shared in stored:
                since = node.bus.here(shared)
                believed = since is not None and node.log.hit(subject, since) is Effect.NONE
                own = [when for when in purged_at[who] if when > at]
                assert not (believed and own), "purged here since"
    # When all have told all, whatever was fetched before anybody's purge is believed by nobody.
    for _ in range(3):
        for node in nodes:
            await node.bus.exchange(server.run)
    last = max((when for each in purged_at.values() for when in each), default=-1)
    for at, shared in stored:
        for node in nodes:
            since = node.bus.here(shared)
            believed = since is not None and node.log.hit(subject, since) is Effect.NONE
            assert not (believed and at < last)
    # And what is fetched from now on is believed by all.
    for node in nodes:
        shared = node.bus.there(node.log.version)
        assert shared is not None
        for other in nodes:
            since = other.bus.here(shared)
            assert since is not None
            assert other.log.hit(subject, since) is Effect.NONE


async def test_a_purge_that_still_waits_is_held_against_what_others_stored_meanwhile() -> None:
    """Here it came before a purge of another's; in the shared order it will come after it."""
    server = Server()
    here, there = Node(server), Node(server)
    for node in (here, there):
        await node.bus.exchange(server.run)
    there.bus.publish(SPORT)
    await there.bus.exchange(server.run)
    shared = there.bus.there(there.log.version)  # of what is fetched there now
    assert shared == 1
    here.bus.publish(TAGGED)
    for message in here.lost:
        here.bus.heard(message)
    subject = Subject(b"key", b"", b"", frozenset(NEWS))
    for _ in range(2):
        since = here.bus.here(shared)
        assert since is not None
        assert here.log.hit(subject, since) is Effect.HARD
        await here.bus.exchange(server.run)
