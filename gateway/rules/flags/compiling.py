"""What a compiler of definitions carries along: whom it reads, what it found wrong, and how it takes values apart.

A definition may come from a file, from an operator or from another system, so it may be anything that JSON can say.
What is wrong is noted with its place and compiled into what never holds: whoever must not take a wrong definition
looks at the notes, and whoever must go on with it has it off there, as Unleash's clients do.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from gateway.rules.flags.context import KNOWN, SHORT

Place = tuple[str | int, ...]

#: Mistakes in which a key that may have been meant is looked for: that takes a while.
_SUGGESTED = 20

_T = TypeVar("_T")
#: A long computation, step by step, so that whoever does it may do other things in between.
Steps = Generator[None, None, _T]


class Wrong(NamedTuple):
    """One thing wrong, at a place in what was compiled: keys and indices from its root."""

    at: Place
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.at))}: {self.message}"


class Notes:
    """What was found wrong, and the context's fields that are read.

    `known` tells which properties there are; without it there may be any.
    """

    __slots__ = ("_known", "fields", "wrong")

    def __init__(self, known: Callable[[str], bool] | None = None) -> None:
        self._known = known
        self.wrong: list[Wrong] = []
        self.fields: set[str] = set()

    def refuse(self, at: Place, message: str) -> None:
        """Note what is wrong at a place."""
        self.wrong.append(Wrong(at, message))

    def reads(self, name: str, at: Place) -> None:
        """Note that a field is read, and what is none."""
        self.fields.add(name)
        if self._known is not None and name not in KNOWN and not self._known(name):
            self.refuse(at, f"nothing of a request is called {shown(name)}")

    def field(self, given: Mapping[str, Any], at: Place) -> str | None:
        """The field that a constraint or an override is about: by its own name, or, as `field`, by a shorter one too.

        None, and noted, where none is named.
        """
        key = "contextName" if "contextName" in given else "field"
        name = as_text(given.get(key))
        if not name:
            self.refuse(at, "field is missing: what of a request this is about")
            return None
        name = SHORT.get(name, name) if key == "field" else name
        self.reads(name, (*at, key))
        return name

    def stickiness(self, given: Mapping[str, Any], at: Place, short: Mapping[str, str] | None = None) -> str:
        """What tells somebody: `default`, `random`, or a field, for some by a shorter name too."""
        name = as_text(given.get("stickiness")) or "default"
        name = name if short is None else short.get(name, name)
        if name not in ("default", "random"):
            self.reads(name, (*at, "stickiness"))
        return name

    def mapping(self, raw: object, at: Place, known: frozenset[str] | None = None) -> Mapping[str, Any]:
        """A mapping, of known keys only where these are given; an empty one in place of anything else."""
        if not isinstance(raw, Mapping):
            self.refuse(at, f"a mapping is wanted, not {shown(raw)}")
            return {}
        for key in raw if known is not None else ():
            if key not in (known or ()):
                near = get_close_matches(str(key), known or (), 1) if len(self.wrong) < _SUGGESTED else []
                self.refuse((*at, str(key)), "no such key" + (f"; is it {near[0]}?" if near else ""))
        return raw

    def items(self, raw: object, at: Place) -> Sequence[Any]:
        """A list; an empty one in place of nothing, or of anything else."""
        if raw is None:
            return ()
        if isinstance(raw, (list, tuple)):
            return raw
        self.refuse(at, f"a list is wanted, not {shown(raw)}")
        return ()

    def texts(self, raw: object, at: Place) -> tuple[str, ...]:
        """A list of texts, numbers among them taken as they are written."""
        found = []
        for number, one in enumerate(self.items(raw, at)):
            text = as_text(one)
            if text is None:
                self.refuse((*at, number), f"a text is wanted, not {shown(one)}")
            else:
                found.append(text)
        return tuple(found)

    def flag(self, raw: object, at: Place, unset: bool) -> bool:
        """True or false; `unset` in place of nothing, false in place of anything else."""
        if raw is None:
            return unset
        if not isinstance(raw, bool):
            self.refuse(at, f"true or false is wanted, not {shown(raw)}")
            return False
        return raw


def at_once(steps: Steps[_T]) -> _T:
    """What all steps together come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: _T = end.value
            return value


def same(one: object, other: object) -> bool:
    """Whether two definitions, or parts of such, are written alike; true, 1 and 1.0 are equal and no such thing."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(key in other and same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def as_text(raw: object) -> str | None:
    """A scalar as it is written; None for what is none."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw) if isinstance(raw, (int, float)) else None


def shown(raw: object) -> str:
    """A value in a message, short."""
    text = repr(raw) if isinstance(raw, (str, int, float, bool, type(None))) else type(raw).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
