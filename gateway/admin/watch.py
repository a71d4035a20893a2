"""`/summary`, `/health`, `/connections`, `/slow` and `/routes`: what goes on in the process; they change nothing."""

from __future__ import annotations

import time
from typing import cast

from gateway.admin import ports
from gateway.admin.operation import Answer, Call, Operation, Parameter
from gateway.admin.ports import Ports
from gateway.admin.shape import Schema
from gateway.admin.watch_ports import CacheLately, ChangedFlag, OpenBreaker, Span, Summary, TightCap, Watch

#: A cap is nearly full from this share of its limit on.
NEARLY = 0.8
#: Seconds for which a changed flag is worth telling of.
LATELY = 3600.0
#: Of each list, where the question does not say.
LISTED = 20
#: An exchange is long-running after so many seconds, where the question does not say.
OVER = 10.0

_NUMBER: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 3,
    "pattern": "^([1-9][0-9]?|100)$",
    "description": f"How many of each list, 100 at most; {LISTED} where it is left out.",
}
_SPAN: Schema = {
    "type": "string",
    "minLength": 2,
    "maxLength": 5,
    "pattern": "^(1m|5m|start)$",
    "description": "The last minute or five (the default), or since the process began.",
    "examples": ["1m", "5m", "start"],
}
_OVER: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 6,
    "pattern": "^[0-9]{1,6}$",
    "description": f"Seconds after which an exchange is long-running; {OVER:.0f} where it is left out.",
    "examples": ["10"],
}


def operations(inside: Ports, watch: Watch) -> list[Operation]:
    """What can be seen of the process."""

    async def summary(_: Call) -> Answer:
        return Answer(summarized(inside, watch))

    async def health(_: Call) -> Answer:
        return Answer(watch.health())

    async def connections(call: Call) -> Answer:
        return Answer(watch.connections(float(call.query.get("over", OVER)), _number(call)))

    async def slow(call: Call) -> Answer:
        return Answer(watch.slow(_number(call)))

    async def routes(call: Call) -> Answer:
        span = cast("Span", call.query.get("window", "5m"))
        listed = watch.routes(span)
        return Answer({"routes": listed[: _number(call)], "total": len(listed)})

    number = Parameter("n", _NUMBER)
    return [
        Operation("getSummary", "GET", "/summary", "What to look at first", "Summary", summary),
        Operation(
            "getHealth",
            "GET",
            "/health",
            "A state for each part, and what to do about what is wrong",
            "Health",
            health,
        ),
        Operation(
            "getConnections",
            "GET",
            "/connections",
            "Connections of clients and to upstreams by what they do, and exchanges that go on for long",
            "Connections",
            connections,
            query=(Parameter("over", _OVER), number),
        ),
        Operation(
            "listSlow",
            "GET",
            "/slow",
            "Requests that took more than a second: the slowest of the last hour, and the latest",
            "SlowRequests",
            slow,
            query=(number,),
        ),
        Operation(
            "listRoutes",
            "GET",
            "/routes",
            "Routes with their traffic and latency, the slowest by p95 first",
            "Routes",
            routes,
            query=(Parameter("window", _SPAN), number),
        ),
    ]


def summarized(inside: Ports, watch: Watch) -> Summary:
    """The summary, of what the other operations say at length."""
    health = watch.health()
    return {
        "status": health["status"],
        "phase": health["phase"],
        "version": watch.version,
        "instance": inside.process.instance,
        "started": watch.started,
        "uptime": watch.uptime,
        "findings": [part for part in health["parts"] if part["state"] != "healthy"],
        "traffic": watch.traffic(),
        "breakers": [_breaker(one) for one in inside.breakers.all() if one["state"] != "closed"],
        "caps": [_cap(one) for one in inside.limits.caps() if _is_tight(one)],
        "state": watch.state(),
        "blocked": len(inside.limits.blocked()),
        "slow": watch.slow_lately(),
        "cache": None if inside.cache is None else _cache(inside.cache.stats(), watch.cache_ratio()),
        "flags": [] if inside.flags is None else _flags(inside, time.time() - LATELY),
    }


def _number(call: Call) -> int:
    return int(call.query.get("n", LISTED))


def _breaker(breaker: ports.Breaker) -> OpenBreaker:
    return {
        "name": breaker["name"],
        "state": "half_open" if breaker["state"] == "half_open" else "open",
        "held": breaker["held"],
        "retry_after": breaker["retry_after"],
    }


def _is_tight(cap: ports.Cap) -> bool:
    """Of a cap for each key, `in_flight` is the sum, which says nothing of any one."""
    return cap["queued"] > 0 or (not cap["by"] and cap["in_flight"] >= NEARLY * cap["limit"])


def _cap(cap: ports.Cap) -> TightCap:
    return {
        "id": cap["id"],
        "in_flight": cap["in_flight"],
        "limit": cap["limit"],
        "queued": cap["queued"],
        "queue": cap["queue"],
    }


def _cache(stats: ports.CacheStats, ratio: float | None) -> CacheLately | None:
    """None where no route has a cache."""
    if not stats["routes"]:
        return None
    memory = stats["tiers"][0]
    return {"hit_ratio": ratio, "entries": memory["entries"] or 0, "bytes": memory["bytes"] or 0}


def _flags(inside: Ports, since: float) -> list[ChangedFlag]:
    """Those that were changed since, the latest first."""
    changes = [(flag["name"], flag["changed"]) for flag in inside.flags.all()] if inside.flags is not None else []
    found: list[ChangedFlag] = [
        {"name": name, "when": change["when"], "who": change["who"], "why": change["why"]}
        for name, change in changes
        if change is not None and change["when"] >= since
    ]
    return sorted(found, key=lambda flag: -flag["when"])[:LISTED]
