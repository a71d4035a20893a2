"""Warnings: what is allowed but probably not meant."""

from __future__ import annotations

import pytest

from gateway.settings import warnings
from tests.settings.configs import SMALLEST, UPSTREAMS, of_upstream, read


def warned(text: str) -> list[str]:
    return [f"{warning.line}:{warning.column}: {warning.message}" for warning in warnings(read(text))]


def routes(*written: str) -> str:
    return "ingress:\n  routes:\n" + "".join(f"    - {{upstream: app, {route}}}\n" for route in written) + UPSTREAMS


def test_nothing_to_say() -> None:
    assert warned(SMALLEST) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("path: /**", "path: /a"),
        ("path: /a/**", "path: /a/:id"),
        ("path: /:any", "path: /a, methods: [GET]"),
        ("path: /a, methods: [GET, POST]", "path: /a, methods: [POST]"),
        ("path: /a, methods: [GET]", "path: /a, methods: [HEAD]"),
    ],
)
def test_a_route_that_can_never_match(first: str, second: str) -> None:
    (only,) = warned(routes(first, second))
    assert only == "4:7: can never match: the route in line 3 takes everything before it"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("path: /a", "path: /**"),
        ("path: /a, methods: [GET]", "path: /a"),
        ("path: /a, methods: [GET]", "path: /a, methods: [GET, POST]"),
        ("path: /a, methods: [HEAD]", "path: /a, methods: [GET]"),
    ],
)
def test_a_route_that_can_match(first: str, second: str) -> None:
    assert warned(routes(first, second)) == []


def test_an_upstream_that_no_route_leads_to() -> None:
    assert warned(SMALLEST + "  other: {url: http://x}\n") == ["6:3: no route leads to the upstream 'other'"]


@pytest.mark.parametrize(
    ("bind", "says"), [(":8081", True), ("10.0.0.1:8081", True), ("localhost:8081", False), ("'[::1]:0'", False)]
)
def test_egress_that_others_can_reach(bind: str, says: bool) -> None:
    text = f"egress:\n  bind: {bind}\n  routes: [{{path: /**, upstream: app}}]\n{UPSTREAMS}"
    assert bool(warned(text)) is says
    assert all(warning.startswith("2:3: egress can be reached from other machines") for warning in warned(text))


def test_believing_everyone() -> None:
    text = SMALLEST.replace("  routes", "  trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]\n  routes")
    assert warned(text) == ["2:33: every peer is believed, so any client can choose its address"]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (
            {"url": "http://x", "tls": "{verify: false}"},
            ["7:5: tls has no effect, because the URL begins with http://"],
        ),
        (
            {"url": "https://x", "tls": "{verify: false, ca: /ca}"},
            ["7:26: ca has no effect, because verify is false"],
        ),
        ({"url": "https://x", "tls": "{ca: /ca}"}, []),
        ({"preset": "duitku", "api_key": "hunter2"}, ["7:5: api_key has no effect: no key is sent to duitku"]),
        (
            {"preset": "openai", "api_key": "hunter2", "url": "http://stand-in"},
            ["8:5: the api_key goes over the network in the clear, because the URL begins with http://"],
        ),
        ({"preset": "openai", "api_key": "hunter2", "url": "http://127.0.0.1:1"}, []),
        ({"preset": "openai", "url": "http://stand-in"}, []),
        ({"preset": "openai", "api_key": "hunter2"}, []),
    ],
)
def test_upstreams(keys: dict[str, str], found: list[str]) -> None:
    assert warned(of_upstream(**keys)) == found
