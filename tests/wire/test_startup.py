"""An app that starts after the gateway, and is gone before it: requests are held for it once, and never again."""

from __future__ import annotations

import asyncio
import json
import time

from tests.support.client import Client, fetch
from tests.support.config import config, url
from tests.support.expect import assert_problem, assert_within
from tests.support.gateway import Gateway, until
from tests.support.late_port import LatePort
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start


async def begin(start: Start, origin: Origin, port: LatePort, wait: str) -> Gateway:
    """Its app will be at the port; `origin` is its provider. Egress has a way to the app, too."""
    whole = config(origin.address, startup_wait=wait)
    whole["upstreams"]["app"] = {"url": url(port.address), "breaker": {"failures": 3}}
    whole["egress"]["routes"].append({"path": "/app/**", "strip_prefix": "/app", "upstream": "app"})
    return await start(whole=whole)


async def app_state(gateway: Gateway) -> dict[str, str]:
    part: dict[str, str] = json.loads((await gateway.get("/health")).body)["parts"]["upstream:app"]
    return part


async def test_an_app_that_comes_late_and_goes_first(start: Start, origin: Origin, port: LatePort) -> None:
    gateway = await begin(start, origin, port, "30s")
    assert (await gateway.get("/readyz")).status == 200
    body = b"x" * 200_000
    async with (
        await Client.connect(gateway.ingress) as client,
        await Client.connect(gateway.ingress) as uploading,
        await Client.connect(gateway.ingress) as leaving,
    ):
        client.ask("GET", "/early")
        uploading.ask("POST", "/upload", [("Content-Length", str(len(body)))])
        uploading.send(body)
        leaving.ask("GET", "/given-up")
        await gateway.metric_is(3, "gateway_in_flight", scope="listener", name="ingress")
        await gateway.event(event="upstream_starting", upstream="app")
        part = await app_state(gateway)
        assert part["state"] == "degraded"
        assert part["detail"] == "waiting for the app to start; 3 requests are held"
        assert (await gateway.get("/readyz")).status == 200
        leaving.wire.close()
        await gateway.access_line(path="/given-up", status=499)
        assert_problem(await fetch(gateway.egress, "GET", "/app/"), 502, "connection_refused")
        async with port.open() as app:
            app.answer = lambda request: ok(b"%d" % len(request.body))
            assert (await client.response()).body == b"0"
            assert (await uploading.response()).body == b"200000"
            assert [request.target for request in app.requests] in ([b"/early", b"/upload"], [b"/upload", b"/early"])
            assert (await gateway.event(event="upstream_started"))["after"] > 0
            assert (await app_state(gateway))["state"] == "healthy"
        # As a native sidecar is left behind, and told so only then.
        began = time.monotonic()
        assert_problem(await fetch(gateway.ingress, "GET", "/"), 502, "connection_refused")
        assert time.monotonic() - began < 0.5
        assert (await fetch(gateway.egress, "GET", "/provider/")).status == 200
        origin.hold()
        client.ask("GET", "/")
        assert_problem(await client.response(), 502, "connection_refused")
    async with await Client.connect(gateway.egress) as calling:
        calling.ask("GET", "/provider/last")
        async with asyncio.timeout(5):
            while not origin.requests or origin.requests[-1].target != b"/last":
                await asyncio.sleep(0.005)
        gateway.sigterm()
        await until(lambda: any(event["event"] == "drained" for event in gateway.events), "ingress to have drained")
        origin.serve()
        assert (await calling.response()).status == 200
    assert await gateway.wait() == 0


async def test_an_app_that_does_not_come(start: Start, origin: Origin, port: LatePort) -> None:
    gateway = await begin(start, origin, port, "2s")
    began = time.monotonic()
    answers = await asyncio.gather(*(fetch(gateway.ingress, "GET", "/") for _ in range(5)))
    assert_within(time.monotonic() - began, 2, earliest=0)
    for answer in answers:
        problem = assert_problem(answer, 503, "destination_unavailable")
        assert problem["type"] == "urn:gateway:problem:not-started"
        assert answer.value("retry-after") == b"1"
    await gateway.event(event="upstream_not_started", upstream="app", level="warning")
    assert await gateway.metric("gateway_breaker_state", upstream="app") == 0
    began = time.monotonic()
    assert_problem(await fetch(gateway.ingress, "GET", "/"), 502, "connection_refused")
    assert time.monotonic() - began < 0.5
