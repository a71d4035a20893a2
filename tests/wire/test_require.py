"""A route that is hidden by a flag, beside a path that no route takes: nobody can tell the one from the other."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.support.client import Fields, fetch
from tests.support.config import url
from tests.support.gateway import Gateway
from tests.support.message import Response
from tests.support.origin import Origin
from tests.wire.conftest import StartOnce

SEEN, UNSEEN = [("X-User-Id", "u1")], [("X-User-Id", "u9")]
HIDDEN = {"upstream": "app", "require": "BETA"}


@pytest.fixture(scope="module")
def gateway(start_once: StartOnce, listener: socket.socket) -> Gateway:
    hidden = [
        {"path": "/beta/**", "methods": ["GET", "POST"], **HIDDEN},
        {"path": "/limited", "rate_limit": {"limit": "1/h", "name": "strict"}, **HIDDEN},
        {"path": "/edited", "headers": {"response": {"set": {"X-Route": "edited"}}}, **HIDDEN},
        {"path": "/small", "request": {"max_body": "1B", "content_types": ["text/plain"]}, **HIDDEN},
        {"path": "/cached", "cache": {"ttl": "1h"}, **HIDDEN},
        {"path": "/capped", "in_flight": 1, **HIDDEN},
        {"path": "/open", "methods": ["GET"], "upstream": "app"},
        {"path": "/open", "methods": ["PUT"], **HIDDEN},
    ]
    return start_once(
        flags={"context": {"user": "header:X-User-Id"}, "define": {"BETA": {"users": ["u1"]}}},
        ingress={
            "rate_limit": {"limit": "1000/h", "by": "ip", "name": "all"},
            "headers": {"response": {"set": {"X-Everywhere": "yes"}}},
            "routes": hidden,
        },
        upstreams={"app": {"url": url(listener.getsockname())}},
    )


def plain(response: Response) -> tuple[int, list[tuple[bytes, bytes]], object]:
    """What a client can compare: all but what differs between any two requests."""
    fields = []
    for name, value in response.headers:
        if name.lower() not in (b"x-correlation-id", b"date"):
            fields.append((name, re.sub(rb";[rt]=[0-9]+", b"", value)))  # what is left of a limit, and until when
    body = json.loads(response.body) if response.body else None
    if isinstance(body, dict):
        body.pop("correlation_id")
    return response.status, fields, body


@pytest.mark.parametrize(
    "path", ["/beta", "/beta/a?b=c", "/limited", "/edited", "/small", "/cached", "/capped", "//beta/../beta/a"]
)
@pytest.mark.parametrize(
    ("method", "body"),
    [("GET", None), ("HEAD", None), ("POST", b"x" * 100), ("DELETE", None), ("OPTIONS", None), ("PURGE", None)],
)
async def test_a_hidden_route_is_as_one_that_there_is_not(
    gateway: Gateway, origin: Origin, path: str, method: str, body: bytes | None
) -> None:
    async def asked(target: str, fields: Fields = UNSEEN) -> Response:
        return await fetch(gateway.ingress, method, target, fields, body)

    missing, hidden = plain(await asked("/nothing/here")), plain(await asked(path))
    assert missing[0] == 404
    assert {name.lower() for name, _ in missing[1]} >= {b"ratelimit", b"ratelimit-policy", b"x-everywhere"}
    assert hidden == missing
    assert origin.requests == []


async def test_its_methods_are_not_named(gateway: Gateway, origin: Origin) -> None:
    for fields, allow in ((UNSEEN, b"GET, HEAD"), (SEEN, b"GET, HEAD, PUT")):
        response = await fetch(gateway.ingress, "DELETE", "/open", fields)
        assert (response.status, response.value("Allow")) == (405, allow)
    response = await fetch(gateway.ingress, "DELETE", "/beta/a", SEEN)
    assert (response.status, response.value("Allow")) == (405, b"GET, HEAD, POST")
    assert (await fetch(gateway.ingress, "GET", "/open", UNSEEN)).status == 200


async def test_who_may_see_it_meets_all_of_it(gateway: Gateway, origin: Origin) -> None:
    response = await fetch(gateway.ingress, "GET", "/edited", SEEN)
    assert (response.status, response.value("X-Route"), response.value("X-Everywhere")) == (200, b"edited", b"yes")
    response = await fetch(gateway.ingress, "GET", "/limited", SEEN)
    assert (response.value("RateLimit-Policy") or b"").count(b";q=") == 2


async def test_it_is_counted_where_no_route_is(gateway: Gateway, origin: Origin) -> None:
    """By the listener's limits, so that nobody looks for hidden routes as often as he likes; and in the log."""

    def left(response: Response) -> int:
        found = re.search(rb'"all";r=([0-9]+)', response.value("RateLimit") or b"")
        assert found is not None
        return int(found[1])

    before = left(await fetch(gateway.ingress, "GET", "/nothing", UNSEEN))
    assert left(await fetch(gateway.ingress, "GET", "/beta", UNSEEN)) == before - 1
    await gateway.access_line(route="none", status=404, path="/beta")
