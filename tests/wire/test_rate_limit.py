"""Rate limits over sockets: what clients are told, refused or not, and that no more pass than may."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.support.client import Client, chunked, fetch, head
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.origin import Origin
from tests.wire.conftest import StartOnce


def route(name: str, rate_limit: Any) -> dict[str, Any]:
    return {"name": name, "path": f"/{name}", "upstream": "app", "rate_limit": rate_limit}


USER = (b"X-User-Id", b"u1")
KEY = (b"X-Api-Key", b"hunter2")
ROUTES = [
    route("each", {"limit": "2/h", "by": "user", "name": "each"}),
    route("known", {"limit": "2/h", "by": "user", "absent": "refuse"}),
    route("many", {"limit": "1/h", "burst": 20, "name": "many"}),
    route("block", {"limit": "1/h", "by": "header:X-Api-Key", "block": {"after": 2}, "name": "keys"}),
    route("bytes", {"limit": "4B/h", "name": "bytes"}),
    route("free", False),
    {"name": "rest", "path": "/rest", "upstream": "app"},
]


@pytest.fixture(scope="module")
def limited(start_once: StartOnce) -> Gateway:
    return start_once(ingress={"routes": ROUTES, "rate_limit": {"limit": "200/h", "by": "user", "name": "all"}})


async def test_what_passes_and_what_does_not_is_told(limited: Gateway, origin: Origin) -> None:
    first = await fetch(limited.ingress, "GET", "/each", [USER])
    assert first.status == 200
    assert first.value("ratelimit-policy") == b'"all";q=200;w=3600, "each";q=2;w=3600'
    assert first.value("ratelimit") == b'"all";r=199;t=18, "each";r=1;t=1800'
    assert first.value("retry-after") is None
    assert (await fetch(limited.ingress, "GET", "/each", [USER])).status == 200
    refused = await fetch(limited.ingress, "GET", "/each", [USER])
    problem = assert_problem(refused, 429, "http_request_denied")
    assert problem["type"] == "urn:gateway:problem:rate-limited"
    assert problem["detail"] == "The rate limit 'each' is reached."
    assert 1790 <= int(refused.value("retry-after") or 0) <= 1800
    assert re.fullmatch(rb'"all";r=19[78];t=\d+, "each";r=0;t=3[56]\d\d', refused.value("ratelimit") or b"")
    assert (await fetch(limited.ingress, "GET", "/each", [(b"X-User-Id", b"u2")])).status == 200
    assert len(origin.requests) == 3


async def test_a_field_that_is_counted_by_goes_on_to_the_app(limited: Gateway, origin: Origin) -> None:
    await fetch(limited.ingress, "GET", "/each", [(b"X-User-Id", b"u3"), (b"User-Agent", b"t/1")])
    request = origin.requests[-1]
    assert (request.value("x-user-id"), request.value("user-agent")) == (b"u3", b"t/1")


async def test_without_the_key_it_may_be_refused(limited: Gateway, origin: Origin) -> None:
    refused = await fetch(limited.ingress, "GET", "/known")
    assert assert_problem(refused, 400)["type"] == "urn:gateway:problem:key-missing"


async def test_exactly_the_burst_passes_of_many_at_once(limited: Gateway, origin: Origin) -> None:
    answers = await asyncio.gather(
        *(fetch(limited.ingress, "GET", "/many", [(b"X-User-Id", b"m")]) for _ in range(60))
    )
    assert sorted(answer.status for answer in answers) == [200] * 20 + [429] * 40
    await limited.metric_is(20, "gateway_rate_limit_decisions_total", route="many", rule="many", decision="allowed")
    await limited.metric_is(40, "gateway_rate_limit_decisions_total", route="many", rule="many", decision="refused")


async def test_a_block_and_no_word_of_the_key(limited: Gateway, origin: Origin) -> None:
    statuses = [await fetch(limited.ingress, "GET", "/block", [KEY]) for _ in range(4)]
    assert [answer.status for answer in statuses] == [200, 429, 429, 429]
    assert assert_problem(statuses[3], 429)["type"] == "urn:gateway:problem:blocked"
    assert 590 <= int(statuses[3].value("retry-after") or 0) <= 600
    await limited.metric_is(1, "gateway_rate_limit_decisions_total", route="block", rule="keys", decision="blocked")
    event = await limited.event(kind="blocked")
    assert (event["rule"], event["level"]) == ("ingress/block/keys", "warning")
    assert "hunter2" not in limited.stderr


async def test_a_chunked_body_is_charged_when_it_is_known(limited: Gateway, origin: Origin) -> None:
    async with await Client.connect(limited.ingress) as client:
        raw = head("POST", "/bytes", [("Transfer-Encoding", "chunked"), ("X-User-Id", "b")]) + chunked(b"he", b"llo")
        client.send(raw)
        assert (await client.response("POST")).status == 200
        client.send(raw)
        refused = await client.response("POST")
    assert_problem(refused, 429)
    assert 890 <= int(refused.value("retry-after") or 0) <= 900, "one byte too many, at four an hour"


async def test_a_body_that_never_fits_is_told_no_time(limited: Gateway, origin: Origin) -> None:
    refused = await fetch(limited.ingress, "POST", "/bytes", [(b"X-User-Id", b"b")], b"hello")
    assert "ever lets through" in assert_problem(refused, 429)["detail"]
    assert refused.value("retry-after") is None


async def test_a_route_that_is_let_off_and_requests_that_no_route_takes(limited: Gateway, origin: Origin) -> None:
    free = await fetch(limited.ingress, "GET", "/free", [(b"X-User-Id", b"f")])
    assert (free.status, free.value("ratelimit")) == (200, None)
    lost = await fetch(limited.ingress, "GET", "/lost", [(b"X-User-Id", b"f")])
    assert (lost.status, lost.value("ratelimit")) == (404, b'"all";r=199;t=18')
