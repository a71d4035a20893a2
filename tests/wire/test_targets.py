"""Request targets: byte for byte but for dot segments; absolute and asterisk form; which route a path meets."""

from __future__ import annotations

import pytest

from tests.support.client import Client, fetch, head
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.origin import Origin
from tests.wire.conftest import StartOnce

UNTOUCHED = [
    "/",
    "/a%2Fb",
    "/a%2fb",
    "/%41%7e%7E",
    "/a;b=c;d",
    "/a:b@c,d!$&'()*+~_-.",
    "/a//b",
    "//a",
    "//a//",
    "/...",
    "/..a/.b/c..",
    "/a%2F..%2Fb",
    "/%2e%2e%2fa",
    "/a;/..;x",
    "/a%00b%0d%0a%20",
    "/%zz%",
    "/%c3%a9",
    "/a|b[c]{d}^e",
    "/?",
    "/a?b?c&d=e&&f=%2e%2e/../x//y",
    "/a?" + "q=[{|}]&" * 3,
    "/a?http://other.example/",
    "/?/../..",
    "/\\..\\a",
]

RESOLVED = {
    "/a/./b": "/a/b",
    "/a/../b": "/b",
    "/../../a": "/a",
    "/a/%2e%2e/b": "/b",
    "/a/%2E/b": "/a/b",
    "/a/.%2e/b": "/b",
    "/a/%2e./b": "/b",
    "/a/b/..": "/a/",
    "/a/b/.": "/a/b/",
    "/a/..": "/",
    "/.": "/",
    "/a//../b": "/b",
    "/a//b/./c": "/a/b/c",
    "/a%2Fb/../c": "/c",
    "/a/../b?x=/../y//z": "/b?x=/../y//z",
    "/./%41": "/%41",
}


async def test_a_target_passes_byte_for_byte(client: Client, origin: Origin) -> None:
    for target in UNTOUCHED:
        assert (await client.request("GET", target)).status == 200
    assert [request.target.decode() for request in origin.requests] == UNTOUCHED


async def test_dot_segments_are_resolved(client: Client, origin: Origin) -> None:
    for target in RESOLVED:
        assert (await client.request("GET", target)).status == 200
    assert [request.target.decode() for request in origin.requests] == list(RESOLVED.values())


@pytest.mark.parametrize(
    ("target", "seen", "host"),
    [
        ("http://other.example/x?y", "/x?y", b"other.example"),
        ("HTTP://other.example:8080/x", "/x", b"other.example:8080"),
        ("http://other.example", "/", b"other.example"),
        ("http://other.example?q", "/?q", b"other.example"),
        ("http://[2001:db8::1]:80/a%2Fb", "/a%2Fb", b"[2001:db8::1]:80"),
        ("http://other.example/a/../b", "/b", b"other.example"),
    ],
)
async def test_absolute_form_replaces_the_host(
    client: Client, origin: Origin, target: str, seen: str, host: bytes
) -> None:
    assert (await client.request("GET", target, host="claimed.example")).status == 200
    (request,) = origin.requests
    assert (request.target.decode(), request.values("host")) == (seen, [host])


async def test_asterisk_form_is_for_options(client: Client, origin: Origin) -> None:
    response = await client.request("OPTIONS", "*")
    assert (response.status, response.value("x-answers")) == (200, b"*")
    async with await Client.connect(origin.address) as direct:
        await direct.request("OPTIONS", "/")  # for comparison: the harness itself tells the two apart
    assert [request.target for request in origin.requests] == [b"*", b"/"]


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "a",
        "other.example:80",
        "?a",
        "/a#b",
        "/#",
        "http://",
        "http:///a",
        "http://user:secret@other.example/",
        "http://a b/",
        "ftp://other.example/",
        "javascript:alert(1)",
        "/a b",
        "/\t",
        "/\x7f",
        "/\x00",
        "/caf\xe9",
        "/\xf0\x9f\x98\x80",
        "/?q=\xff",
    ],
)
async def test_no_target_or_none_of_ours_is_refused(client: Client, origin: Origin, target: str) -> None:
    client.send(head("GET", target.encode("latin-1")))
    assert_problem(await client.response(), 400)
    assert await client.wire.read_to_end() == b""
    assert origin.connections == []


@pytest.fixture(scope="module")
def routed(start_once: StartOnce) -> Gateway:
    """A gateway with one route of each kind."""
    return start_once(
        ingress={
            "routes": [
                {"name": "exact", "path": "/a", "upstream": "app"},
                {"name": "segment", "path": "/users/:id", "upstream": "app"},
                {"name": "subtree", "path": "/static/**", "upstream": "app"},
                {"name": "stripped", "path": "/v1/**", "strip_prefix": "/v1", "upstream": "app"},
            ]
        }
    )


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/a", "exact"),
        ("//a", "exact"),
        ("/x/../a", "exact"),
        ("/x/%2e%2E/a?b", "exact"),
        ("/%61", "exact"),
        ("/a/", None),
        ("/A", None),
        ("/a/b", None),
        ("/a%2Fb", None),
        ("/users/1", "segment"),
        ("/users//1", "segment"),
        ("/users/a%2Fb", "segment"),
        ("/users/", None),
        ("/users/1/2", None),
        ("/static/", "subtree"),
        ("/static/a/b//c", "subtree"),
        ("/static/../secret", None),
        ("/static/%2e%2e/secret", None),
        ("/static/..%2Fsecret", "subtree"),
        ("/staticx", None),
        ("/", None),
    ],
)
async def test_routes_match_the_resolved_path(
    routed: Gateway, origin: Origin, target: str, route: str | None
) -> None:
    response = await fetch(routed.ingress, "GET", target)
    if route is None:
        assert_problem(response, 404)
        assert origin.connections == []
    else:
        assert response.status == 200
    line = await routed.access_line(correlation_id=response.values("x-correlation-id")[0].decode())
    assert line["route"] == (route or "none")


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("/v1/models?limit=1", "/models?limit=1"),
        ("/v1", "/"),
        ("/v1/", "/"),
        ("/v1?a", "/?a"),
        ("/v1/a%2Fb//c", "/a%2Fb//c"),
        ("/v1/v1/x", "/v1/x"),
    ],
)
async def test_strip_prefix(routed: Gateway, origin: Origin, target: str, seen: str) -> None:
    assert (await fetch(routed.ingress, "GET", target)).status == 200
    assert [request.target.decode() for request in origin.requests] == [seen]
