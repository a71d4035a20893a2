"""The process as the admin API looks into it: health, traffic, connections, log level. Only assembly imports this."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import cast

from gateway.admin import watch_ports as shapes
from gateway.exchange import Exchange
from gateway.listeners import census
from gateway.listeners.listener import Listener
from gateway.telemetry.health import STATES, Health, worst
from gateway.telemetry.log_level import LogLevel
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recent import Counts, Recent
from gateway.telemetry.slow_requests import SLOW, SlowRequest, SlowRequests, shown_path
from gateway.telemetry.version import version
from gateway.upstreams.pool import Pool

_SECONDS: dict[shapes.Span, float | None] = {"1m": 60.0, "5m": 300.0, "start": None}
_LATELY = 300.0
#: What `Recent` has of the cache, by these names.
ANSWERED, FETCHED = "cache_answered", "cache_fetched"


@dataclass(frozen=True, slots=True)
class Inside:
    """What is looked into. What a reload may replace is asked for each time."""

    health: Health
    metrics: Metrics
    recent: Recent
    slow: SlowRequests
    listeners: Callable[[], Iterable[Listener]]
    pools: Callable[[], Mapping[str, Pool]]
    backends: Callable[[], Mapping[str, bool]]


class Watch:
    """See watch_ports."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self.version = version()

    @property
    def started(self) -> float:
        """See watch_ports."""
        return time.time() - self.uptime

    @property
    def uptime(self) -> float:
        """See watch_ports."""
        return self._inside.recent.uptime

    def health(self) -> shapes.Health:
        """See watch_ports."""
        health = self._inside.health
        parts = sorted(health.parts(), key=lambda part: STATES.index(part.state))
        return {
            "status": worst(parts),
            "phase": health.phase,
            "parts": [
                {"name": part.name, "state": part.state, "detail": part.detail, "action": part.action}
                for part in parts
            ],
        }

    def traffic(self) -> list[shapes.ListenerTraffic]:
        """See watch_ports."""
        recent, metrics = self._inside.recent, self._inside.metrics
        minute, five = recent.window(60.0), recent.window(_LATELY)
        names = dict.fromkeys(part.listener for part in metrics.routes())
        return [
            {
                "listener": name,
                "in_flight": metrics.in_flight(name),
                "minute": _traffic(minute.of(name), minute.seconds),
                "five_minutes": _traffic(five.of(name), five.seconds),
            }
            for name in names
        ]

    def routes(self, span: shapes.Span) -> list[shapes.RouteTraffic]:
        """See watch_ports."""
        window = self._inside.recent.window(_SECONDS[span])
        found: list[shapes.RouteTraffic] = [
            {
                "listener": part.listener,
                "route": part.route,
                "in_flight": part.in_flight,
                "traffic": _traffic(counts, window.seconds),
            }
            for part, counts in window.routes.items()
        ]
        return sorted(found, key=lambda route: -_slowness(route["traffic"]))

    def slow(self, most: int) -> shapes.SlowRequests:
        """See watch_ports."""
        slow = self._inside.slow
        return {
            "over": SLOW,
            "total": slow.total,
            "slowest": [_slow(one) for one in slow.slowest(most)],
            "latest": [_slow(one) for one in slow.latest(most)],
            "lasting": [_slow(one) for one in slow.lasting(most)],
        }

    def slow_lately(self) -> int:
        """See watch_ports."""
        return self._inside.slow.since(time.time() - _LATELY)

    def connections(self, over: float, most: int) -> shapes.Connections:
        """See watch_ports."""
        seen = [census.look(listener) for listener in self._inside.listeners()]
        now = monotonic()
        long = census.long_running(seen, now - over)
        return {
            "listeners": _listeners(seen),
            "upstreams": [_upstream(name, pool) for name, pool in self._inside.pools().items()],
            "over": over,
            "long_running_total": len(long),
            "long_running": [_long(exchange, state, now) for exchange, state in long[:most]],
        }

    def state(self) -> list[shapes.Backend]:
        """See watch_ports."""
        return [{"backend": name, "up": up} for name, up in self._inside.backends().items()]

    def cache_ratio(self) -> float | None:
        """See watch_ports."""
        counts = self._inside.recent.others(_LATELY)
        asked = counts[ANSWERED] + counts[FETCHED]
        return counts[ANSWERED] / asked if asked else None


class LogLevels:
    """See watch_ports."""

    def __init__(self, level: LogLevel) -> None:
        self._level = level

    def shown(self) -> shapes.LogLevel:
        """See watch_ports."""
        level = self._level
        return {
            "level": cast("shapes.LevelName", level.in_force),
            "configured": cast("shapes.LevelName", level.configured),
            "by_hand": level.by_hand,
            "expires_in": level.left,
        }

    def hold(self, level: shapes.LevelName, seconds: float | None) -> shapes.LogLevel:
        """See watch_ports."""
        self._level.hold(level, seconds)
        return self.shown()

    def release(self) -> shapes.LogLevel:
        """See watch_ports."""
        self._level.release()
        return self.shown()


def _traffic(counts: Counts, seconds: float) -> shapes.Traffic:
    requests = counts.requests
    return {
        "seconds": seconds,
        "requests": requests,
        "per_second": requests / seconds if seconds else 0.0,
        "server_errors": counts.server_errors,
        "error_share": counts.server_errors / requests if requests else None,
        "limited": counts.limited,
        "client_errors": counts.client_errors,
        "left": counts.left,
        "lasting": counts.lasting,
        "p50": counts.quantile(0.5),
        "p95": counts.quantile(0.95),
        "p99": counts.quantile(0.99),
    }


def _slowness(traffic: shapes.Traffic) -> float:
    p95 = traffic["p95"]
    return -1.0 if p95 is None else p95


def _slow(one: SlowRequest) -> shapes.SlowRequest:
    return cast("shapes.SlowRequest", one._asdict())


def _listeners(seen: Iterable[census.Seen]) -> list[shapes.ListenerConnections]:
    """By name: after a reload, one that ends may stand beside its successor."""
    found: dict[str, shapes.ListenerConnections] = {}
    for one in seen:
        before = found.get(one.listener)
        found[one.listener] = {
            "listener": one.listener,
            "idle": one.idle + (before["idle"] if before else 0),
            "reading": one.reading + (before["reading"] if before else 0),
            "waiting": one.waiting + (before["waiting"] if before else 0),
            "busy": one.busy + (before["busy"] if before else 0),
            "tunnels": one.tunnels + (before["tunnels"] if before else 0),
            "closing": one.closing + (before["closing"] if before else 0),
            "limit": one.limit,
        }
    return list(found.values())


def _upstream(name: str, pool: Pool) -> shapes.UpstreamConnections:
    states = pool.states()
    return {
        "upstream": name,
        "idle": states["idle"],
        "busy": states["busy"],
        "connecting": states["connecting"],
        "waiting": states["waiting"],
        "limit": pool.limits.connections,
    }


def _long(exchange: Exchange, state: census.State, now: float) -> shapes.LongRunning:
    bytes_in, bytes_out = exchange.carried
    return {
        "seconds": now - exchange.started,
        "state": state,
        "listener": exchange.listener,
        "route": "none" if exchange.route is None else exchange.route.name,
        "method": exchange.method.decode("latin-1"),
        "path": shown_path(exchange.head.path),
        "upstream": exchange.upstream,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "client": exchange.client,
        "correlation_id": exchange.correlation_id,
    }
