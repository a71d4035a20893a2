"""A gateway's insides as the admin API sees them, in memory: small, but it really opens, blocks and forgets."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from gateway.admin.ports import (
    Blocked,
    Breaker,
    Cap,
    NotThere,
    Ports,
    Rule,
    Standing,
    Unavailable,
)
from gateway.rules.breaker import CLOSED, BreakerRule, Circuit
from tests.admin.flags import flags
from tests.admin.memory_cache import MemoryCache
from tests.admin.memory_watch import MemoryLevels, MemoryWatch

RULE = "ingress/generate/daily"


class MemoryBreakers:
    def __init__(self, *names: str) -> None:
        self.circuits = {name: Circuit(BreakerRule()) for name in names}
        self.now = 1000.0

    def all(self) -> list[Breaker]:
        return [self._shown(name) for name in self.circuits]

    def open(self, name: str) -> Breaker:
        self._find(name).force_open()
        return self._shown(name)

    def close(self, name: str) -> Breaker:
        self._find(name).close(self.now)
        return self._shown(name)

    reset = close

    def _find(self, name: str) -> Circuit:
        if name not in self.circuits:
            raise NotThere("There is no such breaker.")
        return self.circuits[name]

    def _shown(self, name: str) -> Breaker:
        circuit, rule = self.circuits[name], self.circuits[name].rule
        state = circuit.state(self.now)
        return Breaker(
            name=name,
            state=("closed", "half_open", "open")[state],  # type: ignore[typeddict-item]
            held=circuit.held,
            failures=circuit.failures_in_a_row,
            successes=circuit.probes_succeeded,
            retry_after=None if state == CLOSED else circuit.retry_after(self.now),
            settings={
                "failures": rule.failures,
                "reset": rule.reset,
                "successes": rule.successes,
                "statuses": [],
                "share": rule.share,
                "window": rule.window,
                "min_calls": rule.min_calls,
            },
        )


class MemoryLimits:
    """One rate rule of 10 tokens, one cap."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self.blocks: dict[str, Blocked] = {}
        self.up = True

    def rules(self) -> list[Rule]:
        counts = dict.fromkeys(("allowed", "refused", "blocked", "shadow_refused", "skipped", "fallback"), 0)
        return [
            Rule(
                id=RULE,
                listener="ingress",
                route="generate",
                name="daily",
                limit=10,
                period=86400.0,
                calendar=None,
                burst=10,
                by=["header:X-User-Id"],
                shared=False,
                mode="local",
                shadow=False,
                block={"after": 20, "within": 60.0, "seconds": 600.0},
                counts=counts,  # type: ignore[typeddict-item]
            )
        ]

    def caps(self) -> list[Cap]:
        return [
            Cap(
                id="route/generate",
                scope="route",
                name="generate",
                limit=25,
                in_flight=3,
                queued=0,
                queue=50,
                wait=1.0,
                by=[],
                shared=False,
                adaptive=False,
                counts={"admitted": 3, "refused": 0, "timed_out": 0},
            )
        ]

    def blocked(self) -> list[Blocked]:
        return list(self.blocks.values())

    def block(self, key: str, rule: str | None, seconds: float, reason: str) -> list[Blocked]:
        self._check(rule or RULE)
        self.blocks[key] = Blocked(key=key, rule=RULE, expires_in=seconds, reason=reason, by_hand=True)
        return [self.blocks[key]]

    def unblock(self, key: str, rule: str | None) -> int:
        self._check(rule or RULE)
        return 0 if self.blocks.pop(key, None) is None else 1

    async def standing(self, rule: str, key: str) -> Standing:
        self._check(rule)
        used = self.used.get(key, 0)
        return Standing(
            rule=rule,
            key=key,
            known=key in self.used,
            limit=10,
            remaining=10 - used,
            reset=8640.0 * used,
            blocked=self.blocks.get(key),
        )

    async def reset(self, rule: str, key: str | None) -> int:
        self._check(rule)
        if not self.up:
            raise Unavailable("The shared state does not answer.")
        keys = list(self.used) if key is None else [key] * (key in self.used)
        for forgotten in keys:
            del self.used[forgotten]
        return len(keys)

    def _check(self, rule: str) -> None:
        if rule != RULE:
            raise NotThere("There is no such rule.")


class MemoryConfig:
    def shown(self) -> dict[str, Any]:
        return {"upstreams": {"app": {"url": "http://127.0.0.1:3000", "api_key": "(hidden)"}}}


class MemoryProcess:
    def __init__(self) -> None:
        self.phase = "ready"
        self.instance = token_hex(8)
        self.drained = False
        self.under_way = {"ingress": 2, "egress": 1}

    def in_flight(self) -> dict[str, int]:
        return self.under_way

    def drain(self) -> None:
        self.phase = "draining"


class MemoryEvents:
    def __init__(self) -> None:
        self.bad_tokens: list[str] = []
        self.changes: list[tuple[str, str, dict[str, str]]] = []

    def bad_token(self, client: str) -> None:
        self.bad_tokens.append(client)

    def changed(self, client: str, operation: str, target: dict[str, str]) -> None:
        self.changes.append((client, operation, target))


class Insides:
    """All of it."""

    def __init__(self) -> None:
        self.breakers = MemoryBreakers("app", "pay/ment", "öffentlich %")
        self.limits = MemoryLimits()
        self.cache = MemoryCache()
        self.flags = flags()
        self.watch = MemoryWatch()
        self.levels = MemoryLevels()
        self.process = MemoryProcess()
        self.events = MemoryEvents()

    @property
    def ports(self) -> Ports:
        return Ports(
            self.breakers,
            self.limits,
            MemoryConfig(),
            self.process,
            self.events,
            self.cache,
            self.flags,
            self.watch,
            self.levels,
        )
