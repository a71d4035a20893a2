"""One flag, compiled: what it says to a request, and how it comes to that.

A flag is on where it is enabled, its prerequisites are met, all its guards are, and one of its strategies is; without
any strategy it is on for everybody whom the guards let through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.rules.flags.answer import NO_RULE, OFF, Answer
from gateway.rules.flags.bucket import PARTS, Test, Usual, named_or_one_of, one_of
from gateway.rules.flags.constraint import Condition
from gateway.rules.flags.context import Asked
from gateway.rules.flags.strategy import Strategy
from gateway.rules.flags.variants import Variants

Evaluate = Callable[[Asked], Answer]
#: What most flags ask, and the answers of those who are named, in a group or in the share, and of everybody else.
Apart = tuple[Usual, tuple[Answer, Answer, Answer, Answer]]


class Prerequisite(NamedTuple):
    """Another flag and what it must say: on, and as one of these variants if any are named, or off."""

    flag: str
    on: bool = True
    variants: frozenset[str] = frozenset()

    def __str__(self) -> str:
        as_one_of = f" as one of [{', '.join(sorted(self.variants))}]" if self.variants else ""
        return f"{self.flag} is {'on' if self.on else 'off'}{as_one_of}"

    def met(self, answer: Answer) -> bool:
        """Whether that is what it says. One without a variant says `disabled`, as Unleash's clients name it."""
        if answer.on is not self.on:
            return False
        if not self.on or not self.variants:
            return True
        return (answer.variant.name if answer.variant else "disabled") in self.variants


class Flag:
    """A flag of a set, in which its prerequisites are looked up. `evaluate` is the whole of it for one request."""

    __slots__ = (
        "_alone", "_set", "broken", "enabled", "evaluate", "guards", "name", "prerequisites", "strategies", "usual",
        "variants",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        enabled: bool,
        *,
        guards: tuple[Condition, ...] = (),
        strategies: tuple[Strategy, ...] = (),
        variants: Variants | None = None,
        prerequisites: tuple[Prerequisite, ...] = (),
        broken: str = "",
    ) -> None:
        self.name, self.enabled, self.guards, self.strategies = name, enabled, guards, strategies
        self.variants, self.prerequisites = variants, prerequisites
        #: Why it can never be on, where its prerequisites are impossible.
        self.broken = broken
        self.evaluate: Evaluate = _off
        #: The same taken apart, where it is what most flags are.
        self.usual: Apart | None = None
        # What it says where its prerequisites are met, and these.
        self._alone: Evaluate | None = None
        self._set: Mapping[str, Flag] = {}

    def bind(self, among: Mapping[str, Flag], broken: str = "") -> None:
        """Make it ready, its prerequisites first; those of a set must not go round in a circle.

        `broken` is why it can never be on among these.
        """
        self.broken = self.broken or broken
        # These alone: a set that is no more must not be held by those of its flags that are still the same.
        self._set = {one.flag: among[one.flag] for one in self.prerequisites if one.flag in among}
        if not self.enabled or self.broken:
            self.evaluate = _never if self.enabled else _off
            return
        if self._alone is None:
            self._alone = _ruled(self.strategies, self.variants)
            if self.guards:
                self._alone = _guarded(tuple(one.test for one in self.guards), self._alone)
        self.evaluate = self._alone
        plain = not (
            self.guards or self.prerequisites or self.variants or any(one.variants for one in self.strategies)
        )
        self.usual = _apart(self.strategies) if plain else None
        if self.prerequisites:
            parents = [(one, among[one.flag].evaluate) for one in self.prerequisites]
            self.evaluate = _after(parents, self.evaluate)

    def unbound(self, broken: str) -> Flag:
        """The same for another set; `broken` is why its own definition never has it on."""
        made = Flag(
            self.name,
            self.enabled,
            guards=self.guards,
            strategies=self.strategies,
            variants=self.variants,
            prerequisites=self.prerequisites,
            broken=broken,
        )
        made._alone = self._alone
        return made

    def parent(self, name: str) -> Flag:
        """A prerequisite of this one."""
        return self._set[name]


def _off(asked: Asked) -> Answer:  # noqa: ARG001 - whoever asks
    return OFF


def _never(asked: Asked) -> Answer:  # noqa: ARG001 - whoever asks
    return NO_RULE


def _guarded(checks: tuple[Test, ...], evaluate: Evaluate) -> Evaluate:
    def decide(asked: Asked) -> Answer:
        for check in checks:
            if not check(asked):
                return NO_RULE
        return evaluate(asked)

    return decide


def _ruled(strategies: tuple[Strategy, ...], variants: Variants | None) -> Evaluate:
    if any(strategy.variants for strategy in strategies):
        return _each(strategies, variants)
    evaluate = _usual(strategies) or _each(strategies, None)
    if variants is None:
        return evaluate
    choose = variants.choose
    return lambda asked: choose(asked) if evaluate(asked).on else NO_RULE


def _usual(strategies: tuple[Strategy, ...]) -> Evaluate | None:
    """What most flags are, with no more calls than they need; None for what needs more."""
    *first, last = strategies or (None,)
    if last is None:
        return _never
    draw = last.draw if last.test is not None and not last.conditions else None
    if not first:
        if draw is not None:
            return one_of(draw.parts, draw.stickiness, draw.group, last.on, NO_RULE)
        if not last.conditions and last.test is None:
            answer = last.on
            return lambda asked: answer  # noqa: ARG005 - whoever asks
        return None
    apart = _apart(strategies)
    return None if apart is None else named_or_one_of(apart[0].users, apart[0].groups, *apart[0][2:], apart[1])


def _apart(strategies: tuple[Strategy, ...]) -> Apart | None:
    """Users and groups, in this order, before a whole share by `default`, taken apart; None for anything else."""
    if not strategies:
        return None
    *first, last = strategies
    draw = last.draw if last.test is not None and not last.conditions else None
    if draw is None or draw.stickiness != "default" or draw.parts % PARTS:
        return None
    names = [one.named for one in first]
    if None in names or len(names) > 2 or (len(names) == 2 and (first[0].name, first[1].name) != ("users", "groups")):
        return None
    users = frozenset().union(*(one[0] for one in names if one))
    groups = frozenset().union(*(one[1] for one in names if one))
    by_user, by_group = (first[0].on, first[-1].on) if first else (last.on, last.on)
    return Usual(users, groups, f"{draw.group}:", draw.parts // PARTS), (by_user, by_group, last.on, NO_RULE)


def _each(strategies: tuple[Strategy, ...], variants: Variants | None) -> Evaluate:
    """Whatever the strategies are, one after the other."""
    rules = tuple(
        (tuple(one.test for one in strategy.conditions), strategy.test, *says(strategy, variants))
        for strategy in strategies
    )

    def decide(asked: Asked) -> Answer:
        for tests, draw, answer, choose in rules:
            for test in tests:
                if not test(asked):
                    break
            else:
                if draw is None or draw(asked):
                    return answer if choose is None else choose(asked)
        return NO_RULE

    return decide


def _after(parents: list[tuple[Prerequisite, Evaluate]], evaluate: Evaluate) -> Evaluate:
    def decide(asked: Asked) -> Answer:
        for parent, says in parents:
            if not parent.met(says(asked)):
                return NO_RULE
        return evaluate(asked)

    return decide


def says(strategy: Strategy, variants: Variants | None) -> tuple[Answer, Evaluate | None]:
    """What a strategy that is met says: an answer, or what draws one; its own variants go before the flag's."""
    own = strategy.variants or variants
    return strategy.on, own.choose if own else None
