"""The circuit breaker over sockets: what opens it, what an open one answers, probes one at a time, and its end."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.support.client import Client, fetch
from tests.support.config import url
from tests.support.expect import assert_problem
from tests.support.faults import refusing
from tests.support.gateway import Gateway
from tests.support.message import Cut, Response
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start

BREAKER = {"failures": 3, "reset": "500ms", "successes": 2}
RESET = 0.5


async def fail(gateway: Gateway, origin: Origin, count: int = 1) -> None:
    """So many requests whose connection the origin resets."""
    answer, origin.answer = origin.answer, lambda request: None
    origin.serve()
    for _ in range(count):
        assert_problem(await fetch(gateway.ingress, "POST", "/fails", body=b"x"), 502)
    origin.answer = answer


def assert_open(response: Response, *, most: int = 1) -> None:
    assert_problem(response, 503, "destination_unavailable")
    retry_after = response.value("retry-after")
    assert retry_after is not None
    assert 1 <= int(retry_after) <= most


async def state(gateway: Gateway) -> float:
    return await gateway.metric("gateway_breaker_state", upstream="app")


async def transitions(gateway: Gateway) -> dict[str, float]:
    samples = await gateway.samples("gateway_breaker_transitions_total")
    return {dict(k)["to"]: v for k, v in samples.items() if ("upstream", "app") in k and v}


async def test_failures_in_a_row_open_it(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {**BREAKER, "reset": "60s"}})
    await fail(gateway, origin, 2)
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200  # in a row: this one begins anew
    await fail(gateway, origin, 3)
    assert await state(gateway) == 2
    seen = len(origin.requests)
    connections = len(origin.connections)
    for _ in range(3):
        started = time.monotonic()
        response = await fetch(gateway.ingress, "GET", "/")
        assert time.monotonic() - started < 0.2
        assert_open(response, most=60)
        assert int(response.values("retry-after")[0]) > 50
        assert "x-should-retry" not in response.names()
    assert (len(origin.requests), len(origin.connections)) == (seen, connections)
    assert await transitions(gateway) == {"open": 1}
    assert [e for e in gateway.events if "breaker" in str(e.get("event")) and e.get("upstream") == "app"]


async def test_an_open_one_on_egress_says_not_to_retry(start: Start, origin: Origin) -> None:
    gateway = await start(
        upstream={"breaker": {"failures": 1, "reset": "60s"}},
        egress={"routes": [{"path": "/**", "upstream": "app"}]},
    )
    await fail(gateway, origin)
    response = await fetch(gateway.egress, "POST", "/v1/chat", body=b"{}")
    assert_open(response, most=60)
    assert response.value("x-should-retry") == b"false"
    assert "x-should-retry" not in (await fetch(gateway.ingress, "GET", "/")).names()


async def test_a_body_is_not_asked_for_when_it_is_open(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {"failures": 1, "reset": "60s"}})
    await fail(gateway, origin)
    async with await Client.connect(gateway.ingress) as client:
        assert_open(await client.request("POST", "/", body=b"x" * 1000), most=60)
        assert_open(await client.request("GET", "/"), most=60)  # the connection goes on behind a whole body


async def open_until_probe(gateway: Gateway, origin: Origin) -> None:
    await fail(gateway, origin, 3)
    assert_open(await fetch(gateway.ingress, "GET", "/"))
    await asyncio.sleep(RESET + 0.05)


async def test_it_closes_after_probes_one_at_a_time(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": BREAKER})
    await open_until_probe(gateway, origin)
    origin.hold()
    async with await Client.connect(gateway.ingress) as probe:
        probe.ask("GET", "/probe")
        upstream, _ = await origin.request()
        assert await state(gateway) == 1
        part = json.loads((await gateway.get("/health")).body)["parts"]["upstream:app"]
        assert part["detail"] == "the breaker is half-open"
        assert "one at a time" in part["action"]
        for _ in range(5):
            assert_open(await fetch(gateway.ingress, "GET", "/"))
        upstream.send(ok())
        assert (await probe.response()).status == 200
        assert await state(gateway) == 1  # two are wanted
        probe.ask("GET", "/probe")
        await upstream.request()
        upstream.send(ok())
        assert (await probe.response()).status == 200
    assert await state(gateway) == 0
    origin.serve()
    answers = await asyncio.gather(*(fetch(gateway.ingress, "GET", "/") for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert await transitions(gateway) == {"open": 1, "half_open": 1, "closed": 1}


async def test_of_many_at_once_only_one_is_let_through(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": BREAKER})
    await open_until_probe(gateway, origin)
    origin.hold()
    waiting = [asyncio.create_task(fetch(gateway.ingress, "GET", "/")) for _ in range(20)]
    upstream, _ = await origin.request()
    while sum(task.done() for task in waiting) < 19:
        await asyncio.sleep(0.005)
    upstream.send(ok())
    answers = await asyncio.gather(*waiting)
    assert sorted(answer.status for answer in answers) == [200] + [503] * 19


async def test_a_failed_probe_opens_it_again(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": BREAKER})
    await open_until_probe(gateway, origin)
    await fail(gateway, origin)
    assert await state(gateway) == 2
    assert_open(await fetch(gateway.ingress, "GET", "/"))
    await asyncio.sleep(RESET + 0.05)
    for _ in range(2):
        assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    assert await state(gateway) == 0


async def test_a_probe_whose_client_leaves_gives_its_permit_back(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": BREAKER})
    await open_until_probe(gateway, origin)
    for _ in range(3):
        origin.hold()
        async with await Client.connect(gateway.ingress) as client:
            client.ask("GET", "/")
            upstream, _ = await origin.request()
            client.wire.reset()
            await upstream.gone()
    assert await state(gateway) == 1
    origin.serve()
    for _ in range(2):
        assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    assert await state(gateway) == 0


async def test_a_probe_succeeds_at_its_headers(start: Start, origin: Origin) -> None:
    """A long stream does not hold the circuit half-open; an interim response is no header yet."""
    gateway = await start(upstream={"breaker": BREAKER})
    await open_until_probe(gateway, origin)
    origin.hold()
    async with await Client.connect(gateway.ingress) as stream, await Client.connect(gateway.ingress) as other:
        stream.ask("GET", "/")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        assert (await stream.response_head()).status == 103
        assert_open(await other.request("GET", "/"))
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = stream.body(await stream.response_head())
        origin.serve()
        assert (await other.request("GET", "/")).status == 200
        assert await state(gateway) == 0
        upstream.wire.reset()  # a cut later is one failure, and no more
        with pytest.raises(Cut):
            await body.rest()
        assert await state(gateway) == 0
        assert (await other.request("GET", "/")).status == 200


async def test_results_from_before_it_opened_are_ignored(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {**BREAKER, "reset": "60s"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as early:
        early.ask("GET", "/early")
        upstream, _ = await origin.request()
        await fail(gateway, origin, 3)
        assert await state(gateway) == 2
        upstream.send(ok())
        assert (await early.response()).status == 200
    assert await state(gateway) == 2


# what is a failure, and what is not


async def test_a_refused_connect(start: Start, origin: Origin) -> None:
    with refusing() as address:
        upstreams = {"app": {"url": url(address), "breaker": {"failures": 2, "reset": "60s"}}}
        gateway = await start(upstreams=upstreams)
        for _ in range(2):
            assert_problem(await fetch(gateway.ingress, "GET", "/"), 502, "connection_refused")
        assert_open(await fetch(gateway.ingress, "GET", "/"), most=60)


async def test_a_timeout(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {"failures": 1, "reset": "60s"}, "timeout": {"headers": "100ms"}})
    origin.hold()
    assert_problem(await fetch(gateway.ingress, "GET", "/"), 504)
    assert_open(await fetch(gateway.ingress, "GET", "/"), most=60)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
async def test_a_cut_body(start: Start, origin: Origin, answer: bytes) -> None:
    gateway = await start(upstream={"breaker": {"failures": 1, "reset": "60s"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        upstream.send(answer)
        upstream.wire.half_close()
        with pytest.raises(Cut):
            await client.response()
    assert_open(await fetch(gateway.ingress, "GET", "/"), most=60)


async def test_nonsense(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {"failures": 1, "reset": "60s"}})
    origin.answer = lambda request: b"220 mail.example ESMTP\r\n"
    assert_problem(await fetch(gateway.ingress, "GET", "/"), 502, "http_protocol_error")
    assert_open(await fetch(gateway.ingress, "GET", "/"), most=60)


async def test_statuses_only_where_they_are_named(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {"failures": 2, "reset": "60s", "statuses": [500, 503]}})
    for status in (b"501 X", b"502 X", b"404 X", b"429 X", b"500 X", b"200 OK", b"503 X"):
        answer = ok(b"answer", status=status)
        origin.answer = lambda request, answer=answer: answer  # type: ignore[misc]
        assert (await fetch(gateway.ingress, "GET", "/")).body == b"answer"
    assert await state(gateway) == 0
    assert (await fetch(gateway.ingress, "GET", "/")).body == b"answer"  # the second 503 in a row, passed untouched
    assert_open(await fetch(gateway.ingress, "GET", "/"), most=60)


async def test_an_apps_errors_are_no_failures_by_default(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {"failures": 1}})
    origin.answer = lambda request: ok(b"mine", status=b"500 Internal Server Error")
    for _ in range(3):
        response = await fetch(gateway.ingress, "GET", "/")
        assert (response.status, response.body) == (500, b"mine")


async def test_a_clients_faults_are_no_failures(start: Start, origin: Origin) -> None:
    gateway = await start(
        upstream={"breaker": {"failures": 1}},
        ingress={"limits": {"body_timeout": "100ms"}, "routes": [{"path": "/a", "upstream": "app"}]},
    )
    async with await Client.connect(gateway.ingress) as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense")
        assert_problem(await client.response(), 400)
    async with await Client.connect(gateway.ingress) as client:
        client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        assert_problem(await client.response(), 408)
    assert (await fetch(gateway.ingress, "GET", "/b")).status == 404
    assert await state(gateway) == 0
    assert (await fetch(gateway.ingress, "GET", "/a")).status == 200


async def test_a_share_of_failures_in_the_window(start: Start, origin: Origin) -> None:
    gateway = await start(
        upstream={"breaker": {"failures": 100, "reset": "60s", "share": "50%", "window": "30s", "min_calls": 6}}
    )
    for _ in range(2):
        assert (await fetch(gateway.ingress, "GET", "/")).status == 200
        await fail(gateway, origin)
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    assert await state(gateway) == 0  # half have failed of too few
    await fail(gateway, origin)
    assert await state(gateway) == 2


async def test_one_upstreams_breaker_is_not_anothers(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": {"failures": 1, "reset": "60s"}})
    await fail(gateway, origin)
    assert_open(await fetch(gateway.ingress, "GET", "/"), most=60)
    assert (await fetch(gateway.egress, "GET", "/provider/")).status == 200


async def test_false_is_none(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"breaker": False})
    await fail(gateway, origin, 10)
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200


async def test_it_is_on_by_default(start: Start, origin: Origin) -> None:
    gateway = await start(upstreams={"app": {"url": origin.url}})
    await fail(gateway, origin, 5)
    assert_open(await fetch(gateway.ingress, "GET", "/"), most=30)
