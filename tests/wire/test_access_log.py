"""One JSON line a request, with what it was, where it went, how it ended and how long it took."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from tests.support.client import Client, chunked, fetch, head
from tests.support.gateway import Gateway
from tests.support.message import Cut, Response
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, Start
from tests.wire.test_tunnels import tunnel


async def line_of(gateway: Gateway, response: Response) -> dict[str, Any]:
    correlation_id = response.values("x-correlation-id")[0].decode()
    return await gateway.access_line(correlation_id=correlation_id)


async def test_its_fields(side: Side, gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda request: ok(b"x" * 1234, status=b"201 Created")
    async with await side.connect() as client:
        response = await client.request("POST", f"{side.prefix}/a%20b?secret=1", body=b"y" * 321)
    line = await line_of(gateway, response)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert re.fullmatch(r"[0-9a-f]{32}", line["trace_id"])
    assert (line["listener"], line["client"], line["method"]) == (side.name, "127.0.0.1", "POST")
    assert (line["route"], line["upstream"]) == (
        ("all", "app") if side.name == "ingress" else ("/provider/**", "provider")
    )
    assert (line["status"], line["bytes_in"], line["bytes_out"]) == (201, 321, 1234)
    assert "error" not in line
    assert "secret" not in json.dumps(line)


async def test_its_times_add_up(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        await asyncio.sleep(0.2)
        upstream.send(ok())
        response = await client.response()
    line = await line_of(gateway, response)
    assert 200 <= line["upstream_ms"] <= line["total_ms"] < 600
    assert abs(line["total_ms"] - line["upstream_ms"] - line["gateway_ms"]) < 0.01
    assert 0 <= line["gateway_ms"] < 100


async def test_bytes_are_the_bodys_not_the_framings(gateway: Gateway, origin: Origin) -> None:
    origin.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"a" * 10, b"b" * 20)
    )
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("POST", "/", [("Transfer-Encoding", "chunked")]) + chunked(b"c" * 5, b"d" * 6))
        response = await client.response()
    line = await line_of(gateway, response)
    assert (line["bytes_in"], line["bytes_out"]) == (11, 30)


async def test_a_tunnels_bytes_are_counted_both_ways(gateway: Gateway, origin: Origin) -> None:
    async with await Client.connect(gateway.ingress) as client:
        upstream, response = await tunnel(client, origin)
        client.send(b"ping" * 3)
        await upstream.wire.read(12)
        upstream.send(b"pong" * 5)
        await client.wire.read(20)
        upstream.wire.close()
        await client.wire.end()
    line = await line_of(gateway, response)
    assert (line["status"], line["bytes_in"], line["bytes_out"]) == (101, 12, 20)
    origin.serve()
    line = await line_of(gateway, await fetch(gateway.ingress, "GET", "/after"))
    assert line["bytes_in"] == 0


async def test_one_line_each(gateway: Gateway, origin: Origin) -> None:
    before = len(gateway.access)
    ids = [f"one-line-{number}" for number in range(20)]
    async with await Client.connect(gateway.ingress) as client:
        for name in ids:
            await client.request("GET", "/", [("X-Correlation-ID", name)])
    for name in ids:
        await gateway.access_line(correlation_id=name)
    await asyncio.sleep(0.1)
    assert [line["correlation_id"] for line in gateway.access[before:]] == ids


async def test_how_it_ended(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/", [("X-Correlation-ID", "reset")])
        upstream, _ = await origin.request()
        upstream.wire.reset()
        await client.response()
        client.ask("GET", "/", [("X-Correlation-ID", "cut")])
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        upstream.wire.half_close()
        with pytest.raises(Cut):
            await client.response()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/", [("X-Correlation-ID", "left")])
        await origin.request()
    lines = {name: await gateway.access_line(correlation_id=name) for name in ("reset", "cut", "left")}
    assert (lines["reset"]["status"], lines["reset"]["error"]) == (502, "connection-broken")
    assert (lines["cut"]["status"], lines["cut"]["error"]) == (200, "connection-broken")
    assert (lines["left"]["status"], lines["left"]["error"]) == (499, "client-left")


async def test_no_route(start: Start, origin: Origin) -> None:
    gateway = await start(ingress={"routes": [{"path": "/a", "upstream": "app"}]})
    line = await line_of(gateway, await fetch(gateway.ingress, "GET", "/b"))
    assert (line["route"], line["upstream"], line["status"]) == ("none", "", 404)
    assert line["bytes_out"] > 0


async def test_what_a_client_sends_cannot_break_a_line(gateway: Gateway, origin: Origin) -> None:
    target = '/"}\\u0000%0a%0d%1b[31m{\\'
    response = await fetch(gateway.ingress, "GET", target, [("User-Agent", "\xff\t\x80")])
    line = await line_of(gateway, response)
    assert line["path"] == target
    gateway.check_output()


async def test_the_last_lines_are_written_at_the_end(start: Start, origin: Origin) -> None:
    gateway = await start()
    for number in range(50):
        await fetch(gateway.ingress, "GET", "/", [("X-Correlation-ID", f"last-{number}")])
    gateway.sigterm()
    assert await gateway.wait() == 0
    assert [line["correlation_id"] for line in gateway.access] == [f"last-{number}" for number in range(50)]


async def test_secrets_are_in_no_log(start: Start, origin: Origin) -> None:
    secret = "sk-very-secret-key"
    gateway = await start(
        upstreams={"provider": {"preset": "openai", "url": origin.url, "api_key": "${KEY_FOR_TEST}"}},
        environment={"KEY_FOR_TEST": secret},
        log={"level": "debug"},
    )
    await fetch(gateway.egress, "POST", f"/provider/?key={secret}", [("Authorization", secret)], b"{}")
    origin.answer = lambda request: b"nonsense " + secret.encode()
    await fetch(gateway.egress, "GET", "/provider/", [("Authorization", secret)])
    gateway.sigterm()
    await gateway.wait()
    assert len(gateway.access) == 2
    assert secret not in json.dumps(gateway.access) + gateway.stderr
