"""The API over real sockets: each operation, and each way of asking wrongly."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from gateway.admin import listener as module
from tests.admin.conftest import Running, Said, parse
from tests.admin.memory import RULE

API = "/api/v1"


def assert_problem(said: Said, status: int) -> dict[str, Any]:
    assert said.status == status, said
    assert said.fields["Content-Type"] == "application/problem+json"
    assert said.fields["Cache-Control"] == "no-store"
    problem: dict[str, Any] = said.json
    assert problem["status"] == status
    return problem


# breakers


async def test_breakers_are_listed(running: Running) -> None:
    listed = (await running.get(f"{API}/breakers"))["breakers"]
    assert [breaker["name"] for breaker in listed] == ["app", "pay/ment", "öffentlich %"]
    assert listed[0]["state"] == "closed"
    assert listed[0]["settings"]["reset"] == 30


@pytest.mark.parametrize("name", ["app", "pay/ment", "öffentlich %"])
async def test_a_breaker_is_held_open_and_closed_by_hand(running: Running, name: str) -> None:
    path = f"{API}/breakers/{quote(name, safe='')}"
    opened = await running.ask("POST", f"{path}/open")
    assert opened.status == 200
    assert (opened.json["name"], opened.json["state"], opened.json["held"]) == (name, "open", True)
    assert opened.json["retry_after"] == 30
    assert running.insides.breakers.circuits[name].admit(1e9) is None
    for verb in ("close", "open", "reset"):
        closed = await running.ask("POST", f"{path}/{verb}")
    assert (closed.json["state"], closed.json["held"], closed.json["retry_after"]) == ("closed", False, None)
    assert [operation for _, operation, _ in running.insides.events.changes] == [
        "openBreaker",
        "closeBreaker",
        "openBreaker",
        "resetBreaker",
    ]
    assert running.insides.events.changes[0] == ("127.0.0.1", "openBreaker", {"name": name})


async def test_a_breaker_that_is_not_there(running: Running) -> None:
    for name in ("nope", "%00", "a" * 100):
        assert_problem(await running.ask("POST", f"{API}/breakers/{name}/open"), 404)
    assert running.insides.events.changes == []


# limits


async def test_rules_and_caps_are_listed(running: Running) -> None:
    limits = await running.get(f"{API}/limits")
    assert [rule["id"] for rule in limits["rules"]] == [RULE]
    assert limits["caps"][0]["limit"] == 25


@pytest.mark.parametrize("key", ["203.0.113.7", "2001:db8::/64", "a b%2F|c", "~0123456789abcdef"])
async def test_a_key_is_blocked_listed_and_lifted(running: Running, key: str) -> None:
    made = await running.ask("POST", f"{API}/limits/blocked", {"key": key, "for": "10m", "reason": "a test"})
    assert made.status == 201
    blocked = {"key": key, "rule": RULE, "expires_in": 600, "reason": "a test", "by_hand": True}
    assert made.json == {"blocked": [blocked], "total": 1}
    assert await running.get(f"{API}/limits/blocked") == {"blocked": [blocked], "total": 1}
    lifted = await running.ask("DELETE", made.fields["Location"])
    assert (lifted.status, lifted.json) == (200, {"lifted": 1})
    assert (await running.get(f"{API}/limits/blocked"))["total"] == 0
    assert_problem(await running.ask("DELETE", made.fields["Location"]), 404)
    assert [change[1] for change in running.insides.events.changes] == ["block", "unblock"]


async def test_a_network_needs_no_escaping(running: Running) -> None:
    await running.ask("POST", f"{API}/limits/blocked", {"key": "2001:db8::/64", "for": "1h"})
    assert (await running.ask("DELETE", f"{API}/limits/blocked/2001:db8::/64")).json == {"lifted": 1}


async def test_only_so_many_are_listed(running: Running) -> None:
    for number in range(1001):
        running.insides.limits.block(f"10.0.{number >> 8}.{number & 255}", None, 60, "")
    listed = await running.get(f"{API}/limits/blocked")
    assert (len(listed["blocked"]), listed["total"]) == (1000, 1001)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/key"),
        ({"key": "a"}, "/for"),
        ({"key": "", "for": "10m"}, "/key"),
        ({"key": "a\n", "for": "10m"}, "/key"),
        ({"key": "ü", "for": "10m"}, "/key"),
        ({"key": "a" * 513, "for": "10m"}, "/key"),
        ({"key": 1, "for": "10m"}, "/key"),
        ({"key": "a", "for": 600}, "/for"),
        ({"key": "a", "for": "0s"}, "/for"),
        ({"key": "a", "for": "10"}, "/for"),
        ({"key": "a", "for": "10m\n"}, "/for"),
        ({"key": "a", "for": "1000d"}, "/for"),
        ({"key": "a", "for": "10m", "reason": "a\x1b[2J"}, "/reason"),
        ({"key": "a", "for": "10m", "roule": "b"}, ""),
        ([], ""),
        ("text", ""),
        (None, ""),
    ],
)
async def test_what_cannot_be_blocked(running: Running, body: Any, pointer: str) -> None:
    said = await running.ask("POST", f"{API}/limits/blocked", data=json.dumps(body).encode())
    assert pointer in [error["pointer"] for error in assert_problem(said, 400)["errors"]]
    assert running.insides.limits.blocks == {}


async def test_a_key_s_standing_and_its_reset(running: Running) -> None:
    used = running.insides.limits.used
    used |= {"u1": 4, "": 10}
    query = f"{API}/limits/keys?rule={quote(RULE)}"
    standing = await running.get(f"{query}&key=u1")
    assert (standing["known"], standing["remaining"], standing["limit"]) == (True, 6, 10)
    assert (await running.get(f"{query}&key=new"))["known"] is False
    assert (await running.ask("DELETE", f"{query}&key=u1")).json == {"reset": 1}
    assert used == {"": 10}
    assert (await running.get(query))["remaining"] == (await running.get(f"{query}&key="))["remaining"] == 0
    used["u2"] = 1
    assert (await running.ask("DELETE", f"{query}&key=")).json == {"reset": 1}
    assert used == {"u2": 1}
    used["u3"] = 1
    assert (await running.ask("DELETE", query)).json == {"reset": 2}
    assert used == {}


async def test_the_key_of_all_callers_can_be_let_in_again(running: Running) -> None:
    running.insides.limits.block("", None, 60, "")
    assert (await running.ask("DELETE", f"{API}/limits/blocked/")).json == {"lifted": 1}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "/query/rule"),
        ("?key=u1", "/query/rule"),
        (f"?rule={RULE}&kye=u1", "/query"),
        (f"?rule={RULE}&key=%C3%BC", "/query/key"),
        (f"?rule={RULE}&key=u1&key=u2", "/query/key"),
        (f"?rule={RULE}&key=%ff", "/query"),
        (f"?rule={RULE}&key=%00", "/query/key"),
        ("?" + "&".join(f"a{n}=" for n in range(20)), "/query"),
    ],
)
async def test_a_slip_of_the_pen_resets_nothing(running: Running, query: str, pointer: str) -> None:
    running.insides.limits.used |= {"u1": 4}
    said = await running.ask("DELETE", f"{API}/limits/keys{query}")
    assert pointer in [error["pointer"] for error in assert_problem(said, 400)["errors"]]
    assert running.insides.limits.used == {"u1": 4}


async def test_a_rule_that_is_not_there(running: Running) -> None:
    assert_problem(await running.ask("GET", f"{API}/limits/keys?rule=x&key=y"), 404)
    assert_problem(await running.ask("DELETE", f"{API}/limits/keys?rule=x"), 404)
    assert_problem(await running.ask("POST", f"{API}/limits/blocked", {"key": "a", "for": "1s", "rule": "x"}), 404)


async def test_a_shared_state_that_is_away_is_said(running: Running) -> None:
    running.insides.limits.up = False
    said = await running.ask("DELETE", f"{API}/limits/keys?rule={RULE}")
    assert assert_problem(said, 503)["detail"] == "The shared state does not answer."
    assert said.fields["Retry-After"] == "1"
    assert running.insides.events.changes == []


# the process


async def test_the_config_is_shown(running: Running) -> None:
    assert (await running.get(f"{API}/config"))["config"]["upstreams"]["app"]["api_key"] == "(hidden)"


async def test_draining_begins_once(running: Running) -> None:
    before = await running.get(f"{API}/drain")
    assert before == {
        "phase": "ready",
        "drained": False,
        "in_flight": {"ingress": 2, "egress": 1},
        "instance": before["instance"],
    }
    for _ in range(2):
        said = await running.ask("POST", f"{API}/drain")
        assert (said.status, said.json) == (202, {**before, "phase": "draining"})
    running.insides.process.drained = True
    assert (await running.get(f"{API}/drain"))["drained"]


async def test_each_process_has_its_own_name(running: Running, guarded: Running) -> None:
    assert (await running.get(f"{API}/drain"))["instance"] != (await guarded.get(f"{API}/drain"))["instance"]


# the way


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/api/v1/", "/api/v2/breakers", "/api/v1/breakers/", "/%2e"]
)
async def test_other_paths(running: Running, path: str) -> None:
    assert assert_problem(await running.ask("GET", path), 404)["detail"].startswith("There is no such path")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/api/v1/breakers", "GET, HEAD"),
        ("GET", "/api/v1/breakers/app/open", "POST"),
        ("PATCH", "/api/v1/limits/blocked", "GET, HEAD, POST"),
        ("PUT", "/api/v1/limits/keys", "GET, HEAD, DELETE"),
        ("OPTIONS", "/api/v1/drain", "GET, HEAD, POST"),
        ("TRACE", "/openapi.json", "GET, HEAD"),
    ],
)
async def test_other_methods(running: Running, method: str, path: str, allow: str) -> None:
    said = await running.ask(method, path)
    assert_problem(said, 405)
    assert said.fields["Allow"] == allow


async def test_head_is_get_without_the_body(running: Running) -> None:
    got, head = await running.ask("GET", "/openapi.json"), await running.ask("HEAD", "/openapi.json")
    assert (head.status, head.body) == (200, b"")
    assert head.fields["Content-Length"] == got.fields["Content-Length"]


async def test_escapes_that_are_no_text(running: Running) -> None:
    assert_problem(await running.ask("DELETE", f"{API}/limits/blocked/%ff"), 400)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_a_body_is_json_or_refused(running: Running, content_type: str) -> None:
    fields = {"Content-Type": content_type}
    said = await running.ask("POST", f"{API}/limits/blocked", {"key": "a", "for": "1s"}, fields)
    assert_problem(said, 415)
    assert running.insides.limits.blocks == {}


async def test_a_body_may_name_its_charset(running: Running) -> None:
    fields = {"Content-Type": "application/json; charset=utf-8"}
    assert (await running.ask("POST", f"{API}/limits/blocked", {"key": "a", "for": "1s"}, fields)).status == 201


@pytest.mark.parametrize(
    "data", [b"{", b"\xff", b'{"key": NaN}', b'{"key": "\\ud800", "for": "1s"}', b"[" * 50_000, b"\x00"]
)
async def test_a_body_that_is_no_json(running: Running, data: bytes) -> None:
    assert assert_problem(await running.ask("POST", f"{API}/limits/blocked", data=data), 400)["detail"] in (
        "The body is not JSON.",
        "The request is not as it must be; errors says what is wrong where.",
    )


async def test_a_body_where_none_is_taken_is_empty(running: Running) -> None:
    assert (await running.ask("POST", f"{API}/breakers/app/open", {})).status == 200
    assert_problem(await running.ask("POST", f"{API}/breakers/app/close", {"name": "app"}), 400)
    assert (await running.get(f"{API}/breakers"))["breakers"][0]["state"] == "open"


async def test_a_body_is_bounded_by_what_it_says(running: Running) -> None:
    assert_problem(await running.ask("POST", f"{API}/limits/blocked", data=b" " * (module.LARGEST + 1)), 413)
    raw = await running.raw(
        b"POST /api/v1/limits/blocked HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert_problem(parse(raw), 413)


async def test_a_body_is_bounded_by_what_comes(running: Running) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    raw = await running.raw(
        b"POST /api/v1/limits/blocked HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3
    )
    assert_problem(parse(raw), 413)


async def test_who_waits_for_100_gets_it_when_the_body_is_wanted(running: Running) -> None:
    reader, writer = await asyncio.open_connection(*running.address)
    body = b'{"key": "a", "for": "1s"}'
    writer.write(
        b"POST /api/v1/limits/blocked HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n" % len(body)
    )
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert parse(await reader.read()).status == 201
    writer.close()


async def test_a_connection_serves_several_with_bodies(running: Running) -> None:
    body = b'{"key": "a", "for": "1s"}'
    one = (
        b"POST /api/v1/limits/blocked HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n" % len(body)
    )
    raw = await running.raw((one + b"\r\n" + body) * 2 + one + b"Connection: close\r\n\r\n" + body)
    assert raw.count(b"HTTP/1.1 201 Created") == 3


@pytest.mark.parametrize("rest", [b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", b"Content-Length: 100\r\n\r\n{"])
async def test_a_torn_body_is_nobody_s_fault_here(
    running: Running, rest: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(*running.address)
    writer.write(
        b"POST /api/v1/limits/blocked HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + rest
    )
    writer.write_eof()
    async with asyncio.timeout(10):
        raw = await reader.read()
    writer.close()
    assert raw == b"" or b" 400 " in raw.partition(b"\r\n")[0]
    assert running.insides.limits.blocks == {}
    assert caplog.records == []
