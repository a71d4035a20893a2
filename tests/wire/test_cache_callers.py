"""Whose answers are whose, and which is the newest, over sockets: what is one caller's own is never another's."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import fetch
from tests.support.gateway import Gateway
from tests.wire.stage import Asking, Stage, answers, ask, crowd, joined, told

_KEYS = ["X-API-Key", "Api-Key", "X-Goog-Api-Key"]


@pytest.mark.parametrize("name", _KEYS)
async def test_a_routes_ttl_is_not_for_who_shows_an_api_key(asking: Asking, name: str) -> None:
    target = f"/kept/key-{name}"
    _, first = await asking.miss(target, body=b"alice's", fields=[(name, "alice")])
    assert "stored" not in told(first)
    _, other = await asking.miss(target, body=b"bob's", fields=[(name, "bob")])
    assert other.body == b"bob's"
    await asking.miss(target, body=b"everybody's")
    _, again = await asking.miss(target, body=b"bob's still", fields=[(name, "bob")])
    assert again.body == b"bob's still"


async def test_what_the_origin_says_is_for_all_is_for_who_shows_an_api_key_too(asking: Asking) -> None:
    await asking.miss("/plain/key-public", b"Cache-Control: max-age=60", fields=[("X-API-Key", "alice")])
    await asking.hit("/plain/key-public", fields=[("X-API-Key", "bob")])
    await asking.hit("/plain/key-public")


async def test_two_api_keys_share_no_fetch(cached: Gateway, stage: Stage) -> None:
    alice = asyncio.create_task(fetch(cached.ingress, "GET", "/together/me", fields=[("X-API-Key", "alice")]))
    first = await stage.call()
    bob = asyncio.create_task(fetch(cached.ingress, "GET", "/together/me", fields=[("X-API-Key", "bob")]))
    await joined(cached, 2)
    first.answer(b"alice's")
    assert (await alice).body == b"alice's"
    (await stage.call()).answer(b"bob's")
    assert (await bob).body == b"bob's"


_STALE = (b'ETag: "v1"', b"Cache-Control: max-age=0")
_FRESH = b"Cache-Control: max-age=60"
_SAME = b"304 Not Modified"


async def test_a_cookie_that_a_validation_brings_is_for_who_asked(asking: Asking) -> None:
    await asking.miss("/plain/cookie-304", *_STALE)
    fields = (b'ETag: "v1"', _FRESH, b"Set-Cookie: session=alice")
    _, own = await asking.miss("/plain/cookie-304", *fields, status=_SAME)
    assert (own.status, own.body, own.value("set-cookie")) == (200, b"ok", b"session=alice")
    assert (await asking.hit("/plain/cookie-304")).value("set-cookie") is None


@pytest.mark.parametrize(
    "said", [b"Cache-Control: private, max-age=60", b"Cache-Control: no-store", b"Vary: X-Other"]
)
async def test_what_a_validation_forbids_to_keep_is_kept_no_longer(asking: Asking, said: bytes) -> None:
    """What there is of it now is asked for whole, and judged as it comes."""
    target = f"/plain/forbidden-{said[-5:].decode()}"
    await asking.miss(target, *_STALE)
    asking.client.ask("GET", target)
    validation = await asking.stage.call()
    assert validation.request.value("if-none-match") == b'"v1"'
    validation.answer(b"", b'ETag: "v1"', said, status=_SAME)
    whole = await asking.stage.call()
    assert whole.request.value("if-none-match") is None
    whole.answer(b"own", said, b'ETag: "v1"')
    response = await asking.client.response()
    assert (response.status, response.body) == (200, b"own")
    call, _ = await asking.miss(target, fields=[("X-Other", "b")])
    assert call.request.value("if-none-match") in (None, b'"v1"')


async def test_who_cannot_share_waits_for_nobody_beside_what_is_stale(cached: Gateway, stage: Stage) -> None:
    """Hit-for-miss holds though something stale is stored still."""
    async with crowd(cached, 2) as clients:
        ask(clients[:1], "/plain/beside")
        (await stage.call()).answer(b"all's", *_STALE)
        await clients[0].response()
        ask(clients[:1], "/plain/beside")
        (await stage.call()).answer(b"own", b"Cache-Control: private")
        await clients[0].response()
        ask(clients, "/plain/beside")
        first, second = await stage.call(), await stage.call()
        for call in (second, first):
            call.answer(b"own", b"Cache-Control: private")
        assert [response.body for response in await answers(clients)] == [b"own", b"own"]


async def test_an_older_validation_leaves_what_is_newer(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 2) as (slow, quick):
        ask([slow], "/plain/older-304")
        (await stage.call()).answer(b"old", *_STALE)
        await slow.response()
        ask([slow], "/plain/older-304")
        validation = await stage.call()
        ask([quick], "/plain/older-304", [("Cache-Control", "no-cache")])
        (await stage.call()).answer(b"new", b'ETag: "v2"', _FRESH)
        assert (await quick.response()).body == b"new"
        validation.answer(b"", b'ETag: "v1"', _FRESH, status=_SAME)
        assert (await slow.response()).body == b"old"
        assert (await quick.request("GET", "/plain/older-304")).body == b"new"
    await stage.nothing_more()


async def test_an_older_answer_that_ends_late_leaves_what_is_newer(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 2) as (slow, quick):
        ask([slow], "/plain/older")
        old = await stage.call()
        old.begin(_FRESH)
        old.chunk(b"old")
        await slow.response_head()
        ask([quick], "/plain/older", [("Cache-Control", "no-cache")])
        (await stage.call()).answer(b"new", _FRESH)
        assert (await quick.response()).body == b"new"
        old.end()
        await joined(cached, 0)
        assert (await quick.request("GET", "/plain/older")).body == b"new"
    await stage.nothing_more()
