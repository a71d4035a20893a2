"""OFREP over a socket: one flag, all flags, what has not changed, and everything that is no question."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.flags.ofrep import LARGEST
from tests.flags.ofrep_listener import Serving, serving
from tests.support.client import Client, chunked, fetch, head
from tests.support.message import Response

DEFINE: dict[str, Any] = {
    "NEW_DASHBOARD": {"users": ["u1"], "groups": ["beta"]},
    "COLOUR": {"variants": [{"name": "blue", "weight": 1, "payload": {"hex": "#00f"}}]},
    "PAID": {"constraints": [{"field": "header:X-Plan", "operator": "IN", "values": ["pro"]}]},
    "HERE": {"environments": ["production"], "constraints": [{"field": "app", "operator": "IN", "values": ["shop"]}]},
    "OFF": False,
    "a b/ü": True,
}
FLAGS = "/flags/ofrep/v1/evaluate/flags"


@pytest_asyncio.fixture
async def serving_flags(no_leaked_tasks: None) -> AsyncIterator[Serving]:
    async with serving(DEFINE) as one:
        yield one


async def ask(
    serving: Serving, path: str = FLAGS, body: bytes = b"", fields: Any = (), method: str = "POST"
) -> Response:
    fields = [("Content-Type", "application/json"), *fields]
    return await fetch(serving.address, method, path, fields, body)


def said(response: Response) -> Any:
    assert response.value("Content-Type") == b"application/json"
    return json.loads(response.body)


@pytest.mark.parametrize(
    ("key", "context", "expected"),
    [
        ("NEW_DASHBOARD", {"targetingKey": "u1"}, ("on", True, "TARGETING_MATCH")),
        ("NEW_DASHBOARD", {"targetingKey": "u2", "groups": ["beta"]}, ("on", True, "TARGETING_MATCH")),
        ("NEW_DASHBOARD", {"targetingKey": "u2", "groups": "x, beta"}, ("on", True, "TARGETING_MATCH")),
        ("NEW_DASHBOARD", {"targetingKey": "u2"}, ("off", False, "DEFAULT")),
        ("COLOUR", {}, ("blue", {"hex": "#00f"}, "STATIC")),
        ("PAID", {"header:x-plan": "pro"}, ("on", True, "TARGETING_MATCH")),
        ("HERE", {}, ("on", True, "TARGETING_MATCH")),
        ("HERE", {"environment": "dev"}, ("off", False, "DEFAULT")),
        ("OFF", {}, ("off", False, "DISABLED")),
        ("a%20b%2F%C3%BC", {}, ("on", True, "STATIC")),
    ],
)
async def test_one_flag(serving_flags: Serving, key: str, context: Any, expected: tuple[str, Any, str]) -> None:
    response = await ask(serving_flags, f"{FLAGS}/{key}", json.dumps({"context": context}).encode())
    value = said(response)
    assert response.status == 200
    assert (value["variant"], value["value"], value["reason"]) == expected
    assert value["key"] in DEFINE


async def test_all_flags_and_nothing_twice(serving_flags: Serving) -> None:
    body = b'{"context": {"targetingKey": "u1"}}'
    response = await ask(serving_flags, body=body)
    flags = {one["key"]: one["variant"] for one in said(response)["flags"]}
    assert flags == {
        "NEW_DASHBOARD": "on", "COLOUR": "blue", "PAID": "off", "HERE": "on", "OFF": "off", "a b/ü": "on",
    }  # fmt: skip
    etag = response.value("ETag")
    assert etag is not None
    for listed in (etag, b'"x", ' + etag, b"W/" + etag):
        again = await ask(serving_flags, body=body, fields=[("If-None-Match", listed)])
        assert (again.status, again.body, again.value("ETag")) == (304, b"", etag)
    other = await ask(serving_flags, body=b'{"context": {"targetingKey": "u2"}}', fields=[("If-None-Match", etag)])
    assert other.status == 200
    await serving_flags.registry.put("OFF", {"enabled": True}, "ann", "")
    changed = await ask(serving_flags, body=body, fields=[("If-None-Match", etag)])
    assert changed.status == 200
    assert changed.value("ETag") != etag
    assert {"key": "OFF", "reason": "STATIC", "variant": "on", "value": True} in said(changed)["flags"]


async def test_without_a_body(serving_flags: Serving) -> None:
    assert said(await ask(serving_flags, f"{FLAGS}/HERE"))["value"] is True
    assert len(said(await ask(serving_flags))["flags"]) == len(DEFINE)


@pytest.mark.parametrize(("body", "code"), [(b"{", "PARSE_ERROR"), (b'{"context": 1}', "INVALID_CONTEXT")])
async def test_what_cannot_be_read(serving_flags: Serving, body: bytes, code: str) -> None:
    one = await ask(serving_flags, f"{FLAGS}/OFF", body)
    every = await ask(serving_flags, body=body)
    assert (one.status, every.status) == (400, 400)
    assert (said(one)["key"], said(one)["errorCode"]) == ("OFF", code)
    assert said(every)["errorCode"] == code
    assert "key" not in said(every)


async def test_a_time_that_is_none(serving_flags: Serving) -> None:
    response = await ask(serving_flags, body=b'{"context": {"currentTime": "soon"}}')
    assert (response.status, said(response)["errorCode"]) == (400, "INVALID_CONTEXT")


@pytest.mark.parametrize("key", ["NOPE", "new_dashboard", "", "%FF", "%00"])
async def test_a_flag_that_there_is_not(serving_flags: Serving, key: str) -> None:
    response = await ask(serving_flags, f"{FLAGS}/{key}")
    assert (response.status, said(response)["errorCode"]) == (404, "FLAG_NOT_FOUND")


async def test_what_is_not_the_protocols(serving_flags: Serving) -> None:
    assert (await ask(serving_flags, "/flags/ofrep/v1/configuration")).status == 404
    assert (await ask(serving_flags, "/flags/ofrep/v2/evaluate/flags")).status == 404
    for path in (FLAGS, f"{FLAGS}/OFF"):
        for method in ("GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"):
            response = await fetch(serving_flags.address, method, path, (), b"{}" if method == "PUT" else None)
            assert (response.status, response.value("Allow")) == (405, b"POST")


async def test_a_context_is_bounded(serving_flags: Serving) -> None:
    longest = json.dumps({"context": {"a": ""}}).encode()
    longest = json.dumps({"context": {"a": "x" * (LARGEST - len(longest))}}).encode()
    assert len(longest) == LARGEST
    assert (await ask(serving_flags, body=longest)).status == 200
    assert (await ask(serving_flags, body=longest + b" ")).status == 413
    for body, status in ((longest, 200), (longest + b" ", 413)):
        async with await Client.connect(serving_flags.address) as client:
            client.send(head("POST", FLAGS, [("Transfer-Encoding", "chunked")]) + chunked(body[:9], body[9:]))
            assert (await client.response("POST")).status == status


async def test_a_body_that_comes_in_parts_on_a_connection_that_stays(serving_flags: Serving) -> None:
    async with await Client.connect(serving_flags.address) as client:
        for user, variant in (("u1", "on"), ("u2", "off")):
            body = json.dumps({"context": {"targetingKey": user}}).encode()
            fields = [("Content-Length", str(len(body))), ("Expect", "100-continue")]
            client.send(head("POST", f"{FLAGS}/NEW_DASHBOARD", fields))
            assert (await client.response_head()).status == 100
            client.send(body[:5])
            client.send(body[5:])
            assert said(await client.response("POST"))["variant"] == variant


async def test_who_leaves_is_forgotten(serving_flags: Serving) -> None:
    async with await Client.connect(serving_flags.address) as client:
        client.send(head("POST", FLAGS, [("Content-Length", "10")]) + b"{")
    await ask(serving_flags)
    assert sorted(serving_flags.told.statuses) == [200, 499]


async def test_what_is_said_is_counted(serving_flags: Serving) -> None:
    await ask(serving_flags, f"{FLAGS}/OFF")
    await ask(serving_flags)
    counts = {(flag, value): count for flag, value, count in serving_flags.tally.counts()}
    assert counts["OFF", "off"] == 2
    assert counts["COLOUR", "blue"] == 1


async def test_who_is_unknown_draws_with_each_request(serving_flags: Serving) -> None:
    serving_flags.registry.configure({"HALF": {"rollout": "50%"}}, {})
    seen = {said(await ask(serving_flags, f"{FLAGS}/HALF"))["variant"] for _ in range(60)}
    assert seen == {"on", "off"}


async def test_at_the_root() -> None:
    async with serving(DEFINE, "/") as one:
        assert (await ask(one, "/ofrep/v1/evaluate/flags/HERE")).status == 200
        assert (await ask(one, FLAGS)).status == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("Authorization", "Bearer s3cret")], 200),
        ([("authorization", "bearer  s3cret")], 200),
        ([("X-API-Key", "s3cret")], 200),
        ([("X-API-Key", "s3cret"), ("Authorization", "Bearer s3cret")], 200),
        ([("X-API-Key", "wrong"), ("Authorization", "Bearer s3cret")], 401),
        ([], 401),
        ([("Authorization", "Bearer s3cre")], 401),
        ([("Authorization", "Basic s3cret")], 401),
        ([("Authorization", "s3cret")], 401),
        ([("X-API-Key", "")], 401),
    ],
)
async def test_with_a_token(fields: list[tuple[str, str]], status: int) -> None:
    async with serving(DEFINE, token="s3cret") as one:
        for body in (b"", b"{}"):
            response = await ask(one, body=body, fields=fields)
            assert response.status == status
            assert (response.value("WWW-Authenticate") is not None) == (status == 401)
        assert (await ask(one, f"{FLAGS}/NOPE", fields=fields)).status == (404 if status == 200 else 401)
