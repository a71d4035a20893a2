"""What goes on in the process, over real sockets: the summary is made of what the others say at length."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.admin.conftest import Running
from tests.admin.test_listener import API, assert_problem


async def test_the_summary(running: Running) -> None:
    inside = running.insides
    summary = await running.get(f"{API}/summary")
    assert (summary["status"], summary["phase"], summary["version"]) == ("degraded", "ready", "0.1.0")
    assert summary["instance"] == (await running.get(f"{API}/drain"))["instance"] == inside.process.instance
    assert [part["name"] for part in summary["findings"]] == ["upstream:app"]
    assert [one["listener"] for one in summary["traffic"]] == ["ingress", "egress"]
    assert summary["breakers"] == summary["caps"] == summary["flags"] == []
    assert (summary["blocked"], summary["slow"]) == (0, 1)
    assert summary["state"] == [{"backend": "memory", "up": True}, {"backend": "redis", "up": False}]


async def test_what_is_not_as_it_should_be_is_in_the_summary(running: Running) -> None:
    inside = running.insides
    inside.breakers.open("app")
    inside.limits.block("203.0.113.7", None, 60, "")
    await inside.flags.patch("NEW_DASHBOARD", {"enabled": False}, "ann", "it fails")
    summary = await running.get(f"{API}/summary")
    assert summary["breakers"] == [{"name": "app", "state": "open", "held": True, "retry_after": 30}]
    assert summary["blocked"] == 1
    (flag,) = summary["flags"]
    assert (flag["name"], flag["who"], flag["why"]) == ("NEW_DASHBOARD", "ann", "it fails")
    assert abs(flag["when"] - time.time()) < 60


@pytest.mark.parametrize(
    ("change", "tight"),
    [
        ({"in_flight": 20}, True),
        ({"in_flight": 19}, False),
        ({"in_flight": 1, "queued": 1}, True),
        ({"in_flight": 500, "by": ["ip"]}, False),
        ({"in_flight": 1, "queued": 3, "by": ["ip"]}, True),
    ],
)
async def test_caps_that_are_nearly_full_are(running: Running, change: dict[str, Any], tight: bool) -> None:
    (cap,) = running.insides.limits.caps()
    cap.update(change)  # type: ignore[typeddict-item]
    running.insides.limits.caps = lambda: [cap]  # type: ignore[method-assign]
    assert [one["id"] for one in (await running.get(f"{API}/summary"))["caps"]] == ["route/generate"] * tight


async def test_health_says_what_to_do(running: Running) -> None:
    health = await running.get(f"{API}/health")
    assert health["status"] == "degraded"
    assert [(part["state"], bool(part["action"])) for part in health["parts"]] == [
        ("degraded", True),
        ("healthy", False),
    ]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/connections", (10.0, 20)),
        ("/connections?over=0&n=100", (0.0, 100)),
        ("/slow?n=5", 5),
        ("/routes", "5m"),
        ("/routes?window=start", "start"),
    ],
)
async def test_what_is_asked_for(running: Running, path: str, asked: object) -> None:
    await running.get(API + path)
    assert running.insides.watch.asked == [asked]


async def test_only_so_many_routes_are_listed(running: Running) -> None:
    listed = await running.get(f"{API}/routes?n=3")
    assert ([one["route"] for one in listed["routes"]], listed["total"]) == (["route-0", "route-1", "route-2"], 30)


@pytest.mark.parametrize(
    "path",
    ["/slow?n=0", "/slow?n=101", "/routes?window=2m", "/connections?over=-1", "/connections?over=1.5", "/health?x"],
)
async def test_what_cannot_be_asked(running: Running, path: str) -> None:
    assert_problem(await running.ask("GET", API + path), 400)


# the log level


async def test_the_log_level_is_set_for_a_while_and_reset(running: Running) -> None:
    path = f"{API}/log"
    before = {"level": "info", "configured": "info", "by_hand": False, "expires_in": None}
    assert await running.get(path) == before
    held = await running.ask("PUT", path, {"level": "debug", "for": "10m"})
    assert held.status == 200
    assert (held.json["level"], held.json["configured"], held.json["by_hand"]) == ("debug", "info", True)
    assert 590 < held.json["expires_in"] <= 600
    for_good = await running.ask("PUT", path, {"level": "error"})
    assert (for_good.json["level"], for_good.json["expires_in"]) == ("error", None)
    assert (await running.ask("DELETE", path)).json == await running.get(path) == before
    told = [(operation, target) for _, operation, target in running.insides.events.changes]
    assert told == [
        ("setLogLevel", {"level": "debug", "for": "10m"}),
        ("setLogLevel", {"level": "error"}),
        ("resetLogLevel", {}),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/level"),
        ({"level": "loud"}, "/level"),
        ({"level": "debug", "for": "0s"}, "/for"),
        ({"level": "debug", "for": 10}, "/for"),
        ({"level": "debug", "until": "10m"}, ""),
    ],
)
async def test_what_is_no_log_level(running: Running, body: Any, pointer: str) -> None:
    said = await running.ask("PUT", f"{API}/log", body)
    assert pointer in [error["pointer"] for error in assert_problem(said, 400)["errors"]]
    assert running.insides.levels.level.in_force == "info"
