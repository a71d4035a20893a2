"""Flags as the admin API sees them: a registry of a few, which remembers nothing longer than a test."""

from __future__ import annotations

from gateway.flag_operations import Flags
from gateway.flags.registry import Registry
from gateway.rules.flags.given import Here

DEFINE = {
    "NEW_DASHBOARD": {"rollout": "25%", "users": ["u1"], "groups": ["beta_tester"]},
    "THEME": {
        "constraints": [{"field": "header:X-Plan", "operator": "IN", "values": ["pro"]}],
        "requires": ["NEW_DASHBOARD"],
        "variants": [{"name": "dark", "weight": 1}, {"name": "light", "weight": 3}],
    },
    "AI": {"enabled": False, "environments": ["production"]},
}


def flags() -> Flags:
    registry = Registry({"FEATURE_AI": "true"})
    registry.configure(DEFINE, {})
    return Flags(registry, lambda: Here("production", "shop"), bytes)
