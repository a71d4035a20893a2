"""The running parts as the admin API asks for them: breakers, limits, config, drain. Only assembly imports this."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Literal, NamedTuple, TypeVar, cast

from gateway.admin import ports
from gateway.policies.in_flight import Caps, InFlightCap
from gateway.rules.breaker import CLOSED
from gateway.rules.rate_key import is_constant
from gateway.settings import Settings
from gateway.state.ports import Unavailable
from gateway.state.rate_rules import RateLimits
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.security import SecurityEvents
from gateway.upstreams.breaker import Breaker

_Found = TypeVar("_Found")

_STATES: tuple[Literal["closed", "half_open", "open"], ...] = ("closed", "half_open", "open")


class Breakers:
    """The breakers by their upstreams' names; `breakers` is the mapping that a reload changes in place."""

    def __init__(self, breakers: Mapping[str, Breaker], clock: Callable[[], float] = monotonic) -> None:
        self._breakers = breakers
        self._clock = clock

    def all(self) -> list[ports.Breaker]:
        """See ports."""
        return [self._shown(breaker) for breaker in self._breakers.values()]

    def open(self, name: str) -> ports.Breaker:
        """See ports."""
        breaker = self._find(name)
        breaker.force_open()
        return self._shown(breaker)

    def close(self, name: str) -> ports.Breaker:
        """See ports."""
        breaker = self._find(name)
        breaker.close(self._clock())
        return self._shown(breaker)

    def reset(self, name: str) -> ports.Breaker:
        """See ports: a breaker that was just closed has nothing counted either."""
        return self.close(name)

    def _find(self, name: str) -> Breaker:
        if name not in self._breakers:
            raise ports.NotThere("There is no breaker of this name; /api/v1/breakers lists those that there are.")
        return self._breakers[name]

    def _shown(self, breaker: Breaker) -> ports.Breaker:
        now, rule = self._clock(), breaker.rule
        state = breaker.state(now)
        return {
            "name": breaker.name,
            "state": _STATES[state],
            "held": breaker.held,
            "failures": breaker.failures_in_a_row,
            "successes": breaker.probes_succeeded,
            "retry_after": None if state == CLOSED else breaker.retry_after(now),
            "settings": {
                "failures": rule.failures,
                "reset": rule.reset,
                "successes": rule.successes,
                "statuses": sorted(breaker.statuses),
                "share": rule.share,
                "window": rule.window,
                "min_calls": rule.min_calls,
            },
        }


class Limits:
    """Rate rules and caps; both registries already speak in the API's words."""

    def __init__(self, rates: RateLimits, caps: Caps) -> None:
        self._rates = rates
        self._caps = caps

    def rules(self) -> list[ports.Rule]:
        """See ports."""
        return cast("list[ports.Rule]", self._rates.described())

    def caps(self) -> list[ports.Cap]:
        """See ports."""
        shown: list[ports.Cap] = []
        for cap in self._caps:
            settings = cap.settings
            written = settings if isinstance(settings, InFlightCap) else None
            by = [] if written is None or is_constant(written.by) else [str(term) for term in written.by]
            shown.append(
                {
                    "id": cap.id,
                    "scope": cap.scope,
                    "name": cap.name,
                    "limit": cap.limit,
                    "in_flight": cap.in_flight,
                    "queued": cap.queued,
                    "queue": settings.queue,
                    "wait": settings.wait,
                    "by": by,
                    "shared": cap.leases is not None,
                    "adaptive": settings.finds_itself is not None,
                    "counts": {"admitted": cap.admitted, "refused": cap.refused, "timed_out": cap.timed_out},
                }
            )
        return shown

    def blocked(self) -> list[ports.Blocked]:
        """See ports."""
        return cast("list[ports.Blocked]", self._rates.blocked())

    def block(self, key: str, rule: str | None, seconds: float, reason: str) -> list[ports.Blocked]:
        """See ports."""
        return cast("list[ports.Blocked]", _found(lambda: self._rates.block(key, rule, seconds, reason)))

    def unblock(self, key: str, rule: str | None) -> int:
        """See ports."""
        return _found(lambda: self._rates.unblock(key, rule))

    async def standing(self, rule: str, key: str) -> ports.Standing:
        """See ports."""
        return cast("ports.Standing", await _asked(self._rates.standing(rule, key)))

    async def reset(self, rule: str, key: str | None) -> int:
        """See ports."""
        return await _asked(self._rates.reset(rule, key))


class Config:
    """The config in force; `settings` gives it as it is now."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def shown(self) -> dict[str, Any]:
        """See ports."""
        return self._settings().displayed()


class Standing(NamedTuple):
    """How far a drain is: whether ingress has, and how many exchanges are under way, by listener."""

    drained: bool
    in_flight: dict[str, int]


class Process:
    """The process's phase, and what begins its end; `stop` is called once."""

    def __init__(self, health: Health, stop: Callable[[], None], standing: Callable[[], Standing]) -> None:
        self._health = health
        self._stop = stop
        self._standing = standing
        self._stopping = False
        self.instance = secrets.token_hex(8)

    @property
    def phase(self) -> str:
        """See ports. It drains from the moment on at which it was told to."""
        return "draining" if self._stopping else self._health.phase

    @property
    def drained(self) -> bool:
        """See ports."""
        return self._standing().drained

    def in_flight(self) -> dict[str, int]:
        """See ports."""
        return self._standing().in_flight

    def drain(self) -> None:
        """See ports."""
        if not self._stopping:
            self._stopping = True
            self._stop()


class Events:
    """Security events, and a line for each change."""

    def __init__(self, security: SecurityEvents, log: Log) -> None:
        self._security = security
        self._log = log

    def bad_token(self, client: str) -> None:
        """See ports."""
        self._security.bad_token(client)

    def changed(self, client: str, operation: str, target: dict[str, str]) -> None:
        """See ports."""
        self._log.info("admin", operation=operation, client=client, target=target)


def _no_rule() -> ports.NotThere:
    return ports.NotThere("There is no rate rule with this id; /api/v1/limits lists those that there are.")


def _found(do: Callable[[], _Found]) -> _Found:
    try:
        return do()
    except KeyError:
        raise _no_rule() from None


async def _asked(asking: Awaitable[_Found]) -> _Found:
    try:
        return await asking
    except KeyError:
        raise _no_rule() from None
    except Unavailable:
        raise ports.Unavailable("The shared state does not answer, so this cannot be done now.") from None
