"""Whose answers are whose, over sockets: what one caller got by a credential is never another's."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import fetch
from tests.support.gateway import Gateway
from tests.wire.stage import Asking, Stage, joined, told

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
