"""Flags over sockets: what the app is told, which route is there, and what of a route holds under a flag."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gateway.rules.flags.context import Context
from gateway.rules.flags.definition import compiled
from tests.support.client import Client, Fields, fetch
from tests.support.config import url
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Request, Response
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start, StartOnce
from tests.wire.test_admin import ask

TOKEN = "correct-horse-battery-staple"
DEFINE: dict[str, Any] = {
    "NEW_DASHBOARD": {"rollout": "25%", "users": ["u1"], "groups": ["beta"]},
    "COLOUR": {"variants": [{"name": "blue", "weight": 1}, {"name": "deep red; 50%", "weight": 0}]},
    "PAID": {"constraints": [{"field": "plan", "operator": "IN", "values": ["pro"]}]},
    "BY_COOKIE": {"constraints": [{"field": "cookie:kind", "operator": "IN", "values": ["new"]}]},
    "BY_QUERY": {"constraints": [{"field": "query:beta", "operator": "IN", "values": ["1 2"]}]},
    "BY_PATH": {"constraints": [{"field": "path", "operator": "STR_ENDS_WITH", "values": ["/é"]}]},
    "LOCAL": {"addresses": ["127.0.0.0/8"]},
    "HALF": {"rollout": "50%", "stickiness": "random"},
    "SWITCH": False,
}


def route(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "path": f"/{name}", "upstream": "app", **keys}


ROUTES = [
    route("told", flags=list(DEFINE)),
    {
        **route("by-variant", upstream="other"),
        "path": "/split",
        "when": {"flag": "COLOUR", "variant": "deep red; 50%"},
    },
    {**route("new"), "path": "/split", "upstream": "other", "when": "NEW_DASHBOARD", "methods": ["GET"]},
    {**route("old"), "path": "/split", "methods": ["GET"]},
    {**route("only"), "when": "SWITCH", "methods": ["POST"]},
    route("required", require=["NEW_DASHBOARD", {"flag": "PAID", "on": False}]),
    route("cached", flags=["NEW_DASHBOARD"], cache={"ttl": "1h"}),
    route("not-told", require="NEW_DASHBOARD", cache={"ttl": "1h", "shared_between_callers": True}),
    route("maybe-cached", cache={"ttl": "1h", "when": "NEW_DASHBOARD"}),
    route("limited", rate_limit={"limit": "1/h", "when": "NEW_DASHBOARD", "name": "under"}),
    route("capped", in_flight=[{"limit": 1, "when": "NEW_DASHBOARD"}, {"limit": 50, "name": "all"}]),
    {**route("broken"), "upstream": "broken"},
    {**route("narrow"), "upstream": "narrow"},
    {**route("rest", headers={"request": {"set": {"X-Feature-OURS": "set"}}}), "path": "/**"},
]
FLAGS = {
    "context": {
        "user": "header:X-User-Id",
        "groups": "header:X-User-Groups",
        "session": "cookie:sid",
        "properties": {"plan": "header:X-Plan"},
    },
    "define": DEFINE,
    "override": {"header": "X-Try", "from": ["127.0.0.2"], "token": TOKEN},
}
ON, OFF = [("X-User-Id", "u1")], [("X-User-Id", "u9")]


@pytest.fixture(scope="module")
def flagged(start_once: StartOnce, listener: socket.socket) -> Gateway:
    app = url(listener.getsockname())
    return start_once(
        flags=FLAGS,
        ingress={"routes": ROUTES},
        upstreams={
            "app": {"url": app, "breaker": False},
            "provider": {"url": app},
            "other": {"url": app + "/other", "breaker": False},
            "broken": {"url": app, "breaker": {"failures": 1, "statuses": [500], "when": "NEW_DASHBOARD"}},
            "narrow": {"url": app, "breaker": False, "in_flight": {"limit": 1, "when": "NEW_DASHBOARD"}},
        },
    )


def told(request: Request) -> dict[str, str]:
    """What the app is told of flags."""
    return {
        name.decode()[10:]: value.decode()
        for name, value in request.headers
        if name.lower().replace(b"_", b"-").startswith(b"x-feature-")
    }


async def came(gateway: Gateway, origin: Origin, target: str, fields: Fields = (), **keys: Any) -> Request:
    """The request as the app sees it."""
    there: list[Request] = []

    def answer(request: Request) -> bytes:
        there.append(request)
        return ok()

    origin.answer = answer
    assert (await fetch(gateway.ingress, "GET", target, fields, **keys)).status == 200
    (request,) = there
    return request


async def seen(gateway: Gateway, origin: Origin, target: str, fields: Fields = (), **keys: Any) -> dict[str, str]:
    return told(await came(gateway, origin, target, fields, **keys))


@pytest.mark.parametrize(
    ("target", "fields", "on"),
    [
        ("/told", [("X-User-Id", "u1")], {"NEW-DASHBOARD"}),
        ("/told", [("X-User-Id", "u9"), ("X-User-Groups", "staff, beta")], {"NEW-DASHBOARD"}),
        ("/told", [("X-User-Id", "u9"), ("X-User-Groups", "staff"), ("X-User-Groups", "beta")], {"NEW-DASHBOARD"}),
        ("/told", [("X-User-Id", "u9"), ("X-Plan", "pro")], {"PAID"}),
        ("/told", [("X-User-Id", "u9"), ("Cookie", "a=b; kind=new")], {"BY-COOKIE"}),
        ("/told?a=b&beta=1+2", [("X-User-Id", "u9")], {"BY-QUERY"}),
        ("/told?beta=1%202", [("X-User-Id", "u9")], {"BY-QUERY"}),
        ("/told?beta=3", [("X-User-Id", "u9")], set()),
    ],
)
async def test_what_the_app_is_told(
    flagged: Gateway, origin: Origin, target: str, fields: Fields, on: set[str]
) -> None:
    found = await seen(flagged, origin, target, fields)
    assert found.keys() == {name.replace("_", "-") for name in DEFINE}
    assert found.pop("COLOUR") == "blue"
    assert found.pop("HALF") in ("on", "off")
    assert {name for name, value in found.items() if value == "on"} == on | {"LOCAL"}
    assert {value for value in found.values() if value != "on"} == {"off"}


async def test_who_is_in_a_share_is_so_for_everybody_who_asks(flagged: Gateway, origin: Origin) -> None:
    """As the rule says without a gateway; a session stands in for a user, and neither is no one in particular."""
    (flag,) = compiled({"NEW_DASHBOARD": DEFINE["NEW_DASHBOARD"]}, {}).flags.values()
    both = {True: 0, False: 0}
    async with await Client.connect(flagged.ingress) as client:
        for number in range(200):
            who = f"user-{number}"
            expected = flag.evaluate(Context(user=who)).on
            for fields in ([("X-User-Id", who)], [("Cookie", f"sid={who}")]):
                assert (await client.request("GET", "/told", fields)).status == 200
                assert told(origin.requests[-1])["NEW-DASHBOARD"] == ("on" if expected else "off")
            both[expected] += 1
    assert min(both.values()) > 20


async def test_a_client_says_nothing_of_flags(flagged: Gateway, origin: Origin) -> None:
    spellings = ["X-Feature-SWITCH", "x_feature_switch", "X-FEATURE_Switch", "X_Feature-Unheard-Of"]
    fields = [*OFF, *((name, "on") for name in spellings), ("X-Featured", "stays"), ("X-Try", "SWITCH")]
    request = await came(flagged, origin, "/told", fields)
    assert told(request)["SWITCH"] == "off"
    names = [name.lower() for name, _ in request.headers]
    assert names.count(b"x-feature-switch") == 1
    assert b"x-featured" in names
    assert not {b"x-try", b"x_feature_switch", b"x-feature-unheard-of", b"x_feature-unheard-of"} & set(names)
    assert await seen(flagged, origin, "/elsewhere", fields) == {"OURS": "set"}


@pytest.mark.parametrize("how", ["from", "token"])
async def test_a_tester_forces_flags(flagged: Gateway, origin: Origin, how: str) -> None:
    forced = "SWITCH, NEW_DASHBOARD=off, COLOUR=deep red; 50%, PAID=no-such, UNKNOWN"
    source = {"source": "127.0.0.2"} if how == "from" else {}
    value = forced if how == "from" else f"{forced}, token={TOKEN}"
    request = await came(flagged, origin, "/told", [*ON, ("X-Try", value)], **source)
    found = told(request)
    assert (found["SWITCH"], found["NEW-DASHBOARD"], found["PAID"]) == ("on", "off", "off")
    assert found["COLOUR"] == "deep red; 50%25"
    assert TOKEN.encode() not in request.raw
    for wrong in (forced, f"{forced}, token=battery-horse"):
        found = await seen(flagged, origin, "/told", [*ON, ("X-Try", wrong)])
        assert (found["SWITCH"], found["NEW-DASHBOARD"], found["COLOUR"]) == ("off", "on", "blue")


async def test_the_first_route_that_is_there_takes_it(flagged: Gateway, origin: Origin) -> None:
    for fields, target in ((ON, b"/other/split"), (OFF, b"/split"), (ON, b"/other/split")):
        assert (await fetch(flagged.ingress, "GET", "/split", fields)).value("X-Answers") == target
    forced = [*OFF, ("X-Try", f"COLOUR=deep red; 50%, token={TOKEN}")]
    assert (await fetch(flagged.ingress, "DELETE", "/split", forced)).value("X-Answers") == b"/other/split"
    await flagged.access_line(route="by-variant", status=200)
    assert (await fetch(flagged.ingress, "DELETE", "/split", ON)).value("X-Answers") == b"/split"
    await flagged.access_line(route="rest", status=200)


async def test_a_route_that_is_not_there_does_not_show(flagged: Gateway, origin: Origin) -> None:
    """Not by its methods either: /only is POST's, and GET's of the rest."""
    assert (await fetch(flagged.ingress, "GET", "/only")).status == 200
    assert (await fetch(flagged.ingress, "POST", "/only", body=b"")).status == 200
    assert len(origin.requests) == 2
    for fields, status in ((ON, 200), (OFF, 404), ([*ON, ("X-Plan", "pro")], 404)):
        response = await fetch(flagged.ingress, "GET", "/required", fields)
        assert response.status == status
        if status == 404:
            unknown = await fetch(flagged.ingress, "GET", "/required", fields)
            assert_problem(unknown, 404, "destination_not_found")
    assert len(origin.requests) == 3


async def test_the_caches_key_knows_what_the_app_is_told(flagged: Gateway, origin: Origin) -> None:
    async def body(fields: Fields, target: str = "/cached") -> tuple[bytes, bytes]:
        response = await fetch(flagged.ingress, "GET", target, fields)
        assert response.status == 200
        return response.body, (response.value("Cache-Status") or b"").split(b";")[1].strip()

    origin.answer = lambda request: ok(told(request).get("NEW-DASHBOARD", "untold").encode())
    assert await body(ON) == (b"on", b"fwd=uri-miss")
    assert await body(OFF) == (b"off", b"fwd=uri-miss")
    assert await body([("X-User-Groups", "beta")]) == (b"on", b"hit")
    assert await body(OFF) == (b"off", b"hit")
    assert len(origin.requests) == 2
    assert (await body(ON, "/not-told"))[1] == b"fwd=uri-miss"
    assert await body(ON, "/not-told") == (b"untold", b"hit")
    assert (await fetch(flagged.ingress, "GET", "/not-told", OFF)).status == 404


async def test_a_cache_under_a_flag(flagged: Gateway, origin: Origin) -> None:
    async def status(fields: Fields) -> bytes | None:
        return (await fetch(flagged.ingress, "GET", "/maybe-cached", fields)).value("Cache-Status")

    assert await status(OFF) is None
    assert (await status(ON) or b"").startswith(b"gateway; fwd=uri-miss")
    assert (await status(ON) or b"").startswith(b"gateway; hit")
    assert await status(OFF) is None
    assert len(origin.requests) == 3
    await fetch(flagged.ingress, "POST", "/maybe-cached", OFF, b"")
    assert (await status(ON) or b"").startswith(b"gateway; fwd=uri-miss"), (
        "what a flag sends past it still changes it"
    )


async def test_a_limit_under_a_flag(flagged: Gateway, origin: Origin) -> None:
    async def ask(fields: Fields) -> Response:
        return await fetch(flagged.ingress, "GET", "/limited", fields)

    assert (await ask(OFF)).value("RateLimit") is None
    assert ((await ask(ON)).value("RateLimit") or b"").startswith(b'"under";r=0')
    assert_problem(await ask(ON), 429)
    assert (await ask(OFF)).status == 200
    assert len(origin.requests) == 3
    await flagged.metric_is(2, "gateway_rate_limit_decisions_total", rule="under", decision="skipped")


@pytest.mark.parametrize("name", ["capped", "narrow"])
async def test_a_cap_under_a_flag(flagged: Gateway, origin: Origin, name: str) -> None:
    origin.hold()
    async with await Client.connect(flagged.ingress) as first, await Client.connect(flagged.ingress) as second:
        first.ask("GET", f"/{name}", ON)
        held, _ = await origin.request()
        assert_problem(await fetch(flagged.ingress, "GET", f"/{name}", ON), 503)
        second.ask("GET", f"/{name}", OFF)
        passed, _ = await origin.request()
        held.send(ok())
        passed.send(ok())
        assert (await first.response()).status == (await second.response()).status == 200
        origin.serve()
        first.ask("GET", f"/{name}", ON)
        assert (await first.response()).status == 200, "who took no slot gave none back, and who took one did"


async def test_a_breaker_under_a_flag(flagged: Gateway, origin: Origin) -> None:
    async def status(fields: Fields) -> int:
        return (await fetch(flagged.ingress, "GET", "/broken", fields)).status

    origin.answer = lambda _: ok(b"", status=b"500 Oh No")
    assert [await status(OFF) for _ in range(3)] == [500] * 3, "past the breaker nothing counts"
    assert await status(ON) == 500
    assert await status(ON) == 503
    assert await status(OFF) == 500
    assert len(origin.requests) == 5


async def test_what_is_changed_holds_from_the_next_request_on(flagged: Gateway, origin: Origin) -> None:
    assert (await seen(flagged, origin, "/told", OFF))["SWITCH"] == "off"
    assert (await fetch(flagged.ingress, "POST", "/only", body=b"")).status == 200
    await flagged.access_line(route="rest", method="POST")
    await ask(flagged, "PUT", "/flags/SWITCH", {"live": {"enabled": True}, "who": "me", "why": "a test"})
    try:
        assert (await seen(flagged, origin, "/told", OFF))["SWITCH"] == "on"
        assert (await fetch(flagged.ingress, "POST", "/only", body=b"")).status == 200
        await flagged.access_line(route="only", method="POST")
    finally:
        await ask(flagged, "DELETE", "/flags/SWITCH")
    assert (await seen(flagged, origin, "/told", OFF))["SWITCH"] == "off"


async def test_each_answer_is_counted_once_a_request(flagged: Gateway, origin: Origin) -> None:
    async def count(flag: str, variant: str) -> float:
        return await flagged.metric("gateway_flag_evaluations_total", flag=flag, variant=variant)

    before = await count("NEW_DASHBOARD", "on"), await count("COLOUR", "blue"), await count("NEW_DASHBOARD", "off")
    await fetch(flagged.ingress, "GET", "/told", ON)
    await fetch(flagged.ingress, "GET", "/cached?counted", ON)
    await fetch(flagged.ingress, "GET", "/cached?counted", OFF)
    after = await count("NEW_DASHBOARD", "on"), await count("COLOUR", "blue"), await count("NEW_DASHBOARD", "off")
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1, 1]


async def test_an_answer_outlives_restarts_and_is_every_replicas(start: Start, origin: Origin) -> None:
    settings = {"flags": FLAGS, "ingress": {"routes": ROUTES}, "upstreams": {"other": {"url": "http://127.0.0.1:1"}}}
    for name in ("broken", "narrow"):
        settings["upstreams"][name] = {"url": "http://127.0.0.1:1"}
    app = {"url": origin.url, "breaker": False}
    settings["upstreams"].update({"app": app, "provider": app})

    async def answers(gateway: Gateway) -> list[str]:
        async with await Client.connect(gateway.ingress) as client:
            for number in range(100):
                await client.request("GET", "/told", [("X-User-Id", f"user-{number}")])
        return [told(request)["NEW-DASHBOARD"] for request in origin.requests[-100:]]

    first, second = await asyncio.gather(start(**settings), start(**settings))
    one = await answers(first)
    assert set(one) == {"on", "off"}
    assert await answers(second) == one
    await asyncio.to_thread(first.stop)
    assert await answers(await start(**settings)) == one
