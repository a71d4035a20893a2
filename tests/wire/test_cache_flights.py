"""Many who want the same over sockets: one fetch, read by all as it comes, held by whoever still waits."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import Client, fetch
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Cut
from tests.wire.stage import Stage, answers, ask, crowd, heads, joined, led, told

FRESH = b"Cache-Control: max-age=60"
THOUSAND = 1000


async def test_a_thousand_misses_are_one_request(cached: Gateway, stage: Stage) -> None:
    """And the first byte reaches each before the origin has sent the last."""
    async with crowd(cached, THOUSAND) as clients:
        ask(clients, "/plain/stampede")
        call = await stage.call()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\nfirst")
        responses = await heads(clients)
        bodies = [client.body(response) for client, response in zip(clients, responses, strict=True)]
        firsts = await asyncio.gather(*(body.read(5, within=15) for body in bodies))
        assert set(firsts) == {b"first"}
        call.send(b"-last")
        assert set(await asyncio.gather(*(body.rest() for body in bodies))) == {b"-last"}
        assert stage.count == 1
        said = [told(response) for response in responses]
        assert sum("collapsed" in one for one in said) == THOUSAND - 1
        assert all("fwd=uri-miss" in one for one in said)
    assert told(await fetch(cached.ingress, "GET", "/plain/stampede")).startswith("gateway; hit; ttl=")
    assert stage.count == 1


async def test_who_comes_late_reads_from_the_beginning(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 2) as (leader, late):
        leader.ask("GET", "/plain/late")
        call = await stage.call()
        call.begin(FRESH)
        call.chunk(b"first")
        body = leader.body(await leader.response_head())
        assert await body.read(5) == b"first"
        late.ask("GET", "/plain/late")
        other = late.body(await late.response_head())
        assert await other.read(5) == b"first"
        call.chunk(b"-last")
        call.end()
        assert (await body.rest(), await other.rest()) == (b"-last", b"-last")
    await stage.nothing_more()


async def test_the_leader_may_leave(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 5) as clients:
        call = await led(cached, stage, clients, "/plain/leaver")
        clients[0].wire.reset()
        await joined(cached, 4)
        call.begin(FRESH)
        call.chunk(b"first")
        responses = await heads(clients[1:])
        call.chunk(b"-last")
        call.end()
        for client, response in zip(clients[1:], responses, strict=True):
            assert await client.body(response).rest() == b"first-last"
    assert (await fetch(cached.ingress, "GET", "/plain/leaver")).body == b"first-last"
    assert stage.count == 1


async def test_the_leader_may_leave_in_the_middle(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 3) as clients:
        call = await led(cached, stage, clients, "/plain/leaver-amid")
        call.begin(FRESH)
        call.chunk(b"first")
        responses = await heads(clients)
        clients[0].wire.reset()
        await joined(cached, 2)
        call.chunk(b"-last")
        call.end()
        for client, response in list(zip(clients, responses, strict=True))[1:]:
            assert await client.body(response).rest() == b"first-last"
    assert (await fetch(cached.ingress, "GET", "/plain/leaver-amid")).body == b"first-last"
    assert stage.count == 1


@pytest.mark.parametrize("begun", [False, True])
async def test_when_nobody_waits_the_fetch_ends(cached: Gateway, stage: Stage, begun: bool) -> None:
    target = f"/plain/nobody-{begun}"
    async with crowd(cached, 3) as clients:
        call = await led(cached, stage, clients, target)
        if begun:
            call.begin(FRESH)
            call.chunk(b"first")
            await heads(clients)
        for client in clients[:2]:
            client.wire.reset()
        await joined(cached, 1)
        assert not call.upstream.wire.ended
        clients[2].wire.reset()
        await call.gone()
    async with crowd(cached, 1) as (client,):
        client.ask("GET", target)
        (await stage.call()).answer(b"anew", FRESH)
        assert (await client.response()).body == b"anew"
    assert stage.count == 2


async def test_a_cap_counts_fetches(cached: Gateway, stage: Stage) -> None:
    """Of fifty who want the same each is served, though one request at a time may go to the upstream."""
    async with crowd(cached, 50) as clients:
        call = await led(cached, stage, clients, "/capped/a")
        refused = await fetch(cached.ingress, "GET", "/capped/b")
        assert_problem(refused, 503, "connection_limit_reached")
        assert refused.value("retry-after") is not None
        call.answer(b"a", FRESH)
        assert [one.status for one in await answers(clients)] == [200] * 50
        clients[0].ask("GET", "/capped/c")
        held = await stage.call()
        assert told(await fetch(cached.ingress, "GET", "/capped/a")).startswith("gateway; hit")
        held.answer(b"c")
        assert (await clients[0].response()).body == b"c"
    assert stage.count == 2
    await cached.metric_is(0, "gateway_in_flight_capped", scope="route", name="ingress/capped/cap-cached")


async def test_coalesce_false(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 3) as clients:
        ask(clients, "/alone/each")
        calls = [await stage.call() for _ in clients]
        for call in calls:
            call.answer(b"own", FRESH)
        for response in await answers(clients):
            assert (response.body, "collapsed" in told(response)) == (b"own", False)
        clients[0].ask("GET", "/alone/each")
        assert told(await clients[0].response()).startswith("gateway; hit")
    assert stage.count == 3


async def test_coalesce_without_a_cache(cached: Gateway, stage: Stage) -> None:
    """Requests at the same time are one; nothing is kept of it."""
    async with crowd(cached, 4) as clients:
        call = await led(cached, stage, clients, "/together/now")
        call.answer(b"one", FRESH)
        responses = await answers(clients)
        assert [one.body for one in responses] == [b"one"] * 4
        assert sum("collapsed" in told(one) for one in responses) == 3
        assert not any("stored" in told(one) for one in responses)
        clients[0].ask("GET", "/together/now")
        (await stage.call()).answer(b"two", FRESH)
        assert (await clients[0].response()).body == b"two"
    assert stage.count == 2


async def test_coalesce_without_a_cache_is_for_get_only(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 3) as clients:
        ask(clients, "/together/posts", [("Content-Length", "0")], "POST")
        for call in [await stage.call() for _ in clients]:
            call.answer()
        assert [one.status for one in await answers(clients)] == [200] * 3


@pytest.mark.parametrize("field", ["Authorization", "Cookie"])
async def test_coalesce_does_not_mix_callers(cached: Gateway, stage: Stage, field: str) -> None:
    """An answer that says nothing of whose it is goes to none but who asked for it."""
    async with crowd(cached, 3) as clients:
        for number, client in enumerate(clients):
            client.ask("GET", f"/together/of-{field}", [(field, f"user={number}")])
            if number == 0:
                call = await stage.call()
        await joined(cached, 3)
        call.answer(call.request.value(field) or b"")
        for _ in clients[1:]:
            call = await stage.call()
            call.answer(call.request.value(field) or b"")
        assert [one.body for one in await answers(clients)] == [b"user=0", b"user=1", b"user=2"]


async def test_past_max_object_nobody_joins(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 3) as (leader, joins, late):
        call = await led(cached, stage, [leader, joins], "/small/grows")
        call.begin(FRESH)
        call.chunk(b"a" * 40_000)
        reading = [client.body(await client.response_head()) for client in (leader, joins)]
        assert [await body.read(40_000) for body in reading] == [b"a" * 40_000] * 2
        call.chunk(b"b" * 40_000)
        assert [await body.read(40_000) for body in reading] == [b"b" * 40_000] * 2
        late.ask("GET", "/small/grows")
        (await stage.call()).answer(b"own", b"Cache-Control: no-store")
        assert (await late.response()).body == b"own"
        call.end()
        assert [await body.rest() for body in reading] == [b"", b""]
        late.ask("GET", "/small/grows")
        (await stage.call()).answer(b"not kept")
        assert (await late.response()).body == b"not kept"
    assert stage.count == 3


async def test_too_large_by_its_length(cached: Gateway, stage: Stage) -> None:
    """Who waited shares it; who comes when that is known does not; nothing is kept."""
    async with crowd(cached, 3) as (leader, joins, late):
        call = await led(cached, stage, [leader, joins], "/small/large")
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\nCache-Control: max-age=60\r\n\r\n" + b"a" * 10)
        reading = [client.body(await client.response_head()) for client in (leader, joins)]
        late.ask("GET", "/small/large")
        (await stage.call()).answer(b"own")
        assert (await late.response()).body == b"own"
        call.send(b"a" * 69_990)
        assert [len(await body.rest()) for body in reading] == [70_000, 70_000]
    assert stage.count == 2


async def test_who_falls_behind_what_is_not_stored_is_cut_loose(cached: Gateway, stage: Stage) -> None:
    """A mebibyte behind the quickest, for nobody holds more for him."""
    async with (
        await Client.connect(cached.ingress) as quick,
        await Client.connect(cached.ingress, receive_buffer=4096) as slow,
    ):
        call = await led(cached, stage, [quick, slow], "/small/behind")
        call.begin(FRESH)
        call.chunk(b"a" * 1000)
        reading = quick.body(await quick.response_head())
        behind = slow.body(await slow.response_head())
        assert (await reading.read(1000), await behind.read(1000)) == (b"a" * 1000, b"a" * 1000)
        slow.wire.pause()
        for _ in range(12):
            call.chunk(b"b" * (1 << 20))
            assert await reading.read(1 << 20, within=15) == b"b" * (1 << 20)
        call.end()
        assert await reading.rest() == b""
        slow.wire.resume()
        with pytest.raises(Cut):
            await behind.rest(within=15)
    assert stage.count == 1


async def test_one_slow_reader_alone_is_waited_for(cached: Gateway, stage: Stage) -> None:
    """Nobody is ahead of him: the upstream waits, memory does not grow, and he gets all of it."""
    size = 12 << 20
    async with await Client.connect(cached.ingress, receive_buffer=1 << 17) as slow:
        call = await led(cached, stage, [slow], "/small/slow")
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        body = slow.body(await slow.response_head())
        slow.wire.pause()
        before = cached.rss()
        call.send(b"c" * size)
        await asyncio.sleep(0.3)
        assert call.upstream.wire.unsent() > 0, "the gateway took all of it"
        assert cached.rss() - before < 6 << 20
        slow.wire.resume()
        assert len(await body.rest(within=15)) == size
