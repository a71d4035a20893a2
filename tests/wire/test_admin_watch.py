"""What the admin API sees of a gateway at work: connections, slow requests, latencies, health, the log level."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.client import Client, fetch
from tests.support.config import url
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import Origin, listen, ok
from tests.wire.conftest import Start, StartOnce
from tests.wire.test_admin import ask
from tests.wire.test_tunnels import tunnel

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def gateway(start_once: StartOnce, listener: socket.socket) -> Gateway:
    """With a cap of one, a cached route, and a breaker round the provider."""
    provider = {"url": url(listener.getsockname()[:2]), "breaker": {"reset": "1h", "failures": 1}}
    return start_once(
        upstreams={"app": {"url": provider["url"], "breaker": False}, "provider": provider},
        ingress={
            "routes": [
                {
                    "name": "scarce",
                    "path": "/scarce",
                    "upstream": "app",
                    "in_flight": {"limit": 1, "queue": 5, "wait": "9s"},
                },
                {"name": "kept", "path": "/kept", "upstream": "app", "cache": {"ttl": "1h"}},
                {"name": "shared", "path": "/shared", "upstream": "app", "coalesce": True},
                {"name": "all", "path": "/**", "upstream": "app"},
            ]
        },
    )


async def connections(gateway: Gateway, over: int = 0) -> Any:
    return await ask(gateway, "GET", f"/connections?over={over}")


def of(listed: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    (found,) = [one for one in listed if fields.items() <= one.items()]
    return found


async def test_each_connection_is_seen_by_what_it_does(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await Client.connect(gateway.ingress)) for _ in range(4)]
        asking, waiting, _, streaming = clients
        streaming.ask("GET", "/events?token=hunter2")
        upstream, _ = await origin.request()
        upstream.send(EVENTS + b"5\r\nhello\r\n")
        await streaming.wire.read_until(b"hello\r\n")
        asking.ask("GET", "/scarce")
        held, _ = await origin.request()
        waiting.ask("GET", "/scarce")
        await gateway.metric_is(1, "gateway_in_flight_queued", scope="route")
        seen = await connections(gateway)
        ingress = of(seen["listeners"], listener="ingress")
        does = ("idle", "reading", "waiting", "busy", "tunnels", "closing")
        assert [ingress[name] for name in does] == [1, 0, 1, 2, 0, 0]
        app = of(seen["upstreams"], upstream="app")
        assert (app["busy"], app["limit"]) == (2, 1000)
        states = {(one["path"], one["state"]) for one in seen["long_running"]}
        assert states == {("/scarce", "asking"), ("/scarce", "waiting"), ("/events", "answering")}
        stream = of(seen["long_running"], path="/events")
        assert (stream["bytes_out"], stream["upstream"], stream["route"]) == (5, "app", "all")
        assert "hunter2" not in json.dumps(seen)
        assert (await connections(gateway, over=3600))["long_running"] == []
        summary = await ask(gateway, "GET", "/summary")
        assert [cap["queued"] for cap in summary["caps"]] == [1]
        assert of(summary["traffic"], listener="ingress")["in_flight"] == 3
        upstream.send(b"0\r\n\r\n")
        held.send(ok())
        assert (await asking.response()).status == 200


async def test_a_tunnel_s_bytes_are_seen_while_it_lasts(gateway: Gateway, origin: Origin) -> None:
    async with await Client.connect(gateway.ingress) as client:
        upstream, _ = await tunnel(client, origin, "/chat")
        client.send(b"abc")
        assert await upstream.wire.read(3) == b"abc"
        upstream.send(b"defgh")
        assert await client.wire.read(5) == b"defgh"
        one = of((await connections(gateway))["long_running"], path="/chat")
        assert (one["state"], one["bytes_in"], one["bytes_out"]) == ("tunnel", 3, 5)
        upstream.wire.close()
    await gateway.metric_is(0, "gateway_in_flight", scope="upstream", name="app")
    assert (await connections(gateway))["long_running"] == []


async def test_slow_requests_and_latencies(gateway: Gateway, origin: Origin) -> None:
    """One takes a second, one is an event stream that lasts, and so is one that a flight carries."""

    async def answer(request: Request) -> bytes:
        if request.target.startswith(b"/quick"):
            return ok()
        await asyncio.sleep(1.05)
        return ok() if b"slow" in request.target else EVENTS + b"0\r\n\r\n"

    origin.answer = answer
    paths = ["/quick", "/quick", "/slow?key=hunter2", "/events", "/shared"]
    await asyncio.gather(*(fetch(gateway.ingress, "GET", path, [("X-Correlation-ID", path[1:5])]) for path in paths))
    slow = await ask(gateway, "GET", "/slow")
    assert [one["path"] for one in slow["latest"]] == [one["path"] for one in slow["slowest"]] == ["/slow"]
    (one,) = slow["latest"]
    assert (one["method"], one["route"], one["status"], one["upstream"]) == ("GET", "all", 200, "app")
    assert one["correlation_id"] == "slow"
    assert 1.0 < one["upstream_seconds"] <= one["seconds"] < 3.2
    assert abs(one["when"] - time.time()) < 60
    lasting = {(one["path"], one["kind"]) for one in slow["lasting"]}
    assert {("/events", "event_stream"), ("/shared", "event_stream")} <= lasting
    assert "hunter2" not in json.dumps(slow)
    routes = (await ask(gateway, "GET", "/routes?window=start"))["routes"]
    assert routes[0]["route"] == "all"
    traffic = routes[0]["traffic"]
    assert traffic["lasting"] >= 1
    assert traffic["p50"] < 1.0 < traffic["p99"] <= 2.5
    shared = of(routes, route="shared")["traffic"]
    assert (shared["requests"], shared["lasting"], shared["p95"]) == (1, 1, None)
    assert (await ask(gateway, "GET", "/summary"))["slow"] == 1


async def test_the_cache_s_ratio_in_the_summary(gateway: Gateway, origin: Origin) -> None:
    for _ in range(4):
        assert (await fetch(gateway.ingress, "GET", "/kept")).status == 200
    cache = (await ask(gateway, "GET", "/summary"))["cache"]
    # `coalesce` alone asks, too.
    assert cache["entries"] == 1
    assert cache["hit_ratio"] >= 0.6


async def test_an_open_breaker_is_a_finding_with_what_to_do(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda _: None
    assert (await fetch(gateway.egress, "GET", "/provider/x")).status == 502
    summary = await ask(gateway, "GET", "/summary")
    assert [one["name"] for one in summary["breakers"]] == ["provider"]
    finding = of(summary["findings"], name="upstream:provider")
    assert finding["detail"] == "the breaker is open"
    assert "gateway breakers close provider" in finding["action"]
    health = await ask(gateway, "GET", "/health")
    assert health["parts"][0] == finding
    shown = json.loads((await gateway.get("/health")).body)
    assert shown["parts"]["upstream:provider"]["action"] == finding["action"]
    assert {part["name"] for part in health["parts"]} == shown["parts"].keys()


async def test_the_log_level_at_run_time_and_after_reloads(start: Start, origin: Origin) -> None:
    gateway = await start(log={"level": "info"})

    async def reload() -> int:
        """How often the log has told of it."""
        before = await gateway.metric("gateway_config_reloads_total", result="success")
        gateway.sighup()
        await gateway.metric_is(before + 1, "gateway_config_reloads_total", result="success")
        return sum(event["event"] == "config_reloaded" for event in gateway.events)

    held = await ask(gateway, "PUT", "/log", {"level": "error", "for": "1h"})
    assert (held["level"], held["configured"]) == ("error", "info")
    assert await reload() == 0  # the config says the same as before: what is set by hand stays
    gateway.path.write_text(gateway.path.read_text().replace("info", "debug"))
    await reload()
    await gateway.event(event="config_reloaded")
    shown = {"level": "debug", "configured": "debug", "by_hand": False, "expires_in": None}
    assert await ask(gateway, "GET", "/log") == shown


async def test_at_debug_it_says_why_an_upstream_cannot_be_reached(start: Start, origin: Origin) -> None:
    gateway = await start()
    await ask(gateway, "PUT", "/log", {"level": "debug", "for": "1m"})
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    connected = await gateway.event(event="upstream_connected")
    assert (connected["upstream"], connected["address"]) == ("app", origin.address[0])
    with listen() as nobody:
        address = nobody.getsockname()[:2]
    text = gateway.path.read_text().replace(url(origin.address), url(address))
    gateway.path.write_text(text)
    gateway.sighup()
    await gateway.event(event="config_reloaded")
    assert (await fetch(gateway.ingress, "GET", "/")).status == 502
    refused = await gateway.event(event="upstream_not_connected")
    assert (refused["level"], refused["upstream"], refused["error"]) == ("debug", "app", "connection-refused")
    assert refused["reason"]
