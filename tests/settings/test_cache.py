"""`cache:` at the top: how much, and what is fetched ahead."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings.cache import CacheStore, Warm
from tests.settings.configs import read, with_section


def test_its_defaults() -> None:
    store = CacheStore()
    assert (store.entries, store.max_bytes, store.shared, store.compress_over, store.warm) == (
        *(1000, 64 << 20, True, 100 << 10, None),
    )
    assert CacheStore.model_validate({"compress_over": "false", "warm": "false"}).compress_over is None


def warm(written: Any) -> Warm:
    found = CacheStore.model_validate({"warm": written}).warm
    assert found is not None
    return found


def test_what_is_warmed() -> None:
    found = warm(
        {
            "origin": "https://shop.example",
            "urls": [
                "/api/models?lang=en",
                "http://other.example:8080/",
                {"url": "/", "priority": "10", "critical": "true", "headers": {"Accept-Language": "de"}},
            ],
            "sitemap": "/sitemap.xml",
        }
    )
    assert [(one.url, one.priority, one.critical) for one in found.urls] == [
        ("/api/models?lang=en", 0, False),
        ("http://other.example:8080/", 0, False),
        ("/", 10, True),
    ]
    assert [one.path for one in found.urls] == [b"/api/models", b"/", b"/"]
    assert found.urls[2].headers["Accept-Language"].get_secret_value() == "de"
    assert (found.origin, found.sitemap, found.at_start) == ("https://shop.example", "/sitemap.xml", True)
    assert (found.concurrency, found.retries, found.timeout) == (4, 2, 30.0)
    assert (found.max_urls, found.critical_wait) == (10_000, 60.0)


def test_a_sitemap_alone_is_enough() -> None:
    assert warm({"sitemap": "https://shop.example/sitemap.xml"}).urls == ()


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ({"entries": "0"}, "out of range"),
        ({"entries": "many"}, "whole number"),
        ({"max_bytes": "1KiB"}, "out of range"),
        ({"shared": "redis"}, "redis"),
        ({"ttl": "1h"}, "ttl"),
        ({"warm": {}}, "nothing to warm"),
        ({"warm": {"urls": []}}, "nothing to warm"),
        ({"warm": {"urls": ["/a"]}}, "need origin"),
        ({"warm": {"sitemap": "/sitemap.xml"}}, "need origin"),
        ({"warm": {"urls": ["shop.example/a"]}}, "begins with http"),
        ({"warm": {"urls": ["//shop.example/a"]}}, "begins with http"),
        ({"warm": {"urls": ["ftp://shop.example/a"]}}, "begins with http"),
        ({"warm": {"urls": ["https://shop.example/a#b"]}}, "fragment"),
        ({"warm": {"urls": ["https://shop.example/a b"]}}, "no space"),
        ({"warm": {"urls": ["https://user:s3cret@shop.example/"]}}, "user or password"),
        ({"warm": {"urls": ["https://shop.example:99999/"]}}, "not valid"),
        ({"warm": {"urls": ["https://[shop/"]}}, "not valid"),
        ({"warm": {"urls": ["false"]}}, "WarmUrl"),
        ({"warm": {"urls": "https://shop.example/"}}, "tuple"),
        ({"warm": {"urls": ["/a"], "origin": "https://shop.example/shop"}}, "without a path"),
        ({"warm": {"urls": [{"url": "https://a.example/", "priority": "101"}]}}, "out of range"),
        ({"warm": {"urls": [{"url": "https://a.example/", "headers": {"Host": "b"}}]}}, "frames the request"),
        ({"warm": {"urls": [{"url": "https://a.example/", "headers": {"Range": "b"}}]}}, "something else"),
        ({"warm": {"urls": [{"url": "https://a.example/", "headers": {"A": "b\nc"}}]}}, "one line"),
        ({"warm": {"sitemap": "https://a.example/", "concurrency": "0"}}, "out of range"),
        ({"warm": {"sitemap": "https://a.example/", "retries": "11"}}, "out of range"),
        ({"warm": {"sitemap": "https://a.example/", "timeout": "0"}}, "out of range"),
    ],
)
def test_mistakes(written: Any, hint: str) -> None:
    with pytest.raises(ValidationError) as raised:
        CacheStore.model_validate(written)
    assert hint in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_it_is_displayed_without_what_is_sent_along() -> None:
    settings = read(
        with_section("""\
            cache:
              max_bytes: 1GiB
              warm: {origin: "https://a.example", urls: [{url: /, headers: {Authorization: s3cret}}, /b]}
        """)
    )
    shown = settings.displayed()["cache"]
    assert "s3cret" not in repr(settings) + str(shown)
    assert (shown["entries"], shown["max_bytes"]) == (1000, "1GiB")
    assert shown["warm"]["urls"] == [{"url": "/", "headers": {"Authorization": "(hidden)"}}, {"url": "/b"}]


def test_a_routes_cache_is_displayed_as_the_file_has_it() -> None:
    text = """\
        ingress:
          cache: {ttl: 1h, key: {query: {without: [utm_source]}}}
          routes:
            - {path: /a, upstream: app, cache: false, coalesce: true}
            - {path: /b, upstream: app, cache: {key: {query: [page], cookies: session}, ttl: false}}
            - {path: /c, upstream: app}
        upstreams:
          app: {url: http://127.0.0.1:3000}
    """
    ingress = read(text).displayed()["ingress"]
    assert ingress["cache"]["ttl"] == "1h"
    assert ingress["cache"]["key"] == {"host": True, "path": True, "query": {"without": ["utm_source"]}}
    first, second, third = ingress["routes"]
    assert (first["cache"], first["coalesce"]) == (False, True)
    assert second["cache"] == {"ttl": False, "key": {"query": ["page"], "cookies": ["session"]}}
    assert third == {"name": "/c", "path": "/c", "upstream": "app"}
