"""OpenFeature's own SDK with its OFREP provider: for each of a thousand users, what the app's headers say."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from gateway.entropy import Entropy
from gateway.flags.answering import Tally
from gateway.flags.evaluator import Evaluator
from gateway.flags.gates import Tell
from gateway.flags.request_context import Reading, Sources
from gateway.rules.request_head import Interest
from tests.flags.ofrep_listener import HERE, Serving, serving
from tests.support.exchanges import exchange

DEFINE: dict[str, Any] = {
    "NEW_DASHBOARD": {"rollout": "25%", "users": ["user-7"], "groups": ["beta"]},
    "CHECKOUT": {
        "rollout": "60%",
        "variants": [
            {"name": "control", "weight": 2},
            {"name": "short", "weight": 1, "payload": "one page"},
            {"name": "long", "weight": 1},
        ],
    },
    "PAID": {"constraints": [{"field": "plan", "operator": "IN", "values": ["pro"]}]},
    "LIMITS": {"variants": [{"name": "wide", "weight": 1, "payload": {"rows": 50}}]},
    "RATIO": {"variants": [{"name": "half", "weight": 1, "payload": 0.5}]},
    "OFF": False,
}
USERS = 1000


def client(serving: Serving, domain: str) -> OpenFeatureClient:
    api.set_provider(OFREPProvider(f"{serving.url}/flags"), domain)
    return api.get_client(domain)


class Edge:
    """What the app is told in header fields, of requests to ingress."""

    def __init__(self, serving: Serving) -> None:
        sources = Sources(
            "header:X-User-Id", None, "header:X-Groups", HERE.environment, HERE.app, {"plan": "header:X-Plan"}
        )
        evaluator = Evaluator(serving.registry, Tally(), Reading(sources, Entropy()))
        self._interest = Interest("X-Correlation-ID", ingress=True, also=sources.fields(["plan"]))
        self._tell = Tell(evaluator, tuple(DEFINE))

    def told(self, user: str, groups: list[str], plan: str) -> dict[str, str]:
        """Each flag's field."""
        fields = [("X-User-Id", user), ("X-Groups", ", ".join(groups)), ("X-Plan", plan)]
        asking = exchange(fields=[(name.encode(), value.encode()) for name, value in fields], interest=self._interest)
        assert self._tell.check(asking, 0.0) is None
        lines = b"".join(asking.added).decode().splitlines()
        return dict(line.removeprefix("X-Feature-").split(": ") for line in lines)


def asked_by_the_app(one: OpenFeatureClient, number: int) -> tuple[str, list[str], str, dict[str, str | None]]:
    user, groups, plan = f"user-{number}", ["beta"] if number % 50 == 0 else [], "pro" if number % 3 else "free"
    context = EvaluationContext(user, {"groups": groups, "plan": plan})
    found = {
        "NEW_DASHBOARD": one.get_boolean_details("NEW_DASHBOARD", False, context).variant,
        "CHECKOUT": one.get_string_details("CHECKOUT", "as it was", context).variant,
    }
    if number < 100:
        found["PAID"] = one.get_boolean_details("PAID", False, context).variant
    return user, groups, plan, found


async def test_a_thousand_users_get_what_the_headers_say(no_leaked_tasks: None) -> None:
    async with serving(DEFINE) as flags:
        one, edge = client(flags, "thousand"), Edge(flags)
        seen: dict[str, Counter[str | None]] = {name: Counter() for name in ("NEW_DASHBOARD", "CHECKOUT", "PAID")}

        def ask() -> None:
            for number in range(USERS):
                user, groups, plan, found = asked_by_the_app(one, number)
                told = edge.told(user, groups, plan)
                for name, variant in found.items():
                    assert variant == told[name.replace("_", "-")], (name, user)
                    seen[name][variant] += 1

        await asyncio.to_thread(ask)
        assert seen["NEW_DASHBOARD"].keys() == {"on", "off"}
        assert seen["CHECKOUT"].keys() == {"control", "short", "long", "off"}
        assert seen["PAID"].keys() == {"on", "off"}
        assert sum(seen["CHECKOUT"].values()) == USERS


async def test_values_of_every_kind(no_leaked_tasks: None) -> None:
    async with serving(DEFINE) as flags:
        one = client(flags, "kinds")

        def ask() -> None:
            assert one.get_object_value("LIMITS", {}) == {"rows": 50}
            assert one.get_float_value("RATIO", 0.0) == 0.5
            off = one.get_boolean_details("OFF", True)
            assert (off.value, off.reason, off.variant) == (False, Reason.DISABLED, "off")
            named = one.get_string_details("NEW_DASHBOARD", "x")
            assert (named.value, named.error_code) == ("x", ErrorCode.TYPE_MISMATCH)
            missing = one.get_boolean_details("NOPE", True)
            assert (missing.value, missing.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
            users = (EvaluationContext(f"user-{number}") for number in range(50))
            outside = next(user for user in users if one.get_string_details("CHECKOUT", "", user).variant == "off")
            assert one.get_string_value("CHECKOUT", "as it was", outside) == "as it was"
            wrong = one.get_boolean_details("OFF", True, EvaluationContext(None, {"currentTime": "soon"}))
            assert (wrong.value, wrong.error_code) == (True, ErrorCode.INVALID_CONTEXT)

        await asyncio.to_thread(ask)


async def test_a_change_is_seen_at_once(no_leaked_tasks: None) -> None:
    async with serving(DEFINE) as flags:
        one = client(flags, "changes")
        assert not await asyncio.to_thread(one.get_boolean_value, "OFF", False)
        await flags.registry.patch("OFF", {"enabled": True}, "ann", "")
        assert await asyncio.to_thread(one.get_boolean_value, "OFF", False)
