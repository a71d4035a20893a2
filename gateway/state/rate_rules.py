"""The rate rules of a running gateway: what of them outlives a reload, and what the admin API asks and changes.

A rule is known by its id, `ingress/ROUTE/NAME`, or `ingress//NAME` where it is the listener's own. Its counts, its
blocked keys and its tokens are that id's, whatever its settings were before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from enum import Enum
from time import monotonic
from typing import Any, Protocol

from gateway.rules.gcra import Rate, Standing
from gateway.rules.offenders import Blocked as Block
from gateway.rules.offenders import BlockRule, Offenders
from gateway.rules.rate_key import Term, given, is_constant
from gateway.state.ports import Buckets, Charge, Limit, SharedBuckets, Spendings, Unavailable


class Shared(SharedBuckets, Protocol):
    """The shared state, and whether it can be asked."""

    @property
    def up(self) -> bool:
        """False while nobody is to ask it."""

    @property
    def replicas(self) -> int:
        """How many gateways share it; learned while it was up, at least 1."""


class Leases(Protocol):
    """Tokens of the shared state that this process has taken ahead of need: see leases.py."""

    def check(self, charges: Sequence[Charge], now: float) -> list[Standing] | None:
        """As `Buckets.take`, without asking anybody; None when only `wait` can tell."""

    def spend(self, wanted: Spendings, asked: Any, names: list[bytes], now: float) -> list[int] | None:
        """As `Buckets.spend`; None also when only `wait` can tell."""

    async def wait(self, charges: Sequence[Charge]) -> list[Standing]:
        """As `check`, after the answer that it takes. Raises Unavailable."""

    def give_back(self, charges: Sequence[Charge], age: float = 0.0) -> None:
        """As `Buckets.give_back`."""

    def forget(self, limit: Limit, key: bytes | None) -> int:
        """Drop what is held of a key, or with None of all the rule's."""


class Way(Enum):
    """Where a rule's tokens are."""

    #: In this process.
    LOCAL = "local"
    #: In the shared state, which each request asks.
    EXACT = "exact"
    #: In the shared state, from which this process takes them in batches.
    LEASED = "leased"


class Counts:
    """What a rule has decided so far. `route` is the listener's name for its own rules.

    `fallback` counts those of the others that were decided by this replica's share, the shared state being gone.
    """

    __slots__ = ("allowed", "blocked", "fallback", "name", "refused", "route", "shadow_refused", "skipped")

    def __init__(self, route: str, name: str) -> None:
        self.route = route
        self.name = name
        self.allowed = self.refused = self.blocked = self.shadow_refused = self.skipped = self.fallback = 0


class RunningRule:
    """A rule as it is now."""

    __slots__ = (
        "_share",
        "block",
        "by",
        "counts",
        "id",
        "limit",
        "listener",
        "name",
        "route",
        "settings",
        "way",
        "words",
    )

    def __init__(
        self,
        limit: Limit,
        counts: Counts,
        way: Way,
        *,
        listener: str = "ingress",
        route: str | None = None,
        block: BlockRule | None = None,
        words: str = "",
        settings: dict[str, Any] | None = None,
        by: Sequence[Term] = (),
    ) -> None:
        self.id = limit.id
        self.listener = listener
        #: None where it is the listener's own.
        self.route = route
        self.name = counts.name
        self.limit = limit
        self.counts = counts
        self.way = way
        self.block = block
        #: What its keys are made of.
        self.by = tuple(by)
        #: Its settings for people, and for programs.
        self.words = words
        self.settings = settings or {}
        self._share = (1, limit)

    def share(self, replicas: int) -> Limit:
        """This replica's part of the limit: a rate so many times slower, its burst at least one token."""
        known, limit = self._share
        if known != replicas:
            limit = _share(self.limit, max(1, replicas))
            self._share = (replicas, limit)
        return limit


def _share(limit: Limit, replicas: int) -> Limit:
    rate = limit.rate
    if limit.calendar is None:
        own = Rate(rate.limit, rate.period * replicas, max(1, rate.burst // replicas))
    else:
        least = max(1, rate.limit // replicas)
        own = Rate(least, rate.period, least)
    return Limit(limit.id, own, calendar=limit.calendar, shadow=limit.shadow)


class RateLimits:
    """All rate rules, and where their tokens are. `fallback` stands in for `shared` while that is not up.

    Whatever is asked by a rule's id raises KeyError when there is none of it. Keys are those that `rate_key` makes.
    """

    def __init__(
        self,
        local: Buckets,
        fallback: Buckets,
        shared: Shared | None = None,
        leases: Leases | None = None,
        offenders: Offenders | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.local = local
        self.fallback = fallback
        self.shared = shared
        self.leases = leases
        self.offenders = Offenders() if offenders is None else offenders
        self.clock = clock
        #: How long a request waits for the shared state, all its questions together, in seconds.
        self.patience = 0.05
        self._by_listener: dict[str, dict[str, RunningRule]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- as the config changes

    def counts(self, rule: str, route: str, name: str) -> Counts:
        """The counts of a rule's id so far."""
        running = self._by_listener.get(rule.partition("/")[0], {}).get(rule)
        return Counts(route, name) if running is None else running.counts

    def install(self, listener: str, rules: Sequence[RunningRule]) -> None:
        """From here on these are a listener's rules; the counts and blocks of those that are gone go too."""
        before = self._by_listener.get(listener, {})
        after = {rule.id: rule for rule in rules}
        self._by_listener[listener] = after
        for blocked in self.offenders.blocked(self.clock()):
            rule = _rule_of(blocked)
            if rule in before and rule not in after:
                self.offenders.lift(blocked.name)

    # ---- what the admin API asks

    def rules(self) -> list[RunningRule]:
        """Every rule, in the config's order."""
        return [rule for rules in self._by_listener.values() for rule in rules.values()]

    def described(self) -> list[dict[str, Any]]:
        """Every rule, in the config's order: its settings and its counts."""
        return [_described(rule) for rule in self.rules()]

    def blocked(self) -> list[dict[str, Any]]:
        """Every blocked key, the first to be free first."""
        now = self.clock()
        listed = [_blocked(block, now) for block in self.offenders.blocked(now)]
        return sorted(listed, key=lambda one: float(one["expires_in"]))

    def block(self, key: str, rule: str | None, seconds: float, reason: str) -> list[dict[str, Any]]:
        """Block a key by hand, with one rule or with every one that can refuse; the blocks made."""
        now = self.clock()
        chosen = self.rules() if rule is None else [self._rule(rule)]
        return [
            _blocked(self.offenders.block(one.limit.prefix + given(one.by, key), now + seconds, reason, now), now)
            for one in chosen
            if not one.limit.shadow and not (rule is None and one.by and is_constant(one.by))
        ]

    def unblock(self, key: str, rule: str | None) -> int:
        """Lift the blocks of a key; how many there were."""
        chosen = self.rules() if rule is None else [self._rule(rule)]
        return sum(self.offenders.lift(one.limit.prefix + given(one.by, key)) for one in chosen)

    async def standing(self, rule: str, key: str) -> dict[str, Any]:
        """How a key stands. Raises Unavailable where the shared state would know and cannot be asked."""
        running, now = self._rule(rule), self.clock()
        raw = given(running.by, key)
        if running.way is Way.LOCAL:
            found = self.local.look(running.limit, raw, now)
        else:
            found = await self._asked().look(running.limit, raw)
        name = running.limit.prefix + raw
        held = [_blocked(one, now) for one in self.offenders.blocked(now) if one.name == name]
        return {
            "rule": rule,
            "key": key,
            "known": found is not None,
            "limit": running.limit.rate.limit,
            "remaining": running.limit.rate.burst if found is None else found.remaining,
            "reset": 0.0 if found is None else found.reset,
            "blocked": held[0] if held else None,
        }

    async def reset(self, rule: str, key: str | None) -> int:
        """Forget what a key has used, or with None what every key has; of how many. Raises Unavailable as above."""
        running = self._rule(rule)
        raw = None if key is None else given(running.by, key)
        gone = self.local.forget(running.limit, raw) + self.fallback.forget(running.limit, raw)
        if self.leases is not None:
            self.leases.forget(running.limit, raw)
        if running.way is not Way.LOCAL:
            gone = await self._asked().forget(running.limit, raw)
        return gone

    # ---- what nobody waits for

    def force_shared(self, rule: RunningRule, charge: Charge) -> None:
        """Charge the shared state, or the local share, with what has been used already."""
        self._hold(self._force(rule, charge))

    def give_back_shared(self, charges: Sequence[Charge], age: float) -> None:
        """Undo what the shared state was charged `age` seconds ago."""
        self._hold(self._give_back(charges, age))

    async def _give_back(self, charges: Sequence[Charge], age: float) -> None:
        if self.shared is not None and self.shared.up:
            with suppress(Unavailable):
                await self.shared.give_back(charges, age)

    async def _force(self, rule: RunningRule, charge: Charge) -> None:
        shared = self.shared
        if shared is not None and shared.up:
            try:
                await shared.force(charge)
            except Unavailable:
                pass
            else:
                return
        replicas = 1 if shared is None else shared.replicas
        self.fallback.force(Charge(rule.share(replicas), charge.key, charge.cost), self.clock())

    def _hold(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- inside

    def _rule(self, rule: str) -> RunningRule:
        return self._by_listener.get(rule.partition("/")[0], {})[rule]

    def _asked(self) -> Shared:
        if self.shared is None or not self.shared.up:
            raise Unavailable("the shared state cannot be asked now")
        return self.shared


def _rule_of(block: Block) -> str:
    return block.name.partition(b"\x00")[0].rstrip(b"\x01").decode()


def _blocked(block: Block, now: float) -> dict[str, Any]:
    return {
        "key": block.name.partition(b"\x00")[2].decode("ascii", "backslashreplace"),
        "rule": _rule_of(block),
        "expires_in": max(0.0, block.until - now),
        "reason": block.reason,
        "by_hand": block.by_hand,
    }


def _described(rule: RunningRule) -> dict[str, Any]:
    counts = rule.counts
    return {
        "id": rule.id,
        "listener": rule.listener,
        "route": rule.route,
        "name": rule.name,
        **rule.settings,
        "shared": rule.way is not Way.LOCAL,
        "mode": rule.way.value,
        "counts": {
            decision: getattr(counts, decision)
            for decision in ("allowed", "refused", "blocked", "shadow_refused", "skipped", "fallback")
        },
    }
