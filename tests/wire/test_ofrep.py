"""One gateway, asked in two ways: what the app sees in header fields, and what OpenFeature's SDK hears of egress."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from tests.support.client import Client, fetch
from tests.support.config import url
from tests.support.gateway import Gateway
from tests.support.origin import Origin
from tests.wire.conftest import StartOnce
from tests.wire.test_admin import ask

USERS = 1000
DEFINE: dict[str, Any] = {
    "NEW_DASHBOARD": {"rollout": "25%", "users": ["user-7"], "groups": ["beta"]},
    "CHECKOUT": {
        "rollout": "60%",
        "variants": [
            {"name": "control", "weight": 2},
            {
                "name": "short",
                "weight": 1,
                "payload": "one page",
                "overrides": [{"field": "plan", "values": ["pro"]}],
            },
            {"name": "long", "weight": 1},
        ],
    },
    "PAID": {"segments": ["paying"], "requires": {"flag": "CHECKOUT", "variants": ["short", "long"]}},
    "BY_SESSION": {"rollout": "12.5%", "stickiness": "session", "environments": ["production"]},
}


@pytest.fixture(scope="module")
def gateway(start_once: StartOnce, listener: socket.socket) -> Gateway:
    app = {"url": url(listener.getsockname()), "breaker": False}
    return start_once(
        flags={
            "context": {
                "user": "header:X-User-Id",
                "groups": "header:X-User-Groups",
                "session": "cookie:sid",
                "environment": "production",
                "properties": {"plan": "header:X-Plan"},
            },
            "segments": {"paying": {"field": "plan", "operator": "IN", "values": ["pro"]}},
            "define": DEFINE,
            "ofrep": "/flags",
        },
        ingress={"routes": [{"path": "/**", "upstream": "app", "flags": list(DEFINE)}]},
        upstreams={"app": app, "provider": app},
        log={"access": False},
    )


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[OpenFeatureClient]:
    api.set_provider(OFREPProvider(f"{url(gateway.address('egress'))}/flags"), "gateway")
    yield api.get_client("gateway")
    api.clear_providers()


class User:
    """Somebody, as a request has him and as the app's code names him."""

    def __init__(self, number: int) -> None:
        self.name = f"user-{number}"
        groups, plan = (["staff", "beta"] if number % 50 == 0 else ["staff"]), ("pro" if number % 3 == 0 else "free")
        session = f"s{number // 2}"
        self.fields = [
            ("X-User-Id", self.name), ("X-User-Groups", ", ".join(groups)), ("X-Plan", plan),
            ("Cookie", f"a=b; sid={session}"),
        ]  # fmt: skip
        self.context = EvaluationContext(self.name, {"groups": groups, "plan": plan, "sessionId": session})

    def by_sdk(self, client: OpenFeatureClient, names: tuple[str, ...]) -> dict[str, str | None]:
        """The variant of each flag, of which those without any are booleans."""
        details = {
            name: client.get_string_details(name, "", self.context)
            if "variants" in DEFINE[name]
            else client.get_boolean_details(name, False, self.context)
            for name in names
        }
        assert all(one.error_code is None for one in details.values())
        return {name: one.variant for name, one in details.items()}


async def test_a_thousand_users_get_from_the_sdk_what_the_app_sees(
    gateway: Gateway, origin: Origin, sdk: OpenFeatureClient
) -> None:
    """Before and after a change at run time. Every tenth is asked all flags, the others the one with variants."""
    seen: dict[str, Counter[str]] = {name: Counter() for name in DEFINE}

    async def told(client: Client, user: User) -> dict[str, str]:
        assert (await client.request("GET", "/", user.fields)).status == 200
        fields = {name.decode(): value.decode() for name, value in origin.requests[-1].headers}
        return {name: fields[f"X-Feature-{name.replace('_', '-')}"] for name in DEFINE}

    async def compare(client: Client, users: range) -> None:
        each = [User(number) for number in users]
        asked = [tuple(DEFINE) if number % 10 == 0 else ("CHECKOUT",) for number in users]
        found = await asyncio.to_thread(
            lambda: [user.by_sdk(sdk, names) for user, names in zip(each, asked, strict=True)]
        )
        for user, variants in zip(each, found, strict=True):
            edge = await told(client, user)
            for name, variant in variants.items():
                assert variant == edge[name], (user.name, name)
                seen[name][edge[name]] += 1

    async with await Client.connect(gateway.ingress) as client:
        await compare(client, range(USERS // 2))
        before = await told(client, User(1))
        await ask(gateway, "PATCH", "/flags/CHECKOUT", {"live": {"rollout": "90%"}, "why": "a test"})
        await compare(client, range(USERS // 2, USERS))
        await ask(gateway, "DELETE", "/flags/CHECKOUT")
        assert await told(client, User(1)) == before
    assert seen["NEW_DASHBOARD"].keys() == seen["PAID"].keys() == seen["BY_SESSION"].keys() == {"on", "off"}
    assert seen["CHECKOUT"].keys() == {"control", "short", "long", "off"}
    assert sum(seen["CHECKOUT"].values()) == USERS


async def test_it_stands_before_every_route_of_egress_and_is_counted_as_its_own(
    gateway: Gateway, origin: Origin
) -> None:
    response = await fetch(gateway.address("egress"), "POST", "/flags/ofrep/v1/evaluate/flags", body=b"{}")
    assert (response.status, response.value("Content-Type")) == (200, b"application/json")
    assert (await fetch(gateway.address("egress"), "GET", "/flags/ofrep/v1/evaluate/flags")).status == 405
    assert (await fetch(gateway.ingress, "POST", "/flags/ofrep/v1/evaluate/flags", body=b"{}")).value("X-Answers")
    assert len(origin.requests) == 1
    assert await gateway.metric("gateway_requests_total", listener="egress", route="ofrep", status="405") == 1
