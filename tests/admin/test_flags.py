"""Flags over the API: every layer's value, changes and refusals, the history, and why."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.admin.conftest import Running
from tests.admin.test_listener import assert_problem

API = "/api/v1"
ONE = f"{API}/flags/NEW_DASHBOARD"


async def test_each_layer_is_seen(running: Running) -> None:
    listed = await running.get(f"{API}/flags")
    assert listed["kept"] == "memory"
    dashboard, _, ai = listed["flags"]
    assert dashboard["value"] == dashboard["file"] == {"rollout": "25%", "users": ["u1"], "groups": ["beta_tester"]}
    assert dashboard["enabled"]
    assert (dashboard["environment"], dashboard["live"], dashboard["changed"]) == (None, None, None)
    assert ai["file"]["enabled"] is False
    assert ai["environment"] == {"enabled": True}
    assert ai["enabled"]
    assert ai == await running.get(f"{API}/flags/AI")


async def test_a_change_holds_at_once_and_is_remembered(running: Running) -> None:
    said = await running.ask("PUT", ONE, {"live": {"rollout": "50%"}, "who": "ann", "why": "it works"})
    assert said.status == 200
    assert said.json["value"] == {"rollout": "50%", "users": ["u1"], "groups": ["beta_tester"]}
    assert said.json["live"] == {"rollout": "50%"}
    said = await running.ask("PATCH", ONE, {"live": {"enabled": False}})
    assert said.json["live"] == {"rollout": "50%", "enabled": False}
    assert not said.json["enabled"]
    said = await running.ask("PATCH", ONE, {"live": {"rollout": None}})
    assert said.json["live"] == {"enabled": False}
    said = await running.ask("DELETE", f"{ONE}?who=bob&why={quote('back to plan')}")
    assert said.json["live"] is None
    assert said.json["value"] == said.json["file"]

    changes = (await running.get(f"{ONE}/history"))["changes"]
    assert [(one["who"], one["why"], one["live"]) for one in changes] == [
        ("bob", "back to plan", None),
        ("127.0.0.1", "", {"enabled": False}),
        ("127.0.0.1", "", {"rollout": "50%", "enabled": False}),
        ("ann", "it works", {"rollout": "50%"}),
    ]
    assert all(one["when"] > 1.7e9 for one in changes)
    assert len((await running.get(f"{ONE}/history?n=2"))["changes"]) == 2


async def test_each_change_is_told_of_and_no_question_is(running: Running) -> None:
    await running.ask("PUT", ONE, {"live": {"enabled": True}, "who": "ann", "why": "go"})
    await running.ask("POST", f"{ONE}/why", {})
    await running.get(ONE)
    assert running.insides.events.changes == [
        ("127.0.0.1", "putFlag", {"name": "NEW_DASHBOARD", "who": "ann", "why": "go"})
    ]


@pytest.mark.parametrize(
    ("live", "pointers"),
    [
        ({"rollout": "120%", "enable": True}, {"/live/rollout", "/live/enable"}),
        ({"variants": [{"name": "a/b"}]}, {"/live/variants"}),
        ({"requires": ["THEME"]}, {"/live/requires/0", "/live"}),
        ({"constraints": [{"field": "x", "operator": "LIKE", "values": []}]}, {"/live/constraints/0/operator"}),
    ],
)
async def test_a_wrong_change_is_refused_whole(running: Running, live: dict[str, Any], pointers: set[str]) -> None:
    said = await running.ask("PATCH", ONE, {"live": {"enabled": False, **live}})
    assert_problem(said, 409)
    assert {one["pointer"] for one in said.json["errors"]} <= pointers
    assert (await running.get(ONE))["live"] is None
    assert (await running.get(f"{ONE}/history"))["changes"] == []
    assert running.insides.events.changes == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"live": None},
        {"live": []},
        {"live": {}, "by": "ann"},
        {"live": {}, "who": ""},
        {"live": {}, "why": "a\nb"},
    ],
)
async def test_what_is_no_change(running: Running, body: Any) -> None:
    assert_problem(await running.ask("PUT", ONE, body), 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/history"), ("POST", "/why"), ("PUT", ""), ("PATCH", ""), ("DELETE", "")],
)
async def test_a_flag_that_there_is_not(running: Running, method: str, path: str) -> None:
    body = {"live": {}} if method in ("PUT", "PATCH") else None
    said = await running.ask(method, f"{API}/flags/NEW_DASHBORD{path}", body)
    assert_problem(said, 404)
    assert "NEW_DASHBOARD" in said.json["detail"]


async def test_why(running: Running) -> None:
    context = {"user": "u1", "header:x-plan": "pro"}
    said = await running.ask("POST", f"{API}/flags/THEME/why", {"context": context})
    found = said.json
    assert said.status == 200
    assert found["on"]
    assert found["variant"] in ("dark", "light")
    assert found["prerequisites"] == [{"said": "NEW_DASHBOARD is on", "met": True, "found": "on"}]
    assert found["guards"] == [{"said": "header:X-Plan IN [pro]", "met": True, "found": "pro"}]
    assert found["draw"]["variant"] == found["variant"]
    assert found["draw"]["of"] == 4
    nobody = (await running.ask("POST", f"{API}/flags/THEME/why")).json
    assert (nobody["on"], nobody["variant"], nobody["because"]) == (False, "off", "not met: NEW_DASHBOARD is on")
    strategies = (await running.ask("POST", f"{ONE}/why", {"context": {"user": "u7"}})).json["strategies"]
    assert strategies[-1]["bucket"]["below"] == 25.0


async def test_why_has_what_the_config_says_of_where_this_is(running: Running) -> None:
    assert (await running.ask("POST", f"{API}/flags/AI/why")).json["on"]
    elsewhere = {"context": {"environment": "dev"}}
    assert not (await running.ask("POST", f"{API}/flags/AI/why", elsewhere)).json["on"]


async def test_a_time_that_is_none(running: Running) -> None:
    said = await running.ask("POST", f"{ONE}/why", {"context": {"now": "2026-02-30"}})
    assert_problem(said, 409)
    assert said.json["errors"] == [{"pointer": "/context/now", "detail": "is no date (RFC 3339)"}]
    assert_problem(await running.ask("POST", f"{ONE}/why", {"context": {"now": "tomorrow"}}), 400)
