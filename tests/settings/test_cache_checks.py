"""What caches cannot say together, and what they say but probably do not mean."""

from __future__ import annotations

import pytest

from gateway.settings import warnings
from tests.settings.configs import mistakes, of_route, read, with_section


def advice(text: str) -> list[str]:
    return [str(warning).removeprefix("f.yaml:") for warning in warnings(read(text))]


def routes(listener: str, *written: str) -> str:
    lines = "".join(f"    - {{path: /r{number}, upstream: app, {keys}}}\n" for number, keys in enumerate(written))
    return f"ingress:\n  {listener}\n  routes:\n{lines}upstreams:\n  app: {{url: http://127.0.0.1:3000}}\n"


def test_an_override_needs_a_ttl() -> None:
    text = routes(
        "cache: {override: true}",
        "cache: {override: true}",
        "cache: {override: true, ttl: 1h}",
        "cache: {override: true, ttl: false}",
        "cache: {override: false}",
        "cache: false",
    )
    found = mistakes(text)
    assert [mistake.partition(":")[0] for mistake in found] == ["2", "4", "6"]
    assert all("override needs ttl" in mistake for mistake in found)


def test_a_listeners_ttl_is_enough_for_a_routes_override() -> None:
    text = routes("cache: {ttl: 1h}", "cache: {override: true}", "cache: {override: true, ttl: false}")
    assert [mistake.partition(":")[0] for mistake in mistakes(text)] == ["5"]


def test_what_is_not_of_the_expected_shape_is_the_models_to_say() -> None:
    for broken in ("[]", "{override: [true]}", "{override: {}}", "text"):
        assert all("override needs" not in mistake for mistake in mistakes(of_route(cache=broken)))


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ("cache: {set_cookie: true, shared_between_callers: true}", "would be everybody's"),
        ("cache: {max_object: 65MiB}", "nothing as large is ever kept"),
        ("methods: [POST], cache: {ttl: 1h}", "nothing is ever kept: the route takes no GET"),
        ("methods: [GET], cache: {methods: POST}", "nothing is ever kept: the route takes no POST"),
        ("methods: [GET], cache: {methods: [GET, POST]}", "the route takes no POST"),
        ("methods: [POST], coalesce: true", "coalesce has no effect"),
    ],
)
def test_what_is_warned_of(keys: str, hint: str) -> None:
    (only,) = advice(of_route(**dict(one.split(": ", 1) for one in _keys(keys))))
    assert only.startswith("3:")
    assert hint in only


def _keys(written: str) -> list[str]:
    """The keys of a flow mapping, which are parted by commas outside brackets."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(written):
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth:
            parts.append(written[start:place].strip())
            start = place + 1
    return [*parts, written[start:].strip()]


def test_of_a_listeners_cache_it_is_said_once() -> None:
    text = routes("cache: {set_cookie: true, shared_between_callers: true}", "methods: [POST]", "name: a")
    (only,) = advice(text)
    assert only.startswith("2:")


@pytest.mark.parametrize(
    "keys",
    [
        "cache: {methods: [GET, POST], ttl: 1h}",
        "methods: [GET, POST], cache: {ttl: 1h}",
        "methods: [POST], cache: {methods: POST}, coalesce: true",
        "cache: {ttl: 1h, key: {cookies: session}}",
        "cache: {set_cookie: true}",
        "coalesce: true",
    ],
)
def test_what_is_fine(keys: str) -> None:
    assert advice(of_route(**dict(one.split(": ", 1) for one in _keys(keys)))) == []


def test_urls_to_warm_that_nothing_keeps() -> None:
    urls = "/r0, /r1, /r2, /r3, /elsewhere, '/%720?a'"
    text = routes("cache: {}", "cache: {ttl: 1h}", "cache: false", "cache: {methods: POST}", "methods: [POST]")
    text += f"cache: {{warm: {{origin: 'https://a.example', urls: [{urls}]}}}}\n"
    found = advice(text)
    assert len(found) == 4
    assert all("nothing of this URL is kept" in warning for warning in found)


def test_warming_needs_ingress() -> None:
    text = with_section("cache: {warm: {sitemap: 'https://a.example/sitemap.xml'}}").replace("ingress:", "egress:")
    (only,) = advice(text)
    assert "warm has no effect without ingress" in only
