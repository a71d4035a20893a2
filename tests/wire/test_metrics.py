"""The metrics listener: its four paths, and the contract's names with the right labels."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.support.client import Client, chunked, fetch, head
from tests.support.gateway import Gateway
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, Start

LABELS = {
    "gateway_requests_total": {"listener", "route", "method", "status"},
    "gateway_request_duration_seconds_bucket": {"listener", "route", "le"},
    "gateway_in_flight": {"scope", "name"},
    "gateway_upstream_requests_total": {"upstream", "outcome"},
    "gateway_upstream_duration_seconds_bucket": {"upstream", "le"},
    "gateway_upstream_connections": {"upstream", "state"},
    "gateway_breaker_state": {"upstream"},
    "gateway_breaker_transitions_total": {"upstream", "to"},
    "gateway_event_loop_lag_seconds_bucket": {"le"},
}


@pytest.fixture
async def used(start: Start, origin: Origin) -> Gateway:
    """A gateway whose every metric has a sample."""
    gateway = await start(upstream={"breaker": {"failures": 1}})
    for address, path in ((gateway.ingress, "/"), (gateway.egress, "/provider/")):
        assert (await fetch(address, "GET", path)).status == 200
    origin.answer = lambda request: None
    assert (await fetch(gateway.ingress, "POST", "/", body=b"x")).status == 502
    return gateway


@pytest.mark.parametrize("name", LABELS)
async def test_names_and_labels(used: Gateway, name: str) -> None:
    samples = await used.samples(name)
    assert samples
    for labels in samples:
        assert {label for label, _ in labels} == LABELS[name]


async def test_promtool_has_nothing_to_say(used: Gateway) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    text = (await used.get("/metrics")).body
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


async def test_requests_are_counted(side: Side, gateway: Gateway, origin: Origin) -> None:
    route = "all" if side.name == "ingress" else "/provider/**"

    async def count(method: str, status: int) -> float:
        return await gateway.metric(
            "gateway_requests_total", listener=side.name, route=route, method=method, status=str(status)
        )

    before = {key: await count(*key) for key in (("GET", 200), ("PROPFIND", 299), ("POST", 502))}
    duration = await gateway.metric("gateway_request_duration_seconds_count", listener=side.name, route=route)
    async with await side.connect() as client:
        for _ in range(3):
            await client.request("GET", f"{side.prefix}/")
        origin.answer = lambda request: ok(status=b"299 X")
        await client.request("PROPFIND", f"{side.prefix}/")
        origin.answer = lambda request: b"nonsense\r\n\r\n"
        await client.request("POST", f"{side.prefix}/", body=b"")
    after = {key: await count(*key) for key in before}
    assert [after[key] - before[key] for key in before] == [3, 1, 1]
    now = await gateway.metric("gateway_request_duration_seconds_count", listener=side.name, route=route)
    assert now == duration + 5


async def test_labels_are_bounded(start: Start, origin: Origin) -> None:
    gateway = await start(ingress={"routes": [{"path": "/a/**", "upstream": "app"}]})

    async def series() -> int:
        return len([line for line in (await gateway.get("/metrics")).body.splitlines() if not line.startswith(b"#")])

    async def traffic() -> None:
        for number in range(5):
            fields = [
                ("X-User", f"u{number}"),
                ("X-Forwarded-For", f"203.0.113.{number}"),
                ("User-Agent", f"{number}"),
            ]
            await fetch(
                gateway.ingress, "GET", f"/a/{number}", fields, host=f"h{number}", source=f"127.0.0.{number + 1}"
            )
            await fetch(gateway.ingress, "GET", f"/b/{number}")
            await fetch(gateway.ingress, f"METHOD{number}", "/a/b")

    await traffic()
    before = await series()
    await traffic()
    assert await series() == before
    text = (await gateway.get("/metrics")).body.decode()
    assert "METHOD" not in text
    assert "203.0.113" not in text
    samples = [dict(labels) for labels in await gateway.samples("gateway_requests_total")]
    assert {(s["route"], s["method"], s["status"]) for s in samples} == {
        ("/a/**", "GET", "200"),
        ("none", "GET", "404"),
        ("none", "_OTHER", "400"),
    }


async def test_buckets_suit_a_proxy(gateway: Gateway, origin: Origin) -> None:
    await fetch(gateway.ingress, "GET", "/")
    buckets = {dict(labels)["le"] for labels in await gateway.samples("gateway_request_duration_seconds_bucket")}
    bounds = sorted(float(bound) for bound in buckets)
    assert (bounds[0], bounds[-2], bounds[-1]) == (0.0005, 120.0, float("inf"))
    assert len(bounds) <= 30


async def test_in_flight(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        samples = await gateway.samples("gateway_in_flight")
        busy = {(dict(k)["scope"], dict(k)["name"]) for k, v in samples.items() if v == 1}
        assert busy == {("listener", "ingress"), ("route", "ingress:all"), ("upstream", "app")}
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = client.body(await client.response_head())
        assert await gateway.metric("gateway_in_flight", scope="listener", name="ingress") == 1  # to the last byte
        upstream.send(chunked(b"end"))
        await body.rest()
    await gateway.metric_is(0, "gateway_in_flight")


async def test_livez_readyz_health(gateway: Gateway) -> None:
    for path in ("/livez", "/readyz"):
        assert (await gateway.get(path)).status == 200
    response = await gateway.get("/health")
    assert (response.status, response.value("content-type")) == (200, b"application/json")
    health = json.loads(response.body)
    assert health["status"] == "healthy"
    assert {"ingress", "egress", "upstream:app"} <= set(health["parts"])
    assert {part["state"] for part in health["parts"].values()} == {"healthy"}


async def test_an_open_breaker_degrades_health_and_not_readiness(used: Gateway) -> None:
    health = json.loads((await used.get("/health")).body)
    assert health["status"] == "degraded"
    assert health["parts"]["upstream:app"]["state"] == "degraded"
    assert health["parts"]["upstream:provider"]["state"] == "healthy"
    assert (await used.get("/readyz")).status == 200
    assert (await used.get("/livez")).status == 200


async def test_it_is_read_only_and_serves_nothing_else(gateway: Gateway) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await fetch(gateway.metrics, method, "/metrics", [("Connection", "close")])).status == 405
    for path in ("/", "/api/v1/config", "/metrics/x"):
        assert (await fetch(gateway.metrics, "GET", path, [("Connection", "close")])).status == 404
    async with await Client.connect(gateway.metrics) as client:
        client.send(head("HEAD", "/livez"))
        assert (await client.response("HEAD")).status == 200


async def test_the_exposition_formats(gateway: Gateway) -> None:
    plain = await fetch(gateway.metrics, "GET", "/metrics", [("Connection", "close")])
    assert plain.values("content-type")[0].startswith(b"text/plain; version=")
    accept = ("Accept", "application/openmetrics-text; version=1.0.0")
    openmetrics = await fetch(gateway.metrics, "GET", "/metrics", [("Connection", "close"), accept])
    assert openmetrics.values("content-type")[0].startswith(b"application/openmetrics-text; version=1.0.0")
    assert openmetrics.body.endswith(b"# EOF\n")
