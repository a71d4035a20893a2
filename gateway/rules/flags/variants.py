"""Which variant somebody gets: by name, or by weight, as Unleash draws it.

The draw is a hash of its own (`bucket.VARIANT_SEED`), so that who is first in a share is not always in the first
variant. Who lacks what the draw is by draws anew with each request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

from gateway.rules.flags.answer import SPLIT, TARGETING, Answer, Variant, payload
from gateway.rules.flags.bucket import VARIANT_SEED, hashed, sticky
from gateway.rules.flags.compiling import Notes, Place, as_text, shown
from gateway.rules.flags.context import Asked, Read, reader

#: A weight is at most this; Unleash's add up to 1000.
HEAVIEST = 100_000

_KEYS = frozenset({"name", "weight", "weightType", "stickiness", "payload", "overrides"})
_OVERRIDE = frozenset({"contextName", "field", "values"})


class _Override(NamedTuple):
    read: Read
    values: frozenset[str]
    answer: Answer


class Variants:
    """The variants of a flag or of one of its strategies; false when none can be drawn."""

    __slots__ = ("_answers", "_overrides", "_prefix", "_sums", "_who", "stickiness", "total")

    def __init__(self, raw: object, group: str, stickiness: str, at: Place, notes: Notes, *, by_rule: str) -> None:
        """`stickiness` is for variants that do not name their own; `by_rule` why a flag with one variant is on."""
        self._overrides: list[_Override] = []
        self._answers: list[Answer] = []
        named: set[str] = set()
        weights: list[int] = []
        listed = notes.items(raw, at)
        for number, one in enumerate(listed):
            given = notes.mapping(one, (*at, number), _KEYS)
            weight = self._weight(given, (*at, number), notes)
            variant = self._variant(given, (*at, number), notes)
            if variant is None:
                continue
            if variant.name in named:
                notes.refuse((*at, number, "name"), f"another variant is called {shown(variant.name)} too")
            named.add(variant.name)
            self._answers.append(Answer(True, SPLIT if len(listed) > 1 else by_rule, variant))
            weights.append(weight)
            self._override(given.get("overrides"), variant, (*at, number, "overrides"), notes)
        self._sums = list(accumulate(weights))
        #: The sum of all weights.
        self.total = self._sums[-1] if self._sums else 0
        if listed and not self.total:
            notes.refuse(at, "no variant has a weight")
        first = listed[0] if listed and isinstance(listed[0], Mapping) else {}
        #: What tells somebody: the first variant's word is all variants'.
        self.stickiness = notes.stickiness(first, (*at, 0)) if first.get("stickiness") else stickiness
        self._prefix, self._who = f"{group}:", sticky(self.stickiness)

    def __bool__(self) -> bool:
        return self.total > 0

    def choose(self, asked: Asked) -> Answer:
        """What a request gets, that the flag is on for."""
        for override in self._overrides:
            if override.read(asked) in override.values:
                return override.answer
        if len(self._sums) == 1:
            return self._answers[0]
        return self._answers[bisect_left(self._sums, self.drawn(asked))]

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(answer.variant.name for answer in self._answers if answer.variant is not None)

    def is_named(self, asked: Asked) -> bool:
        """Whether an override names the request, so that nothing is drawn."""
        return any(one.read(asked) in one.values for one in self._overrides)

    def drawn(self, asked: Asked) -> int:
        """The draw: 1 to `total`."""
        return hashed(self._prefix, self._who(asked) or asked.random, VARIANT_SEED) % self.total + 1

    @staticmethod
    def _variant(given: Mapping[str, object], at: Place, notes: Notes) -> Variant | None:
        name = as_text(given.get("name"))
        if not name:
            notes.refuse(at, "a variant wants a name")
            return None
        return Variant(name, payload(given.get("payload"), (*at, "payload"), notes))

    @staticmethod
    def _weight(given: Mapping[str, object], at: Place, notes: Notes) -> int:
        raw = given.get("weight", 0)
        weight = int(raw) if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < 9 else raw
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= HEAVIEST:
            notes.refuse((*at, "weight"), f"a weight is a whole number of 0 to {HEAVIEST}, not {shown(raw)}")
            return 0
        return weight

    def _override(self, raw: object, variant: Variant, at: Place, notes: Notes) -> None:
        for number, one in enumerate(notes.items(raw, at)):
            given = notes.mapping(one, (*at, number), _OVERRIDE)
            name = notes.field(given, (*at, number))
            values = notes.texts(given.get("values"), (*at, number, "values"))
            if name is None:
                continue
            self._overrides.append(_Override(reader(name), frozenset(values), Answer(True, TARGETING, variant)))
