"""Header changes end to end: what the origin gets, what the client gets, and on whose responses."""

from __future__ import annotations

import pytest

from tests.support.client import Client, fetch, head
from tests.support.expect import FRAMING, assert_problem, passed_on
from tests.support.gateway import Gateway
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start, StartOnce
from tests.wire.test_tunnels import SWITCH, WEBSOCKET

TRUSTED = "127.0.0.2"
SECURITY = {
    b"Content-Security-Policy",
    b"X-Content-Type-Options",
    b"X-Frame-Options",
    b"Referrer-Policy",
    b"Cross-Origin-Opener-Policy",
    b"Cross-Origin-Resource-Policy",
    b"Permissions-Policy",
}


@pytest.fixture(scope="module")
def editing(start_once: StartOnce) -> Gateway:
    """Changes on the listener, more on a route, none on another."""
    return start_once(
        ingress={
            "trusted_proxies": [TRUSTED],
            "headers": {
                "security": True,
                "request": {"remove": ["X-Internal"], "set": {"X-Env": "listener", "X-Only": "l"}},
                "response": {"remove": ["Server", "X-Powered-By"], "set": {"Cache-Control": "max-age=60"}},
            },
            "request": {"required_headers": ["X-Env"]},
            "routes": [
                {
                    "path": "/route",
                    "methods": ["GET"],
                    "upstream": "app",
                    "headers": {
                        "request": {"set": {"X-Env": "route"}, "add": {"Via": "1.1 b"}},
                        "response": {"add": {"Vary": "Origin"}},
                        "security": {"frame": "DENY", "csp": False},
                    },
                },
                {"path": "/plain", "upstream": "app", "headers": False, "request": False},
                {"path": "/all/**", "upstream": "app"},
            ],
        },
    )


async def test_requests(editing: Gateway, origin: Origin) -> None:
    sent = [
        ("x-internal", "1"),
        ("X_Internal", "2"),
        ("Accept", "a"),
        ("x-env", "3"),
        ("X_ENV", "4"),
        ("Via", "1.1 a"),
    ]
    for path in ("/all/x", "/route", "/plain"):
        assert (await fetch(editing.ingress, "GET", path, sent)).status == 200
    of_listener, of_route, of_none = (passed_on(request, but={"host"}) for request in origin.requests)
    assert of_listener == [(b"Accept", b"a"), (b"Via", b"1.1 a"), (b"X-Env", b"listener"), (b"X-Only", b"l")]
    assert of_route == [
        (b"Accept", b"a"),
        (b"Via", b"1.1 a"),
        (b"X-Only", b"l"),
        (b"X-Env", b"route"),
        (b"Via", b"1.1 b"),
    ]
    assert of_none == [(name.encode(), value.encode()) for name, value in sent]


async def test_the_same_request_again_is_changed_as_the_first(editing: Gateway, origin: Origin) -> None:
    async with await Client.connect(editing.ingress) as client:
        for _ in range(3):
            client.send(b"GET /route HTTP/1.1\r\nHost: a.example\r\nX-Env: mine\r\nX-Internal: 1\r\n\r\n")
            await client.response()
    expected = [(b"X-Only", b"l"), (b"X-Env", b"route"), (b"Via", b"1.1 b")]
    assert [passed_on(request, but={"host"}) for request in origin.requests] == [expected] * 3


async def test_a_body_is_framed_as_it_was(editing: Gateway, origin: Origin) -> None:
    response = await fetch(editing.ingress, "POST", "/all/x", [("X-Internal", "1")], b"hello")
    assert response.status == 200
    assert origin.requests[0].body == b"hello"


async def test_responses(editing: Gateway, origin: Origin) -> None:
    lines = b"Server: x", b"ETag: y", b"x-powered-BY: z", b"cache-control: private", b"vary: Accept"
    origin.answer = lambda request: ok(b"ok", *lines, b"x-frame-options: of the app")
    whole = await fetch(editing.ingress, "GET", "/all/x")
    fields = passed_on(whole, but=FRAMING)
    assert fields[:4] == [
        (b"ETag", b"y"),
        (b"vary", b"Accept"),
        (b"x-frame-options", b"of the app"),
        (b"Cache-Control", b"max-age=60"),
    ]
    assert {name for name, _ in fields[4:]} == SECURITY - {b"X-Frame-Options"}
    assert (whole.body, whole.values("x-frame-options")) == (b"ok", [b"of the app"])
    origin.answer = lambda request: ok(b"ok", *lines)
    routed = await fetch(editing.ingress, "GET", "/route")
    assert routed.values("vary") == [b"Accept", b"Origin"]
    assert routed.value("x-frame-options") == b"DENY"
    assert routed.value("content-security-policy") is None
    plain = await fetch(editing.ingress, "GET", "/plain")
    assert passed_on(plain, but=FRAMING) == [tuple(line.split(b": ")) for line in lines]


async def test_a_streamed_response(editing: Gateway, origin: Origin) -> None:
    origin.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    response = await fetch(editing.ingress, "GET", "/all/x")
    assert (response.body, response.value("server")) == (b"ok", None)
    assert {name for name, _ in response.headers} >= SECURITY


async def test_hsts_only_where_the_client_came_by_https(editing: Gateway, origin: Origin) -> None:
    https = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.1")]
    for source, fields, sent in ((TRUSTED, https, True), (TRUSTED, [], False), ("127.0.0.1", https, False)):
        response = await fetch(editing.ingress, "GET", "/all/x", fields, source=source)
        assert (response.value("strict-transport-security") == b"max-age=31536000") == sent, (source, fields)


async def test_a_websockets_101(editing: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(editing.ingress) as client:
        client.send(head("GET", "/all/x", [*WEBSOCKET, ("X-Internal", "1")]))
        upstream = await origin.accept()
        request = await upstream.head()
        assert (request.value("x-internal"), request.value("x-env")) == (None, b"listener")
        upstream.send((SWITCH % b"websocket").replace(b"\r\n", b"\r\nServer: x\r\n", 1))
        response = await client.response_head()
        assert (response.status, response.value("server")) == (101, None)
        assert response.value("sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert {name for name, _ in response.headers} >= SECURITY
        upstream.send(b"through")
        assert await client.wire.read(7) == b"through"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/nowhere", 404), ("POST", "/route", 405), ("GET", "relative", 400), ("CONNECT", "a:1", 405)],
)
async def test_refusals_of_what_has_no_route(
    editing: Gateway, origin: Origin, method: str, target: str, status: int
) -> None:
    response = await fetch(editing.ingress, method, target)
    assert_problem(response, status)
    assert response.values("cache-control") == [b"no-store"]
    assert {name for name, _ in response.headers} >= SECURITY


async def test_refusals_on_a_route(editing: Gateway, origin: Origin) -> None:
    origin.answer = lambda request: None
    for path, secured in (("/route", True), ("/plain", False)):
        response = await fetch(editing.ingress, "GET", path)
        assert_problem(response, 502)
        assert response.values("cache-control") == [b"no-store"]
        assert (response.value("x-frame-options") == b"DENY") == secured


async def test_a_secret_goes_to_the_upstream_and_nowhere_else(start: Start, origin: Origin) -> None:
    secret = "Bearer hunter2-of-the-upstream"
    route = {
        "path": "/**",
        "upstream": "provider",
        "headers": {"request": {"set": {"Authorization": "${SECRET}"}, "remove": ["Cookie"]}},
    }
    gateway = await start(egress={"routes": [route]}, log={"level": "debug"}, environment={"SECRET": secret})
    await fetch(gateway.egress, "GET", "/", [("Authorization", "of the app"), ("Cookie", "a")])
    (request,) = origin.requests
    assert request.values("authorization") == [secret.encode()]
    assert request.value("cookie") is None
    origin.answer = lambda request: None
    assert_problem(await fetch(gateway.egress, "GET", "/"), 502)
    metrics = (await gateway.get("/metrics")).body + (await gateway.get("/health")).body
    assert "hunter2" not in f"{gateway.events}{gateway.access}{gateway.garbage}{metrics!r}"


async def test_a_reload_changes_them(start: Start, origin: Origin) -> None:
    routes = [{"path": "/**", "upstream": "app"}]
    gateway = await start(ingress={"routes": routes, "headers": {"response": {"set": {"X-Version": "1"}}}})
    async with await Client.connect(gateway.ingress) as client:
        assert (await client.request("GET", "/")).value("x-version") == b"1"
        text = gateway.path.read_text()
        gateway.path.write_text(text.replace("X-Version: '1'", "X-Version: '2'"))
        gateway.sighup()
        await gateway.event(event="config_reloaded")
        assert (await client.request("GET", "/")).value("x-version") == b"2"
