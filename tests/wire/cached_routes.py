"""Routes with caches of every kind, for the tests of the cache over sockets."""

from __future__ import annotations

import socket
from typing import Any

from tests.support.config import url


def _route(name: str, cache: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    own = {} if cache is None else {"cache": cache}
    return {"name": name, "path": f"/{name}/**", "upstream": "app", **own, **more}


KEPT = {"ttl": "60s"}
ROUTES = [
    _route("plain", {}),
    _route("kept", KEPT),
    _route("graceful", {**KEPT, "stale_while_revalidate": "60s", "stale_if_error": "60s"}),
    _route("forgiving", {**KEPT, "stale_if_error": "60s"}),
    _route("small", {**KEPT, "max_object": "64KiB"}),
    _route("capped", KEPT, in_flight={"limit": 1, "name": "cap-cached"}),
    _route("alone", KEPT, coalesce=False),
    _route("together", None, coalesce=True),
    _route("asked", {**KEPT, "methods": ["GET", "POST"]}),
    _route("meant", {**KEPT, "methods": ["POST"], "key": {"body": "json"}, "shared_between_callers": True}),
    _route("mine", {**KEPT, "key": {"headers": ["Authorization"]}}),
    _route("tagged", {**KEPT, "tags": ["route"]}),
    _route("hasty", KEPT, upstream="hasty"),
    _route("narrow", {}, upstream="narrow"),
    _route("brief", KEPT, upstream="brief"),
    {"name": "rest", "path": "/**", "upstream": "app"},
]


def sections(listener: socket.socket) -> dict[str, Any]:
    """What a gateway in front of that port has besides the defaults."""
    origin = {"url": url(listener.getsockname()), "breaker": False}
    upstreams = {
        "app": origin,
        "hasty": {**origin, "timeout": {"headers": "300ms", "idle": "300ms"}},
        "brief": {**origin, "timeout": {"total": "600ms"}},
        "narrow": {**origin, "in_flight": {"limit": 5, "queue": 100, "wait": "10s"}},
    }
    return {"ingress": {"routes": ROUTES}, "upstreams": upstreams}
