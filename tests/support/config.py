"""Configs for tests: every port is chosen by the kernel, every upstream is the test's own origin."""

from __future__ import annotations

from typing import Any

from tests.support.client import Address

Config = dict[str, Any]


def url(address: Address) -> str:
    return f"http://{address[0]}:{address[1]}"


def config(origin: Address, *, upstream: Config | None = None, **sections: Any) -> Config:
    """One origin behind both listeners: all of ingress, and /provider/** of egress.

    upstream: keys of both upstreams; a section given by name (ingress=..., drain=...) is merged into its default.
    """
    base: Config = {
        "ingress": {"bind": "127.0.0.1:0", "routes": [{"name": "all", "path": "/**", "upstream": "app"}]},
        "egress": {
            "bind": "127.0.0.1:0",
            "routes": [{"path": "/provider/**", "strip_prefix": "/provider", "upstream": "provider"}],
        },
        "upstreams": {
            "app": {"url": url(origin), "breaker": False, **(upstream or {})},
            "provider": {"url": url(origin), "breaker": False, **(upstream or {})},
        },
        "metrics": {"bind": "127.0.0.1:0"},
        "admin": {"bind": "127.0.0.1:0"},
        "drain": {"delay": "0s", "timeout": "2s"},
    }
    for name, section in sections.items():
        base[name] = {**base.get(name, {}), **section} if isinstance(section, dict) else section
    return base
