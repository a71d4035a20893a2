"""A whole gateway's cache, seen, purged and warmed from outside: by the API, the method PURGE and the command."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Client, fetch
from tests.support.config import config, url
from tests.support.faults import refusing
from tests.support.gateway import Gateway, until
from tests.support.late_port import LatePort
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start, StartOnce
from tests.wire.test_admin import answered, ask, command

HOST = "shop.example"
ROUTES = [
    {"name": "kept", "path": "/kept/**", "upstream": "app", "cache": {"ttl": "60s", "tags": ["kept"]}},
    {"name": "told", "path": "/told/**", "upstream": "app", "cache": {}},
    {"name": "rest", "path": "/**", "upstream": "app"},
]


@pytest.fixture(scope="module")
def gateway(start_once: StartOnce) -> Gateway:
    """One with a cached route, for all tests of this file: each asks for paths of its own."""
    return start_once(ingress={"routes": ROUTES}, cache={"entries": 500, "max_bytes": "8MiB"})


async def get(gateway: Gateway, path: str, host: str = HOST) -> str:
    """Ask as a client; what Cache-Status says."""
    async with await Client.connect(gateway.ingress) as client:
        response = await client.request("GET", path, [("Connection", "close")], host=host)
    assert response.status == 200
    return (response.value("cache-status") or b"").decode()


async def stored(gateway: Gateway, path: str, host: str = HOST) -> bool:
    """Whether it is answered from the cache; afterwards it is there."""
    return "; hit" in await get(gateway, path, host)


async def purge(gateway: Gateway, target: str, host: str = "localhost") -> Any:
    async with await Client.connect(gateway.address("admin")) as client:
        response = await client.request("PURGE", target, [("Connection", "close")], host=host)
    assert response.status == 200, response
    return json.loads(response.body)


async def test_what_it_finds_is_counted_for_everybody(gateway: Gateway, origin: Origin) -> None:
    before = (await ask(gateway, "GET", "/cache"))["routes"][0]["results"]
    for _ in range(4):
        await get(gateway, "/kept/counted")
    origin.answer = lambda _: ok(b"mine", b"Cache-Control: private")
    await get(gateway, "/told/mine")
    stats = await ask(gateway, "GET", "/cache")
    kept, told = stats["routes"][:2]
    assert (kept["results"]["miss"], kept["results"]["hit"]) == (before["miss"] + 1, before["hit"] + 3)
    assert told["not_stored"] == [{"reason": "private", "count": 1}]
    assert await gateway.metric("gateway_cache_requests_total", route="kept", result="hit") == kept["results"]["hit"]
    assert await gateway.metric("gateway_cache_not_stored_total", route="told", reason="private") == 1
    (tier,) = stats["tiers"]
    assert (tier["tier"], tier["max_entries"], tier["max_bytes"]) == ("memory", 500, 8 << 20)
    assert tier["entries"] == await gateway.metric("gateway_cache_entries", tier="memory") > 0
    assert tier["bytes"] == await gateway.metric("gateway_cache_bytes", tier="memory") > 0
    assert tier["hits"] >= 3
    code, table = await command(gateway, "cache")
    assert code == 0
    assert "kept" in table
    assert "private" in table


async def test_the_hottest_keys_are_named_without_their_secrets(gateway: Gateway, origin: Origin) -> None:
    for _ in range(30):
        await get(gateway, "/kept/hot?token=secret")
    top = await ask(gateway, "GET", "/cache/top?n=1")
    (hot,) = top["hottest"]
    assert (hot["url"].partition("?")[0], hot["route"]) == (f"{HOST}/kept/hot", "kept")
    assert "secret" not in json.dumps(top)
    assert hot["hits"] >= 20
    assert 0 <= hot["age"] < 60
    assert 0 < hot["fresh_for"] <= 60
    assert await command(gateway, "cache", "purge", "--key", hot["key"]) == (0, "removed: 1\n")
    assert not await stored(gateway, "/kept/hot?token=secret")


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({"tag": "kept"}, ["/kept/p/a", "/kept/p/a?b", "/kept/p/c"]),
        ({"url": "/kept/p/a"}, ["/kept/p/a"]),
        ({"url": f"http://{HOST}/kept/p/a?b"}, ["/kept/p/a?b"]),
        ({"url": "http://SHOP.example:80/kept/p/x/../a"}, ["/kept/p/a"]),
        ({"url": "http://other.example/kept/p/a"}, []),
        ({"pattern": "/kept/*/a*"}, ["/kept/p/a", "/kept/p/a?b"]),
        ({"key": "0123456789abcdef"}, []),
        ({"all": True}, ["/kept/p/a", "/kept/p/a?b", "/kept/p/c"]),
    ],
)
async def test_what_a_purge_means_is_gone(
    gateway: Gateway, origin: Origin, body: dict[str, Any], gone: list[str]
) -> None:
    paths = ["/kept/p/a", "/kept/p/a?b", "/kept/p/c"]
    for path in paths:
        await get(gateway, path)
    purged = await ask(gateway, "POST", "/cache/purge", body)
    assert purged["purged"] >= len(gone)
    assert (purged["soft"], purged["replicas_told"]) == (False, None)
    assert [path for path in paths if not await stored(gateway, path)] == gone


async def test_a_soft_purge_has_it_validated(gateway: Gateway, origin: Origin) -> None:
    def answer(request: Request) -> bytes:
        if request.value("if-none-match"):
            return b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
        return ok(b"ok", b'ETag: "1"')

    origin.answer = answer
    await get(gateway, "/kept/soft")
    assert (await purge(gateway, "/kept/soft?soft=1"))["purged"] == 1
    assert "fwd=stale; fwd-status=304" in await get(gateway, "/kept/soft")
    assert await stored(gateway, "/kept/soft")


async def test_purge_as_a_method_means_one_site_or_all(gateway: Gateway, origin: Origin) -> None:
    for host in ("shop.example", "other.example"):
        await get(gateway, "/kept/method", host)
    assert (await purge(gateway, "/kept/method", "other.example"))["purged"] == 1
    assert await stored(gateway, "/kept/method", "shop.example")
    assert not await stored(gateway, "/kept/method", "other.example")
    assert (await purge(gateway, "http://shop.example/kept/method"))["purged"] == 1
    await get(gateway, "/kept/method", "shop.example")
    assert (await purge(gateway, "/kept/method"))["purged"] == 2
    await gateway.event(event="admin", operation="purgeCache")


async def test_what_is_named_is_warmed_and_watched(gateway: Gateway, origin: Origin) -> None:
    urls = [f"http://{HOST}/kept/warm/{number}" for number in range(30)]
    code, said = await command(gateway, "cache", "warm", *urls)
    assert (code, said.partition(", 0 failed")[0]) == (0, "warming: done, 30 of 30 done")
    assert len(origin.requests) == 30
    assert all([await stored(gateway, f"/kept/warm/{number}") for number in range(30)])
    assert len(origin.requests) == 30, "clients find what was warmed"
    code, said = await command(gateway, "cache", "warm", urls[0])
    assert len(origin.requests) == 30, "what is stored and fresh is not fetched again"


async def test_what_cannot_be_warmed_is_told(gateway: Gateway, origin: Origin) -> None:
    code, said = await command(gateway, "cache", "warm", f"http://{HOST}/rest/a?token=secret")
    assert code == 1
    assert f"http://{HOST}/rest/a" in said
    assert "secret" not in said + gateway.stderr
    assert (await answered(gateway, "POST", "/cache/warm"))[0] == 409
    assert (await answered(gateway, "POST", "/cache/warm", {"urls": ["/a"]}))[0] == 409


SITEMAP = b"<urlset><url><loc>http://shop.example/kept/b</loc></url><url><loc>http://shop.example/kept/c</loc></url></urlset>"
WARM = {
    "origin": f"http://{HOST}",
    "urls": [{"url": "/kept/a", "critical": True}],
    "sitemap": "/told/sitemap.xml",
}


async def test_it_is_not_ready_before_what_is_critical_is_warm(start: Start, origin: Origin) -> None:
    release = asyncio.Event()

    async def answer(request: Request) -> bytes:
        if request.target == b"/kept/a":
            await release.wait()
        return ok(SITEMAP if request.target == b"/told/sitemap.xml" else b"ok")

    origin.answer = answer
    starting = asyncio.create_task(start(ingress={"routes": ROUTES}, cache={"warm": {**WARM, "concurrency": 1}}))
    await until(lambda: bool(origin.requests), "the critical one to be asked for")
    assert not starting.done()
    release.set()
    gateway = await starting
    assert (await fetch(gateway.metrics, "GET", "/readyz")).status == 200
    event = await gateway.event(event="cache_warmed")
    assert (event["done"], event["failed"]) == (4, 0)
    assert all([await stored(gateway, f"/kept/{name}") for name in "abc"])


async def test_an_app_that_starts_later_is_waited_for(origin: Origin, tmp_path: Path, port: LatePort) -> None:
    """As beside a native sidecar, which must be up first. The app's breaker has not opened when it is there."""
    whole = config(origin.address, ingress={"routes": ROUTES}, cache={"warm": {**WARM, "retries": 0}})
    whole["upstreams"]["app"] = {"url": url(port.address), "breaker": {"failures": 1}}
    gateway = Gateway(tmp_path, whole).spawn()
    try:
        await gateway.event(event="listening", listener="metrics", within=30)
        assert (await gateway.get("/livez")).status == 200
        await asyncio.sleep(1)  # longer than all tries take
        assert (await gateway.get("/readyz")).status == 503
        async with port.open() as app:
            app.answer = lambda request: ok(SITEMAP if request.target == b"/told/sitemap.xml" else b"ok")
            event = await gateway.event(event="cache_warmed")
            assert (event["done"], event["failed"]) == (4, 0)
            assert (await gateway.get("/readyz")).status == 200
            assert (await fetch(gateway.ingress, "GET", "/rest/a")).status == 200
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_an_app_that_never_starts_keeps_nobody_waiting_for_ever(tmp_path: Path, origin: Origin) -> None:
    with refusing() as nobody:
        whole = config(nobody, ingress={"routes": ROUTES}, cache={"warm": {**WARM, "critical_wait": "800ms"}})
        gateway = Gateway(tmp_path, whole)
        began = time.monotonic()
        await asyncio.to_thread(gateway.start)
        try:
            assert time.monotonic() - began >= 0.8
            assert (await gateway.get("/readyz")).status == 200
            await gateway.event(event="cache_not_warm")
        finally:
            await asyncio.to_thread(gateway.stop)


async def test_a_sitemap_may_come_by_a_route_without_a_cache(start: Start, origin: Origin) -> None:
    origin.answer = lambda request: ok(SITEMAP if request.target == b"/sitemap.xml" else b"ok")
    warm = {**WARM, "sitemap": "/sitemap.xml", "at_start": False}
    gateway = await start(ingress={"routes": ROUTES}, cache={"warm": warm})
    assert origin.requests == []
    code, said = await command(gateway, "cache", "warm")
    assert (code, said.partition(", 0 failed")[0]) == (0, "warming: done, 4 of 4 done"), said
    assert all([await stored(gateway, f"/kept/{name}") for name in "abc"])


async def test_a_gateway_that_waits_for_what_is_critical_can_be_stopped(origin: Origin, tmp_path: Path) -> None:
    async def never(_: Request) -> bytes:
        return await asyncio.get_running_loop().create_future()

    origin.answer = never
    warm = {**WARM, "critical_wait": "30s"}
    gateway = Gateway(tmp_path, config(origin.address, ingress={"routes": ROUTES}, cache={"warm": warm}))
    gateway.spawn()
    try:
        await until(lambda: bool(origin.requests), "the critical one to be asked for")
        gateway.sigterm()
        assert await gateway.wait(10) == 0
    finally:
        await asyncio.to_thread(gateway.kill)
