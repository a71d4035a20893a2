"""The cache as the admin API asks for it: what the config's list becomes, and what is warmed of what is named."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admin.ports import Conflict
from gateway.cache.warm_list import Headers, Plan, Wanted
from gateway.cache.warming import Fetched
from gateway.cache_operations import warming_plan
from gateway.caching import Caching
from gateway.settings import Settings, loads
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from tests.telemetry.sinks import Pipe

CONFIG = """\
ingress: {routes: [{path: /**, upstream: app, cache: {ttl: 60s}}]}
upstreams: {app: {url: http://127.0.0.1:3000}}
cache: {entries: 10%s}
"""
WARM = """, warm: {origin: https://shop.example, urls: [
  {url: /a, priority: 3, critical: true, headers: {Accept-Language: de}},
  {url: /a, headers: {Accept-Language: en}}, "http://other.example/b?c"],
  sitemap: /sitemap.xml, concurrency: 2, retries: 1, timeout: 5s, max_urls: 50, critical_wait: 7s}"""
GERMAN = Wanted(b"https://shop.example/a", 3, critical=True, headers=((b"Accept-Language", b"de"),))
ENGLISH = Wanted(b"https://shop.example/a", headers=((b"Accept-Language", b"en"),))


def settings(warm: str = "") -> Settings:
    return loads(CONFIG % warm, "f.yaml", {})


def test_the_plan_is_what_the_config_says() -> None:
    assert warming_plan(settings()) == Plan()
    assert warming_plan(settings(WARM)) == Plan(
        (GERMAN, ENGLISH, Wanted(b"http://other.example/b?c")),
        b"https://shop.example/sitemap.xml",
        concurrency=2,
        retries=1,
        timeout=5.0,
        max_urls=50,
        critical_wait=7.0,
    )


class Fetches:
    def __init__(self) -> None:
        self.asked: list[tuple[bytes, Headers]] = []

    async def fetch(self, url: bytes, headers: Headers, most: int) -> Fetched:
        self.asked.append((url, headers))
        return Fetched(200, stored=not most, body=b"<urlset/>" if most else b"")


async def warmed(config: Settings, urls: list[str]) -> list[tuple[bytes, Headers]]:
    """What is asked for when these are to be warmed."""
    fetches = Fetches()
    with Pipe() as pipe:
        log = Log(pipe.writer)
        caching = Caching(Metrics(), Health(), log, fetches.fetch)
        caching.warmer.plan = warming_plan(config)
        cache = caching.operations(lambda: config)
        try:
            cache.warm(urls)
            async with asyncio.timeout(10):
                while cache.warming()["state"] == "running":
                    await asyncio.sleep(0.001)
        finally:
            await caching.close()
            log.close()
    return fetches.asked


async def test_what_the_config_lists_is_asked_for_with_its_fields(no_leaked_tasks: None) -> None:
    asked = await warmed(settings(WARM), ["/a", "/z"])
    assert asked == [(one.url, one.headers) for one in (GERMAN, ENGLISH, Wanted(b"https://shop.example/z"))]
    asked = await warmed(settings(WARM), [])
    assert [url for url, _ in asked] == [
        GERMAN.url,
        b"https://shop.example/sitemap.xml",
        ENGLISH.url,
        b"http://other.example/b?c",
    ]


@pytest.mark.parametrize("urls", [[], ["/a"], ["http://other.example/", "/a"]])
async def test_what_nobody_can_know(no_leaked_tasks: None, urls: list[str]) -> None:
    with pytest.raises(Conflict):
        await warmed(settings(), urls)
