"""The second tier on a real server: what comes back, what ends, and what becomes of it when the server is gone."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from gateway.cache import codec, shared_tier
from gateway.cache.codec import ENTRY, Record
from gateway.cache.shared_tier import LONGEST, lasts
from gateway.rules.freshness import Freshness, Source
from gateway.state.redis_client import RedisTls
from tests.cache.entries import entry, fields, same
from tests.cache.replicas import NOTHING, RESET, TAGGED, TIMEOUT, Open, until
from tests.support.faults import black_hole, refusing
from tests.support.redis import RedisCluster, RedisServer, TlsFront, sentinel
from tests.support.tls import Authority

#: Three times what a question may take, as everywhere in these tests.
LATEST = 3 * (TIMEOUT + 0.02)
DE, EN = fields(accept_language="de"), fields(accept_language="en")
LANGUAGE = (b"accept-language",)


async def test_what_one_replica_stores_another_finds(replica: Open) -> None:
    a, b = await replica(), await replica()
    assert await b.find(b"key", NOTHING) is None
    stored = await a.store(a.fetched(tags=[b"news"]))
    found = await b.find(b"key", NOTHING)
    assert found is not None
    assert same(found, stored)
    assert await b.find(b"another", NOTHING) is None
    assert (b.counts.hits, b.counts.misses, a.counts.stored) == (1, 2, 1)
    await a.store(a.fetched(body=b"another"))
    assert await b.body() == b"another"


async def test_large_content_is_compressed(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    body = b"a page of some length, " * 10_000
    await a.store(a.fetched(body=body))
    assert await b.body() == body
    with server.client() as client:
        [key] = client.keys("*:e:*")
        assert client.strlen(key) < len(body) / 20


async def test_variants_are_told_apart(replica: Open) -> None:
    a, b = await replica(), await replica()
    await a.store(a.fetched(body=b"Guten Tag", nominated=LANGUAGE, values=DE))
    assert await b.body(values=DE) == b"Guten Tag"
    assert await b.body(values=EN) is None
    assert await b.body() is None
    await b.store(b.fetched(body=b"Hello", nominated=LANGUAGE, values=EN))
    await b.store(b.fetched(body=b"zipped", nominated=(b"accept-encoding",), values=fields(accept_encoding="gzip")))
    assert await a.body(values=EN) == b"Hello"
    assert await a.body(values=DE) == b"Guten Tag"
    assert await a.body(values=fields(accept_encoding="gzip")) == b"zipped"
    await b.store(b.fetched(body=b"for all"))
    assert await a.body(values=EN) == b"for all"


async def test_every_key_ends_by_itself_and_is_ours(replica: Open, server: RedisServer) -> None:
    a = await replica()
    await a.store(a.fetched(lifetime=100))
    await a.store(a.fetched(b"varies", nominated=LANGUAGE, values=DE))
    a.tell(TAGGED)
    assert await a.told(5)
    turn = await a.turn(b"other", NOTHING, 1)
    with server.client() as client:
        keys = client.keys("*")
        assert len(keys) == 6
        assert all(key.startswith(b"{gateway}:cache:") for key in keys)
        ends = {key: client.ttl(key) for key in keys}
        assert all(0 < seconds <= 8 * 24 * 3600 for seconds in ends.values())
        assert 3690 <= min(seconds for key, seconds in ends.items() if b":e:" in key) <= 3700
    assert turn is not None
    turn.done(let_go=True)
    with server.client() as client:
        await until(lambda: client.keys("*:m:*"))
        assert all(client.ttl(key) > 0 for key in client.keys("*"))


@pytest.mark.parametrize(
    ("freshness", "etag", "seconds"),
    [
        (Freshness(60, Source.ORIGIN, 0, 1000), None, 60),
        (Freshness(60, Source.ORIGIN, 20, 1000), None, 40),
        (Freshness(60, Source.ORIGIN, 90, 1000), None, -30),
        (Freshness(60, Source.ORIGIN, 0, 1000, False, False, 10, 300, 30), None, 360),
        (Freshness(60, Source.ORIGIN, 0, 1000), b'"1"', 60 + 3600),
        (Freshness(60, Source.ORIGIN, 90, 1000), b'"1"', 3600),
        (Freshness(0, Source.NONE, 0, 1000, True), b'"1"', 3600),
        (Freshness(36_000, Source.ORIGIN, 0, 1000), b'"1"', 72_000),
        (Freshness(200_000, Source.ORIGIN, 0, 1000), b'"1"', 200_000 + 86_400),
        (Freshness(2**31, Source.ORIGIN, 0, 1000), b'"1"', LONGEST),
    ],
)
def test_how_long_an_entry_may_be_of_use(freshness: Freshness, etag: bytes | None, seconds: int) -> None:
    assert lasts(entry(etag=etag).with_freshness(freshness), 1000.0) == seconds


async def test_what_is_of_no_use_any_more_is_not_stored(replica: Open, server: RedisServer) -> None:
    a = await replica()
    a.put(a.fetched(lifetime=0, etag=None), NOTHING)
    await a.store(a.fetched(b"other"))
    assert await a.body() is None


async def test_what_is_not_right_is_nothing(replica: Open, server: RedisServer) -> None:
    """Garbage, another's response under a key of ours, a resource of another epoch."""
    a = await replica()
    stored = await a.store(a.fetched())
    with server.client() as client:
        [key] = client.keys("*:e:*")
        epoch = client.hget("{gateway}:cache:epoch", "epoch")
        right = client.get(key)
        for data in (b"", b"garbage", right[:-1], right[:100] + b"?" + right[101:]):
            client.set(key, data)
            assert await a.find(b"key", NOTHING) is None
        for wrong in (
            Record(ENTRY, epoch, b"stamp..1", codec.encode(entry(b"another"), 0)),
            Record(ENTRY, b"another.", b"stamp..1", codec.encode(stored, 0)),
            Record(ENTRY, epoch, b"stamp..1", codec.encode(entry(nominated=LANGUAGE, values=DE), 0)),
        ):
            client.set(key, codec.seal(wrong))
            assert await a.find(b"key", NOTHING) is None
        client.delete(key)
        client.hset(key, "not", "a string")
        assert await a.find(b"key", NOTHING) is None
        client.delete(key)
        client.set(key, right)
    assert await a.body() == b"content"
    assert a.counts.garbage == 4
    assert a.up


async def test_too_much_that_waits_is_dropped(
    replica: Open, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_tier, "_QUEUE", 10)
    a = await replica()
    a.put(a.fetched(body=bytes(5 * 1024 * 1024)), NOTHING)
    assert a.counts.dropped == 1, "it is too large"
    for number in range(30):
        a.put(a.fetched(b"%d" % number), NOTHING)
    assert a.counts.dropped == 21
    await until(lambda: not a._waiting)
    assert a.counts.stored == 10
    monkeypatch.setattr(shared_tier, "_QUEUE_BYTES", 100_000)
    for number in range(10):
        a.put(a.fetched(b"%d" % number, bytes(30_000)), NOTHING)
    assert a.counts.dropped == 28
    await until(lambda: not a._waiting)
    assert a._waiting_bytes == 0
    assert a._writing == {}


async def test_a_full_server_is_no_reason_to_stop_asking(replica: Open, server: RedisServer) -> None:
    a = await replica()
    await a.store(a.fetched())
    with server.client() as client:
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")
        try:
            for number in range(12):
                await a.store(a.fetched(b"%d" % number))
            assert a.counts.dropped == 12
            assert a.up
            assert await a.body() == b"content"
        finally:
            client.config_set("maxmemory", "0")


# ---- a server that is gone


async def timed(a: object) -> float:
    began = time.monotonic()
    await a  # type: ignore[misc]
    return time.monotonic() - began


async def test_nobody_waits_for_a_server_that_stands_still(replica: Open, server: RedisServer) -> None:
    a = await replica()
    await a.store(a.fetched())
    server.stop()
    took = await asyncio.gather(*(timed(a.find(b"key", NOTHING)) for _ in range(64)))
    assert max(took) < LATEST
    assert not a.up
    assert [up for up, _ in a.moves] == [False]
    assert a.health()[0] == "degraded"
    a.put(a.fetched(), NOTHING)
    assert await a.turn(b"key", NOTHING, 10) is None
    assert max(await asyncio.gather(*(timed(a.find(b"key", NOTHING)) for _ in range(64)))) < TIMEOUT / 2
    server.go_on()
    await until(lambda: a.up)
    assert [up for up, _ in a.moves] == [False, True]
    assert a.health() == ("healthy", "")
    assert await a.body() == b"content"


async def test_a_server_that_is_killed_and_comes_back_empty(replica: Open, server: RedisServer) -> None:
    a, b = await replica(), await replica()
    await a.store(a.fetched())
    server.kill()
    for _ in range(10):
        assert await timed(a.find(b"key", NOTHING)) < LATEST
    await until(lambda: not a.up)
    await asyncio.to_thread(server.start)
    await until(lambda: a.up and b.up)
    assert await a.body() is None
    await b.store(b.fetched())
    assert await a.body() == b"content"
    assert [up for up, _ in a.moves] == [False, True]


@pytest.mark.parametrize("peer", [refusing, black_hole])
async def test_a_server_that_is_not_there_at_the_start(peer: object, replica: Open) -> None:
    with peer() as (host, port):  # type: ignore[operator]
        a = await replica(f"redis://:s3cret@{host}:{port}")
        assert not a.up
        assert await a.find(b"key", NOTHING) is None
        assert await a.turn(b"key", NOTHING, 10) is None
        a.put(a.fetched(), NOTHING)
        assert not a.tell(TAGGED)
        [(up, why)] = a.moves
        assert not up
        for word in ("s3cret", str(port)):
            assert word not in why + a.health()[1]
        await asyncio.sleep(2 * RESET)
        assert len(a.moves) == 1


async def test_callers_who_leave_are_no_failures(replica: Open, server: RedisServer) -> None:
    a = await replica(timeout=2.0)
    server.stop()
    callers = [asyncio.create_task(a.find(b"key", NOTHING)) for _ in range(40)]
    callers += [asyncio.create_task(a.turn(b"key", NOTHING, 10)) for _ in range(4)]
    await asyncio.sleep(0.02)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    server.go_on()
    await a.store(a.fetched())
    assert await a.body() == b"content"
    assert a.moves == []


async def test_a_caller_who_leaves_is_gone_at_once_wherever_the_call_is(replica: Open) -> None:
    """redis-py, with Python 3.11, loses a cancellation that comes while it sends."""
    a = await replica()
    for turns_of_the_loop in range(30):
        caller = asyncio.create_task(a.find(b"key", NOTHING))
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        left = caller.cancel()
        await asyncio.wait([caller], timeout=1)
        assert caller.done()
        assert caller.cancelled() == left


async def test_it_can_end_at_any_moment(replica: Open) -> None:
    for turns_of_the_loop in range(0, 60, 2):
        a = await replica()
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await a.close()


# ---- ways to a server


async def both_ways(url: str, replica: Open, tls: RedisTls | None = None) -> None:
    a, b = await replica(url, tls=tls, timeout=5.0), await replica(url, tls=tls, timeout=5.0)
    assert a.up, a.health()
    await a.store(a.fetched(tags=[b"news"], nominated=LANGUAGE, values=DE))
    await a.store(a.fetched(b"zip", nominated=(b"accept-encoding",), values=DE))
    await a.store(a.fetched(b"zip", nominated=LANGUAGE, values=DE))
    assert await b.body(values=DE) == b"content"
    assert await b.body(b"zip", values=DE) == b"content"
    turn = await a.turn(b"other", NOTHING, 1)
    assert turn is not None
    assert await b.turn(b"other", NOTHING, 0.01) is None
    turn.done()
    a.tell(TAGGED)
    assert await a.told(5)
    await until(lambda: TAGGED in b.applied)
    assert await b.body(values=DE) is None
    assert (a._keeper.deaf, b._keeper.deaf) == ("", "")


async def test_tls_and_a_password(tmp_path: Path, replica: Open) -> None:
    authority = Authority(tmp_path)
    with RedisServer(requirepass="pass") as server:
        front = TlsFront(server, authority.server("localhost"))
        await both_ways(f"rediss://:pass@localhost:{front.port}", replica, RedisTls(ca=str(authority.file)))
        front.close()


async def test_a_user_who_may_do_what_the_page_says_and_nothing_else(replica: Open) -> None:
    page = (Path(__file__).parents[2] / "config/reference/state.md").read_text()
    commands = [f"+{name.lower()}" for name in re.findall(r"`(EVAL [A-Z \n]+)`", page)[0].split()]
    with RedisServer(requirepass="pass") as server:
        with server.client(password="pass") as client:
            rights = ["on", ">word", "~{gateway}:*", "&{gateway}:*", *commands]
            client.execute_command("ACL", "SETUSER", "gw", "resetchannels", *rights)
        await both_ways(f"redis://gw:word@127.0.0.1:{server.port}", replica)


async def test_a_sentinel(server: RedisServer, replica: Open) -> None:
    with sentinel(server) as watcher:
        await both_ways(f"redis+sentinel://127.0.0.1:{watcher.port}/mymaster", replica)


async def test_a_cluster(replica: Open) -> None:
    with RedisCluster() as cluster:
        await both_ways(cluster.url, replica)
