"""The real parts behind the real API: what a gateway's breakers, rules, caps and config look like through it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from gateway import operations
from gateway.admin.listener import AdminListener
from gateway.admin.ports import Ports
from gateway.policies.in_flight import Adaptive, Caps, InFlightCap
from gateway.rules.breaker import FAILED, BreakerRule
from gateway.rules.rate_key import Term
from gateway.settings import Settings, loads
from gateway.settings.rate_rule import Block, RateRule
from gateway.settings.rates import Quota
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit
from gateway.state.rate_rules import Counts, RateLimits, RunningRule, Way
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.security import SecurityEvents
from gateway.upstreams.breaker import Breaker
from tests.admin.conftest import Said, parse
from tests.admin.test_openapi import fits
from tests.telemetry.sinks import Pipe

NOW = 1000.0
RULE = "ingress/generate/daily"
CONFIG = """\
ingress: {routes: [{path: /**, upstream: app}]}
upstreams: {app: {url: http://127.0.0.1:3000}}
admin: {token: very-secret}
"""


class Parts:
    """All that is behind the API, and the API."""

    def __init__(self, log: Log) -> None:
        self.health = Health()
        self.health.ready()
        self.breakers = {
            name: Breaker(name, BreakerRule(reset=30), frozenset({503, 500}), lambda *_: None)
            for name in ("app", "b")
        }
        self.buckets = MemoryBuckets()
        self.rates = RateLimits(self.buckets, MemoryBuckets(), clock=lambda: NOW)
        self.caps = Caps()
        self.stopped = 0
        self.standing = operations.Standing(drained=False, in_flight={"ingress": 3, "egress": 1})
        self.settings: Settings = loads(CONFIG, "f.yaml", {})
        security = SecurityEvents(log)
        self.listener = AdminListener(
            Ports(
                operations.Breakers(self.breakers, lambda: NOW),
                operations.Limits(self.rates, self.caps),
                operations.Config(lambda: self.settings),
                operations.Process(self.health, self._stop, lambda: self.standing),
                operations.Events(security, log),
            ),
            "127.0.0.1",
            None,
        )
        self.address = ("", 0)

    def _stop(self) -> None:
        self.stopped += 1

    def install(self, way: Way = Way.LOCAL) -> None:
        settings = RateRule(limit=Quota(10, 60.0), by=(Term("ip"),), block=Block())
        rule = RunningRule(
            Limit(RULE, settings.tokens), Counts("generate", "daily"), way, route="generate", settings=settings.shown
        )
        self.rates.install("ingress", [rule])

    async def ask(self, method: str, path: str, body: Any = None) -> Said:
        payload = b"" if body is None else json.dumps(body).encode()
        reader, writer = await asyncio.open_connection(*self.address)
        head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if payload:
            head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
        writer.write(head.encode() + b"\r\n" + payload)
        async with asyncio.timeout(10):
            raw = await reader.read()
        writer.close()
        return parse(raw)

    async def get(self, path: str) -> Any:
        said = await self.ask("GET", path)
        assert said.status == 200, said
        await self.check(path.partition("?")[0], "get", said)
        return said.json

    async def check(self, path: str, method: str, said: Said) -> None:
        """The answer is as described, whichever parts made it."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        document = parse(await reader.read()).json
        writer.close()
        assert fits(document, f"/api/v1{path}", method, said.status, said.json) == []


@pytest.fixture
def lines() -> Iterator[Pipe]:
    with Pipe() as pipe:
        yield pipe


@pytest_asyncio.fixture
async def parts(no_leaked_tasks: None, lines: Pipe) -> AsyncIterator[Parts]:
    log = Log(lines.writer)
    parts = Parts(log)
    parts.address = await parts.listener.start("127.0.0.1", 0)
    yield parts
    await parts.listener.stop()
    log.close()


async def test_breakers(parts: Parts) -> None:
    failing = parts.breakers["b"]
    for _ in range(2):
        permit = failing.admit(NOW)
        assert permit is not None
        failing.record(permit, FAILED, NOW)
    listed = (await parts.get("/breakers"))["breakers"]
    assert [(one["name"], one["state"], one["failures"]) for one in listed] == [
        ("app", "closed", 0),
        ("b", "closed", 2),
    ]
    assert listed[0]["settings"]["statuses"] == [500, 503]
    opened = (await parts.ask("POST", "/breakers/app/open")).json
    assert (opened["state"], opened["held"], opened["retry_after"]) == ("open", True, 30)
    assert parts.breakers["app"].admit(NOW + 1e6) is None
    for verb in ("close", "reset"):
        assert (await parts.ask("POST", f"/breakers/b/{verb}")).json["failures"] == 0
    assert (await parts.ask("POST", "/breakers/none/open")).status == 404


async def test_a_breaker_that_opened_by_itself_reads_half_open_when_its_time_is_over(parts: Parts) -> None:
    for now, state in ((NOW, "open"), (NOW - 30, "half_open")):
        breaker = parts.breakers["app"]
        breaker.close(now)
        for _ in range(5):
            permit = breaker.admit(now)
            assert permit is not None
            breaker.record(permit, FAILED, now)
        shown = (await parts.get("/breakers"))["breakers"][0]
        assert (shown["state"], shown["held"]) == (state, False)
    assert shown["retry_after"] == 1


async def test_rules_with_their_counts(parts: Parts) -> None:
    parts.install()
    parts.rates.rules()[0].counts.allowed = 7
    (rule,) = (await parts.get("/limits"))["rules"]
    assert (rule["id"], rule["route"], rule["limit"], rule["by"]) == (RULE, "generate", 10, ["ip"])
    assert rule["counts"]["allowed"] == 7
    assert rule["block"] == {"after": 20, "within": 60.0, "seconds": 600.0}


async def test_caps_with_their_use(parts: Parts) -> None:
    parts.caps.cap("a", "route", "generate", InFlightCap(limit=25, queue=50))
    parts.caps.cap("b", "listener", "ingress", InFlightCap(adaptive=Adaptive()))
    parts.caps.cap("c", "route", "per-ip", InFlightCap(limit=2, by=(Term("ip"),)), lambda _: b"k")
    parts.caps.keep(["a", "b", "c"])
    plain, adaptive, keyed = (await parts.get("/limits"))["caps"]
    assert (plain["limit"], plain["queue"], plain["in_flight"], plain["by"]) == (25, 50, 0, [])
    assert (adaptive["adaptive"], adaptive["limit"]) == (True, 20)
    assert (keyed["by"], keyed["adaptive"]) == (["ip"], False)


async def test_a_key_is_blocked_seen_and_lifted(parts: Parts) -> None:
    assert (await parts.ask("POST", "/limits/blocked", {"key": "k", "for": "10m"})).status == 404, "there is no rule"
    parts.install()
    made = await parts.ask("POST", "/limits/blocked", {"key": "2001:db8::/64", "for": "10m"})
    assert made.status == 201
    (blocked,) = (await parts.get("/limits/blocked"))["blocked"]
    assert blocked == {
        "key": "2001:db8::/64", "rule": RULE, "expires_in": 600.0, "reason": "by hand", "by_hand": True
    }  # fmt: skip
    assert (await parts.get(f"/limits/keys?rule={RULE}&key=2001:db8::/64"))["blocked"] == blocked
    assert (await parts.ask("DELETE", "/limits/blocked/2001:db8::/64")).json == {"lifted": 1}
    assert (await parts.ask("DELETE", f"/limits/blocked/k?rule={RULE}")).status == 404
    assert (await parts.ask("DELETE", "/limits/blocked/k?rule=none")).status == 404


async def test_what_a_key_has_left(parts: Parts) -> None:
    parts.install()
    path = f"/limits/keys?rule={RULE}&key=k"
    assert (await parts.get(path))["known"] is False
    parts.buckets.take([Charge(parts.rates.rules()[0].limit, b"k", 4)], NOW)
    assert ((await parts.get(path))["remaining"], (await parts.get(path))["known"]) == (6, True)
    assert (await parts.ask("DELETE", path)).json == {"reset": 1}
    assert (await parts.get(path))["remaining"] == 10
    assert (await parts.ask("DELETE", "/limits/keys?rule=ingress//none")).status == 404
    assert (await parts.ask("GET", "/limits/keys?rule=none")).status == 404


async def test_a_shared_state_that_cannot_be_asked(parts: Parts) -> None:
    parts.install(Way.EXACT)
    for method in ("GET", "DELETE"):
        said = await parts.ask(method, f"/limits/keys?rule={RULE}&key=k")
        assert said.status == 503
        assert said.fields["Retry-After"] == "1"


async def test_the_config_is_that_in_force(parts: Parts) -> None:
    assert (await parts.get("/config"))["config"]["admin"]["token"] == "(hidden)"
    parts.settings = loads(CONFIG.replace("3000", "3001"), "f.yaml", {})
    said = await parts.ask("GET", "/config")
    assert said.json["config"]["upstreams"]["app"]["url"] == "http://127.0.0.1:3001"
    assert b"very-secret" not in said.body


async def test_draining_begins_once_and_is_seen_however_it_began(parts: Parts) -> None:
    assert (await parts.get("/drain"))["phase"] == "ready"
    for _ in range(2):
        assert (await parts.ask("POST", "/drain")).json["phase"] == "draining"
    assert parts.stopped == 1
    assert (await parts.get("/drain"))["in_flight"] == {"ingress": 3, "egress": 1}
    parts.standing = operations.Standing(drained=True, in_flight={})
    assert (await parts.get("/drain"))["drained"]
    other = operations.Process(parts.health, lambda: None, lambda: parts.standing)
    parts.health.draining()
    assert other.phase == "draining"


async def test_changes_and_bad_tokens_are_told(parts: Parts, lines: Pipe) -> None:
    await parts.ask("POST", "/breakers/app/open")
    parts.listener.reconfigure("127.0.0.1", "a-token")
    assert (await parts.ask("POST", "/breakers/app/close")).status == 401
    change, refusal = (json.loads(line) for line in await asyncio.to_thread(lines.lines, 2))
    assert (change["event"], change["operation"], change["target"]) == ("admin", "openBreaker", {"name": "app"})
    assert (refusal["event"], refusal["kind"], refusal["client"]) == ("security", "bad_token", "127.0.0.1")
