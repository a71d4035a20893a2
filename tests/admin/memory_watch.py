"""A process as the admin API looks into it: what a gateway counts, with nothing that counts it."""

from __future__ import annotations

from gateway.admin.watch_ports import (
    Backend,
    Connections,
    Health,
    LevelName,
    ListenerTraffic,
    LogLevel,
    LongRunning,
    RouteTraffic,
    SlowRequest,
    SlowRequests,
    Span,
    Traffic,
)
from gateway.telemetry import log_level


def traffic(seconds: float = 60.0, requests: int = 120) -> Traffic:
    return {
        "seconds": seconds,
        "requests": requests,
        "per_second": requests / seconds,
        "server_errors": 6 if requests else 0,
        "error_share": 0.05 if requests else None,
        "limited": 3 if requests else 0,
        "client_errors": 2 if requests else 0,
        "left": 1 if requests else 0,
        "lasting": 4 if requests else 0,
        "p50": 0.012 if requests else None,
        "p95": 0.25 if requests else None,
        "p99": 1.5 if requests else None,
    }


SLOW: SlowRequest = {
    "when": 1_795_390_534.5,
    "kind": "response",
    "seconds": 2.5,
    "listener": "ingress",
    "route": "generate",
    "method": "POST",
    "path": "/api/generate",
    "status": 200,
    "upstream": "app",
    "upstream_seconds": 2.4,
    "cache": "",
    "error": "",
    "client": "203.0.113.7",
    "correlation_id": "0123456789abcdef",
}
LONG: LongRunning = {
    "seconds": 42.5,
    "state": "answering",
    "listener": "ingress",
    "route": "events",
    "method": "GET",
    "path": "/events",
    "upstream": "app",
    "bytes_in": 0,
    "bytes_out": 3210,
    "client": "203.0.113.7",
    "correlation_id": "fedcba9876543210",
}


class MemoryWatch:
    """Two listeners, an upstream that fails, a handful of slow requests."""

    version = "0.1.0"
    started = 1_795_390_000.0
    uptime = 3725.0

    def __init__(self) -> None:
        self.fine = False
        self.asked: list[object] = []

    def health(self) -> Health:
        part = {"state": "healthy", "detail": "", "action": ""}
        broken = {"state": "degraded", "detail": "the breaker is open", "action": "`gateway breakers` shows it"}
        return {
            "status": "healthy" if self.fine else "degraded",
            "phase": "ready",
            "parts": [
                {"name": "upstream:app", **(part if self.fine else broken)},  # type: ignore[typeddict-item]
                {"name": "event_loop", **part},  # type: ignore[typeddict-item]
            ],
        }

    def traffic(self) -> list[ListenerTraffic]:
        return [
            {"listener": "ingress", "in_flight": 2, "minute": traffic(), "five_minutes": traffic(300.0, 500)},
            {"listener": "egress", "in_flight": 0, "minute": traffic(60.0, 0), "five_minutes": traffic(300.0, 0)},
        ]

    def routes(self, span: Span) -> list[RouteTraffic]:
        self.asked.append(span)
        return [
            {"listener": "ingress", "route": f"route-{number}", "in_flight": 0, "traffic": traffic()}
            for number in range(30)
        ]

    def slow(self, most: int) -> SlowRequests:
        self.asked.append(most)
        lasting: SlowRequest = {**SLOW, "kind": "event_stream", "seconds": 61.0}
        return {"over": 1.0, "total": 7, "slowest": [SLOW], "latest": [SLOW], "lasting": [lasting]}

    def slow_lately(self) -> int:
        return 1

    def connections(self, over: float, most: int) -> Connections:
        self.asked.append((over, most))
        return {
            "listeners": [
                {
                    "listener": "ingress",
                    "idle": 5,
                    "reading": 0,
                    "waiting": 1,
                    "busy": 2,
                    "tunnels": 1,
                    "closing": 0,
                    "limit": 10000,
                }
            ],
            "upstreams": [{"upstream": "app", "idle": 3, "busy": 2, "connecting": 0, "waiting": 0, "limit": 100}],
            "over": over,
            "long_running_total": 1,
            "long_running": [LONG],
        }

    def state(self) -> list[Backend]:
        return [{"backend": "memory", "up": True}, {"backend": "redis", "up": self.fine}]

    def cache_ratio(self) -> float | None:
        return 0.75


class MemoryLevels:
    """Really holds a level."""

    def __init__(self) -> None:
        self.level = log_level.LogLevel("info")

    def shown(self) -> LogLevel:
        return {
            "level": self.level.in_force,  # type: ignore[typeddict-item]
            "configured": self.level.configured,  # type: ignore[typeddict-item]
            "by_hand": self.level.by_hand,
            "expires_in": self.level.left,
        }

    def hold(self, level: LevelName, seconds: float | None) -> LogLevel:
        self.level.hold(level, seconds)
        return self.shown()

    def release(self) -> LogLevel:
        self.level.release()
        return self.shown()
