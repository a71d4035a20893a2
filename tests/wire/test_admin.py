"""The admin listener of a whole gateway: what is done there is seen by the traffic, and by whoever watches."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.support.client import Client, fetch
from tests.support.config import config
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start, StartOnce

TOKEN = "correct-horse-battery-staple"


async def ask(gateway: Gateway, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
    """An answer below /api/v1, which must be a fine one."""
    status, value = await answered(gateway, method, path, body, token)
    assert 200 <= status < 300, value
    return value


async def answered(
    gateway: Gateway, method: str, path: str, body: Any = None, token: str | None = None
) -> tuple[int, Any]:
    fields = [("Connection", "close")]
    if token is not None:
        fields.append(("Authorization", f"Bearer {token}"))
    payload = None
    if body is not None:
        payload = json.dumps(body).encode()
        fields.append(("Content-Type", "application/json"))
    async with await Client.connect(gateway.address("admin")) as client:
        response = await client.request(method, f"/api/v1{path}", fields, payload, host="localhost")
    return response.status, json.loads(response.body)


async def command(gateway: Gateway, *words: str) -> tuple[int, str]:
    """`gateway WORDS` against it."""
    url = "http://{}:{}".format(*gateway.address("admin"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words, "--url", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.fixture(scope="module")
def gateway(start_once: StartOnce) -> Gateway:
    """One with a breaker, two rules and a cap."""
    return start_once(
        upstream={"breaker": {"reset": "100ms", "failures": 1, "successes": 1}},
        ingress={
            "rate_limit": {"name": "per-ip", "limit": "1000/s", "by": "ip"},
            "in_flight": {"name": "few", "limit": 3},
            "routes": [
                {"path": "/scarce", "upstream": "app", "rate_limit": {"name": "scarce", "limit": "2/h", "by": "ip"}},
                {"path": "/**", "upstream": "app"},
            ],
        },
    )


async def test_a_breaker_is_held_open_and_closed_again(gateway: Gateway, origin: Origin) -> None:
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    opened = await ask(gateway, "POST", "/breakers/app/open")
    assert (opened["state"], opened["held"]) == ("open", True)
    await asyncio.sleep(0.3)  # longer than `reset`, after which it would probe
    assert_problem(await fetch(gateway.ingress, "GET", "/"), 503, "destination_unavailable")
    assert await gateway.metric("gateway_breaker_state", upstream="app") == 2
    part = json.loads((await gateway.get("/health")).body)["parts"]["upstream:app"]
    assert part == {
        "state": "degraded",
        "detail": "the breaker is held open by hand",
        "action": "its calls get 503 until somebody closes it: `gateway breakers close app`",
    }
    await gateway.event(event="admin", operation="openBreaker")
    await ask(gateway, "POST", "/breakers/app/close")
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    assert await gateway.metric("gateway_breaker_state", upstream="app") == 0


async def test_a_limited_key_is_seen_and_given_its_tokens_back(gateway: Gateway, origin: Origin) -> None:
    rule = await the_rule(gateway, "scarce")
    assert (rule["listener"], rule["route"], rule["limit"], rule["period"]) == ("ingress", "/scarce", 2, 3600)
    for _ in range(2):
        assert (await fetch(gateway.ingress, "GET", "/scarce")).status == 200
    assert_problem(await fetch(gateway.ingress, "GET", "/scarce"), 429)
    path = f"/limits/keys?rule={rule['id']}&key=127.0.0.1"
    assert (await ask(gateway, "GET", path))["remaining"] == 0
    counts = (await the_rule(gateway, "scarce"))["counts"]
    assert (counts["allowed"], counts["refused"]) == (2, 1)
    assert await ask(gateway, "DELETE", path) == {"reset": 1}
    assert (await fetch(gateway.ingress, "GET", "/scarce")).status == 200


async def the_rule(gateway: Gateway, name: str) -> Any:
    return next(rule for rule in (await ask(gateway, "GET", "/limits"))["rules"] if rule["name"] == name)


async def test_a_blocked_key_is_refused_until_the_block_is_lifted(gateway: Gateway, origin: Origin) -> None:
    rule = (await the_rule(gateway, "per-ip"))["id"]
    assert (await command(gateway, "limits", "block", "127.0.0.1", "--for", "10m", "--rule", rule))[0] == 0
    refused = await fetch(gateway.ingress, "GET", "/")
    assert_problem(refused, 429)
    assert int(refused.value("retry-after") or 0) > 500
    (blocked,) = (await ask(gateway, "GET", "/limits/blocked"))["blocked"]
    assert (blocked["key"], blocked["by_hand"]) == ("127.0.0.1", True)
    assert await command(gateway, "limits", "unblock", "127.0.0.1") == (0, "lifted: 1\n")
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    code, table = await command(gateway, "limits")
    assert code == 0
    assert "per-ip" in table


async def test_a_cap_s_use_is_seen(gateway: Gateway, origin: Origin) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        (cap,) = (await ask(gateway, "GET", "/limits"))["caps"]
        assert (cap["name"], cap["limit"], cap["in_flight"]) == ("few", 3, 1)
        upstream.send(ok())
        await client.response()


async def test_the_token_and_its_rotation(start: Start, origin: Origin) -> None:
    gateway = await start(admin={"token": TOKEN})
    assert (await answered(gateway, "GET", "/breakers"))[0] == 401
    assert (await answered(gateway, "GET", "/breakers", token="wrong"))[0] == 401
    await gateway.event(event="security", kind="bad_token")
    shown = await ask(gateway, "GET", "/config", token=TOKEN)
    assert shown["config"]["admin"]["token"] == "(hidden)"
    assert TOKEN not in json.dumps(shown)
    config = gateway.path.read_text().replace(TOKEN, "another")
    gateway.path.write_text(config)
    gateway.sighup()
    await gateway.event(event="config_reloaded")
    assert (await answered(gateway, "GET", "/breakers", token=TOKEN))[0] == 401
    assert (await answered(gateway, "GET", "/breakers", token="another"))[0] == 200
    assert TOKEN not in gateway.stderr


async def test_no_token_no_other_interface(tmp_path: Any, origin: Origin) -> None:
    gateway = Gateway(tmp_path, config(origin.address, admin={"bind": "0.0.0.0:0"})).spawn()
    assert await gateway.wait(30) == 1
    assert "binds to loopback only" in gateway.stderr


async def test_drain_waits_for_what_is_in_flight(start: Start, origin: Origin) -> None:
    """And without an egress the process then ends by itself, but not before who waits has seen it."""
    gateway = await start(drain={"delay": "200ms", "timeout": "10s"}, egress=False)
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        draining = asyncio.create_task(command(gateway, "drain"))
        await gateway.event(event="draining")
        assert (await gateway.get("/readyz")).status == 503
        standing = await ask(gateway, "GET", "/drain")
        assert (standing["phase"], standing["drained"], standing["in_flight"]) == ("draining", False, {"ingress": 1})
        await asyncio.sleep(0.3)
        assert not draining.done()
        upstream.send(ok(b"at last"))
        assert (await client.response()).body == b"at last"
        code, said = await draining
    assert (code, said[:11]) == (0, "drained in ")
    assert gateway.alive
    assert (await ask(gateway, "GET", "/drain"))["drained"]
    assert await gateway.wait() == 0
