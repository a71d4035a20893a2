"""OpenFeature's own SDK with its OFREP provider; wire/test_ofrep.py compares it with what the app's headers say."""

from __future__ import annotations

import asyncio
from typing import Any

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from tests.flags.ofrep_listener import Serving, serving

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
    "LIMITS": {"variants": [{"name": "wide", "weight": 1, "payload": {"rows": 50}}]},
    "RATIO": {"variants": [{"name": "half", "weight": 1, "payload": 0.5}]},
    "OFF": False,
}


def client(serving: Serving, domain: str) -> OpenFeatureClient:
    api.set_provider(OFREPProvider(f"{serving.url}/flags"), domain)
    return api.get_client(domain)


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
