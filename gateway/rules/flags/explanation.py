"""Why a flag says what it says to somebody: what was asked, in which order, and what decided.

It asks the very tests that evaluating asks, so the two cannot disagree. What a context holds appears in it, cut
short: it is for the context that an operator gives, not for a client's request.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.rules.flags.answer import NO_RULE, OFF, Answer
from gateway.rules.flags.bucket import PARTS, place
from gateway.rules.flags.constraint import Condition
from gateway.rules.flags.context import Asked
from gateway.rules.flags.flag import Flag, says
from gateway.rules.flags.strategy import Draw, Strategy
from gateway.rules.flags.variants import Variants

#: Characters of a value that are shown.
_LONGEST = 64


class Check(NamedTuple):
    """One thing that was asked; `found` is what the context had there, None where it had nothing."""

    said: str
    met: bool
    found: str | None = None


class Bucket(NamedTuple):
    """Where somebody stands, from 0 to 100, and below what one must be; None where nobody could be told."""

    group: str
    stickiness: str
    who: str | None
    place: float | None
    below: float


class Tried(NamedTuple):
    """One strategy: its conditions as far as they were asked, and its bucket if these were met."""

    strategy: str
    met: bool
    checks: tuple[Check, ...]
    bucket: Bucket | None = None


class DrawnVariant(NamedTuple):
    """How a variant was drawn: 1 to `of`, or by name alone where `drawn` is None."""

    variant: str
    stickiness: str
    drawn: int | None
    of: int


class Explanation(NamedTuple):
    """The answer, the one sentence that it comes down to, and everything that was asked."""

    flag: str
    answer: Answer
    because: str
    prerequisites: tuple[Check, ...] = ()
    guards: tuple[Check, ...] = ()
    strategies: tuple[Tried, ...] = ()
    variant: DrawnVariant | None = None


def why(flag: Flag, asked: Asked) -> Explanation:
    """What a flag says to a request, and how it comes to that."""
    if not flag.enabled:
        return Explanation(flag.name, OFF, "it is not enabled")
    if flag.broken:
        return Explanation(flag.name, NO_RULE, flag.broken)
    parents: list[Check] = []
    for one in flag.prerequisites:
        answer = flag.parent(one.flag).evaluate(asked)
        said = answer.variant.name if answer.variant else "on" if answer.on else "off"
        parents.append(Check(str(one), one.met(answer), said))
        if not parents[-1].met:
            return Explanation(flag.name, NO_RULE, f"not met: {one}", tuple(parents))
    guards = _checks(flag.guards, asked)
    if guards and not guards[-1].met:
        return Explanation(flag.name, NO_RULE, f"not met: {guards[-1].said}", tuple(parents), guards)
    tried: list[Tried] = []
    for number, strategy in enumerate(flag.strategies, 1):
        tried.append(_tried(strategy, asked))
        if tried[-1].met:
            answer, choose = says(strategy, flag.variants)
            because = f"strategy {number}, {strategy.name}, is met"
            drawn = None
            if choose is not None:
                answer = choose(asked)
                drawn = _drawn(strategy.variants or flag.variants, answer, asked)
            return Explanation(flag.name, answer, because, tuple(parents), guards, tuple(tried), drawn)
    because = "no strategy is met" if tried else "it is for nobody"
    return Explanation(flag.name, NO_RULE, because, tuple(parents), guards, tuple(tried))


def plain(found: object) -> object:
    """An explanation, or a part of one, as what JSON can say."""
    if not isinstance(found, tuple):
        return found
    names = getattr(found, "_fields", None)
    parts = [plain(one) for one in found]
    return parts if names is None else dict(zip(names, parts, strict=True))


def _checks(conditions: tuple[Condition, ...], asked: Asked) -> tuple[Check, ...]:
    """These up to the first that is not met."""
    found: list[Check] = []
    for one in conditions:
        found.append(Check(one.said, one.test(asked), _short(one.read(asked)) if one.read else None))
        if not found[-1].met:
            break
    return tuple(found)


def _tried(strategy: Strategy, asked: Asked) -> Tried:
    checks = _checks(strategy.conditions, asked)
    if checks and not checks[-1].met:
        return Tried(strategy.name, False, checks)
    met = strategy.test is None or strategy.test(asked)
    return Tried(strategy.name, met, checks, _bucket(strategy.draw, asked) if strategy.draw else None)


def _bucket(draw: Draw, asked: Asked) -> Bucket:
    who = draw.who(asked) or None
    stands = None if who is None else place(draw.group, who) / PARTS
    return Bucket(draw.group, draw.stickiness, _short(who), stands, draw.parts / PARTS)


def _drawn(variants: Variants | None, answer: Answer, asked: Asked) -> DrawnVariant | None:
    if variants is None or answer.variant is None:
        return None
    drawn = None if variants.is_named(asked) else variants.drawn(asked)
    return DrawnVariant(answer.variant.name, variants.stickiness, drawn, variants.total)


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
