"""Fetches that fail under those who wait for them: one more leader, stale answers, short memories, cut bodies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from tests.support.client import fetch
from tests.support.expect import assert_problem, assert_within
from tests.support.gateway import Gateway, until
from tests.support.message import Cut
from tests.wire.stage import Stage, answers, ask, crowd, heads, joined, led, told

FRESH = b"Cache-Control: max-age=60"
#: Stored, and stale at once.
STALE = (b"Cache-Control: max-age=10", b"Age: 20", b'ETag: "one"')


async def test_a_reset_before_the_first_byte_has_one_new_leader(cached: Gateway, stage: Stage) -> None:
    """The first leader may be told of it, whose request it was; nobody else is, and the origin sees two requests."""
    async with crowd(cached, 20) as clients:
        call = await led(cached, stage, clients, "/plain/reset-once")
        call.reset()
        (await stage.call()).answer(b"second", FRESH)
        statuses = Counter(one.status for one in await answers(clients))
        assert statuses[200] >= 19
        assert statuses[200] + statuses[502] == 20
    assert stage.count == 2


async def test_when_the_new_leader_fails_too_all_are_told(cached: Gateway, stage: Stage) -> None:
    """And for a second after it whoever asks, without the origin being asked again."""
    async with crowd(cached, 20) as clients:
        (await led(cached, stage, clients, "/plain/reset-twice")).reset()
        (await stage.call()).reset()
        for response in await answers(clients):
            assert_problem(response, 502, "connection_terminated")
        failed = time.monotonic()
        assert stage.count == 2
        while stage.count == 2:
            clients[0].ask("GET", "/plain/reset-twice")
            await until(lambda: bool(clients[0].wire.unread) or stage.count > 2, "an answer or a call")
            if stage.count == 2:
                assert_problem(await clients[0].response(), 502, "connection_terminated")
                await asyncio.sleep(0.05)
        assert_within(time.monotonic() - failed, 1.0, earliest=0.8)
        (await stage.call()).answer(b"well again", FRESH)
        assert (await clients[0].response()).body == b"well again"
    assert stage.count == 3


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["reset", "fin"])
async def test_broken_off_after_the_first_byte(cached: Gateway, stage: Stage, framing: str, how: str) -> None:
    """Each is cut off: a broken body never looks whole. Nothing is kept of it."""
    target = f"/plain/cut-{framing}-{how}"
    async with crowd(cached, 5) as clients:
        call = await led(cached, stage, clients, target)
        if framing == "chunked":
            call.begin(FRESH)
            call.chunk(b"first")
        else:
            call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n" + FRESH + b"\r\n\r\nfirst")
        reading = [client.body(response) for client, response in zip(clients, await heads(clients), strict=True)]
        assert [await body.read(5) for body in reading] == [b"first"] * 5
        call.reset() if how == "reset" else call.upstream.wire.close()
        for body in reading:
            with pytest.raises(Cut):
                await body.rest()
    async with crowd(cached, 1) as (client,):
        client.ask("GET", target)
        (await stage.call()).answer(b"whole", FRESH)
        assert (await client.response()).body == b"whole"
    assert stage.count == 2


async def test_a_stalled_origin_holds_nobody(cached: Gateway, stage: Stage) -> None:
    """Two fetches run out of time one after the other, then all are told."""
    async with crowd(cached, 10) as clients:
        began = time.monotonic()
        call = await led(cached, stage, clients, "/hasty/stalled")
        for response in await answers(clients):
            assert_problem(response, 504, "http_response_timeout")
        assert_within(time.monotonic() - began, 0.6, earliest=0.5)
        assert stage.count == 2
        await call.gone()


async def test_an_origin_that_stalls_in_the_body(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 3) as clients:
        call = await led(cached, stage, clients, "/hasty/stalls")
        call.begin(FRESH)
        call.chunk(b"first")
        began = time.monotonic()
        reading = [client.body(response) for client, response in zip(clients, await heads(clients), strict=True)]
        for body in reading:
            with pytest.raises(Cut):
                await body.rest()
        assert_within(time.monotonic() - began, 0.3)
        await call.gone()
        clients[0].wire.close()
    async with crowd(cached, 1) as (client,):
        client.ask("GET", "/hasty/stalls")
        (await stage.call()).answer(b"whole")
        assert (await client.response()).body == b"whole"


async def test_each_has_a_timeout_of_his_own(cached: Gateway, stage: Stage) -> None:
    """When the leader's time is over, who joined later has the rest of his own, with a fetch of his own."""
    async with crowd(cached, 2) as (leader, late):
        began = time.monotonic()
        leader.ask("GET", "/brief/own-time")
        await stage.call()
        await asyncio.sleep(0.35)
        late.ask("GET", "/brief/own-time")
        joining = time.monotonic()
        assert_problem(await leader.response(), 504, "http_response_timeout")
        assert_within(time.monotonic() - began, 0.6)
        await stage.call()
        assert_problem(await late.response(), 504, "http_response_timeout")
        assert 0.54 <= time.monotonic() - joining < 0.84, "not a whole further time"
    assert stage.count == 2


@pytest.mark.parametrize(
    "line",
    [b"Cache-Control: private", b"Cache-Control: no-store", b"Set-Cookie: a=1", b"Vary: *"],
    ids=["private", "no-store", "set-cookie", "vary-any"],
)
async def test_what_may_not_be_shared_lets_all_go_at_once(cached: Gateway, stage: Stage, line: bytes) -> None:
    """Side by side, as many as the upstream's cap lets; and from then on nobody waits for anybody."""
    target = "/narrow/own-" + line.decode().split()[1].strip("*=1") + str(len(line))
    async with crowd(cached, 13) as clients:
        call = await led(cached, stage, clients, target)
        call.answer(b"number 0", line, b"Cache-Control: max-age=60")
        under_way = [await stage.call() for _ in range(5)]
        await stage.nothing_more()
        for number in range(1, 13):
            under_way.pop(0).answer(b"number %d" % number, line)
            if number <= 7:
                under_way.append(await stage.call())
        assert {one.body for one in await answers(clients)} == {b"number %d" % number for number in range(13)}
        assert stage.count == 13

        ask(clients[:5], target)
        for call in [await stage.call() for _ in range(5)]:
            call.answer(b"own", line)
        for response in await answers(clients[:5]):
            assert "hit" not in told(response)
            assert "collapsed" not in told(response)
    assert stage.count == 18


async def test_a_vary_that_only_some_match(cached: Gateway, stage: Stage) -> None:
    """Who asked with the leader's language shares; the others are let go, and share among themselves."""
    async with crowd(cached, 6) as clients:
        for number, client in enumerate(clients):
            language = "en" if number % 2 == 0 else "de"
            client.ask("GET", "/plain/languages", [("Accept-Language", language)])
            if number == 0:
                call = await stage.call()
        await joined(cached, 6)
        call.answer(b"hello", FRESH, b"Vary: Accept-Language")
        other = await stage.call()
        assert other.request.value("accept-language") == b"de"
        other.answer(b"hallo", FRESH, b"Vary: Accept-Language")
        assert [one.body for one in await answers(clients)] == [b"hello", b"hallo"] * 3
        for client, language, body in zip(clients, ["de", "en", "fr"], [b"hallo", b"hello", b"salut"], strict=False):
            client.ask("GET", "/plain/languages", [("Accept-Language", language)])
            if language == "fr":
                (await stage.call()).answer(b"salut", FRESH, b"Vary: Accept-Language")
            response = await client.response()
            assert response.body == body
            assert ("vary-miss" in told(response)) == (language == "fr")
    assert stage.count == 3


@pytest.mark.parametrize("how", ["reset", "500", "503"])
async def test_stale_while_it_fails(cached: Gateway, stage: Stage, how: str) -> None:
    """Where the route lets it: for what cannot be reached, and for what answers that it cannot.

    For a second nobody waits for the same again, and then it is tried once more.
    """
    target = f"/forgiving/{how}"
    async with crowd(cached, 5) as clients:
        clients[0].ask("GET", target)
        (await stage.call()).answer(b"kept", *STALE, b"Connection: close")
        assert (await clients[0].response()).body == b"kept"
        for again in (True, False) if how == "500" else (False,):
            call = await led(cached, stage, clients, target)
            call.reset() if how == "reset" else call.answer(b"oh no", status=how.encode() + b" Oh No")
            before = stage.count
            for _ in range(2):
                for response in await answers(clients):
                    assert (response.status, response.body) == (200, b"kept")
                    assert "hit; ttl=-" in told(response)
                for client in clients:
                    client.ask("GET", target)
            await answers(clients)
            assert stage.count == before
            if again:
                await asyncio.sleep(1.05)


async def test_stale_that_must_be_revalidated_is_not_for_errors(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 1) as (client,):
        client.ask("GET", "/forgiving/must")
        (await stage.call()).answer(
            b"kept", b"Cache-Control: max-age=10, must-revalidate", b"Age: 20", b'ETag: "one"'
        )
        assert (await client.response()).body == b"kept"
        client.ask("GET", "/forgiving/must")
        (await stage.call()).answer(b"oh no", status=b"500 Oh No")
        response = await client.response()
        assert (response.status, response.body) == (500, b"oh no")


async def test_stale_while_it_is_fetched_anew(cached: Gateway, stage: Stage) -> None:
    """Answered at once, by one fetch in the background however many ask."""
    target = "/plain/meanwhile"
    lines = b"Cache-Control: max-age=10, stale-while-revalidate=60"
    async with crowd(cached, 10) as clients:
        clients[0].ask("GET", target)
        (await stage.call()).answer(b"old", lines, b"Age: 20", b'ETag: "one"')
        await clients[0].response()
        ask(clients, target)
        assert [one.body for one in await answers(clients)] == [b"old"] * 10
        call = await stage.call()
        assert call.request.value("if-none-match") == b'"one"'
        ask(clients, target)
        assert [one.body for one in await answers(clients)] == [b"old"] * 10
        call.answer(b"new", lines)
        until = time.monotonic() + 5
        while (response := await fetch(cached.ingress, "GET", target)).body != b"new":
            assert response.body == b"old"
            assert time.monotonic() < until
        assert told(response).startswith("gateway; hit; ttl=")
    assert stage.count == 2


async def test_one_validation_for_all(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 5) as clients:
        clients[0].ask("GET", "/plain/validated")
        (await stage.call()).answer(b"kept", *STALE)
        await clients[0].response()
        call = await led(cached, stage, clients, "/plain/validated")
        assert call.request.value("if-none-match") == b'"one"'
        call.answer(b"", FRESH, b"X-Renewed: yes", b'ETag: "one"', status=b"304 Not Modified")
        for response in await answers(clients):
            assert (response.status, response.body) == (200, b"kept")
            assert response.value("x-renewed") == b"yes"
            assert "fwd=stale" in told(response)
        assert told(await fetch(cached.ingress, "GET", "/plain/validated")).startswith("gateway; hit")
    assert stage.count == 2


async def test_a_client_of_its_own_that_must_have_the_origins_word(cached: Gateway, stage: Stage) -> None:
    """no-cache is not answered from what is stored, nor by another's fetch that began before."""
    async with crowd(cached, 2) as (first, insists):
        first.ask("GET", "/plain/insists")
        call = await stage.call()
        insists.ask("GET", "/plain/insists", [("Cache-Control", "no-cache")])
        (await stage.call()).answer(b"of now", FRESH)
        assert (await insists.response()).body == b"of now"
        call.answer(b"before", FRESH)
        assert (await first.response()).body == b"before"
        insists.ask("GET", "/plain/insists", [("Cache-Control", "no-cache")])
        (await stage.call()).answer(b"again", FRESH)
        response = await insists.response()
        assert response.body == b"again"
        assert "fwd=request" in told(response)
