"""Constraints: one field of the context compared with what a definition says, by Unleash's operators.

A field that is missing, or that cannot be read as what the operator compares, meets none of them but NOT_IN;
`inverted` turns the answer round, that one too. A constraint that is itself wrong is never met, inverted or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter, eq, ge, gt, le, lt
from typing import Any, NamedTuple

from gateway.rules.flags import addresses, instant, pattern, semver
from gateway.rules.flags.bucket import Test
from gateway.rules.flags.compiling import Notes, Place, as_text, shown
from gateway.rules.flags.context import Asked, Read, reader

_KEYS = frozenset(
    {"contextName", "field", "operator", "value", "values", "inverted", "caseInsensitive", "case_insensitive"}
)
_STRINGS = ("STR_STARTS_WITH", "STR_ENDS_WITH", "STR_CONTAINS")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "NUM_EQ": eq, "NUM_GT": gt, "NUM_GTE": ge, "NUM_LT": lt, "NUM_LTE": le,
    "SEMVER_EQ": eq, "SEMVER_GT": gt, "SEMVER_GTE": ge, "SEMVER_LT": lt, "SEMVER_LTE": le,
    "DATE_AFTER": gt, "DATE_BEFORE": lt,
}  # fmt: skip
_LISTS = ("IN", "NOT_IN", "IN_CIDR", *_STRINGS)

#: Every operator there is.
OPERATORS = frozenset({*_LISTS, *_COMPARE, "REGEX"})

_number = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?\s*", re.ASCII).fullmatch


# So many values are remembered as read, by each constraint; longer ones are no number, date or version.
_REMEMBERED, _LONGEST = 128, 256


class Condition(NamedTuple):
    """Something that a request meets or does not, in words too; `read` is what it is about."""

    test: Test
    said: str
    read: Read | None = None


def never(said: str) -> Condition:
    """What nobody meets."""
    return Condition(_never, said)


def conditions(raw: object, at: Place, notes: Notes) -> tuple[Condition, ...]:
    """A list of constraints, all of which must be met."""
    return tuple(condition(one, (*at, number), notes) for number, one in enumerate(notes.items(raw, at)))


def condition(raw: object, at: Place, notes: Notes) -> Condition:
    """One constraint."""
    given = notes.mapping(raw, at, _KEYS)
    name = notes.field(given, at)
    operator = as_text(given.get("operator"))
    if name is None:
        return never("a constraint about nothing")
    if operator is None or operator not in OPERATORS:
        notes.refuse((*at, "operator"), f"no operator is called {shown(given.get('operator'))}")
        return never(f"{name} {operator}, which is no operator")
    inverted = notes.flag(given.get("inverted"), (*at, "inverted"), False)
    ignore_case = _ignores_case(given, operator, at, notes)
    read = reader(name)
    if operator in _LISTS:
        if "values" not in given:
            notes.refuse(at, f"{operator} wants values")
        values = notes.texts(given.get("values"), (*at, "values"))
        test, wanted = _listed(operator, read, values, ignore_case, (*at, "values"), notes), f"[{', '.join(values)}]"
    else:
        value = as_text(given.get("value"))
        wanted = value if value is not None else "nothing"
        test = _single(operator, name, value, ignore_case, (*at, "value"), notes)
    said = f"{name} {'not ' if inverted else ''}{operator} {wanted}{', in either case' if ignore_case else ''}"
    if test is None:
        return never(f"{said}, which is wrong")
    return Condition(_inverted(test) if inverted else test, said, read)


def _ignores_case(given: Mapping[str, Any], operator: str, at: Place, notes: Notes) -> bool:
    key = "case_insensitive" if "case_insensitive" in given else "caseInsensitive"
    asked = notes.flag(given.get(key), (*at, key), False)
    if asked and operator not in (*_STRINGS, "REGEX"):
        notes.refuse((*at, key), f"{operator} compares exactly")
        return False
    return asked


def _listed(
    operator: str, read: Read, values: tuple[str, ...], ignore_case: bool, at: Place, notes: Notes
) -> Test | None:
    if operator in ("IN", "NOT_IN"):
        wanted = frozenset(values)
        if operator == "IN":
            return lambda asked: read(asked) in wanted
        return lambda asked: read(asked) not in wanted
    if operator == "IN_CIDR":
        return addresses.inside(read, addresses.networks(values, at, notes))
    if ignore_case:
        values = tuple(value.lower() for value in values)
    find = _finder(operator, values)

    def test(asked: Asked) -> bool:
        found = read(asked)
        return found is not None and find(found.lower() if ignore_case else found)

    return test


def _finder(operator: str, values: tuple[str, ...]) -> Callable[[str], bool]:
    if operator == "STR_STARTS_WITH":
        return lambda text: text.startswith(values)
    if operator == "STR_ENDS_WITH":
        return lambda text: text.endswith(values)
    return lambda text: any(value in text for value in values)


def _single(operator: str, name: str, value: str | None, ignore_case: bool, at: Place, notes: Notes) -> Test | None:
    if value is None:
        notes.refuse(at, f"{operator} wants a value")
        return None
    read = reader(name)
    if operator == "REGEX":
        try:
            search = pattern.compiled(value, ignore_case=ignore_case)
        except ValueError as error:
            notes.refuse(at, str(error))
            return None
        return lambda asked: (found := read(asked)) is not None and search(found)
    kind = operator.partition("_")[0]
    wanted = None if len(value) > _LONGEST else _PARSERS[kind](value)
    if wanted is None:
        notes.refuse(at, f"{shown(value)} is no {_KINDS[kind]}")
        return None
    compare = _COMPARE[operator]
    if kind == "DATE" and name == "currentTime":
        now = attrgetter("now")
        return lambda asked: compare(now(asked), wanted)
    parse = lru_cache(_REMEMBERED)(_PARSERS[kind])

    def test(asked: Asked) -> bool:
        text = read(asked)
        found = None if text is None or len(text) > _LONGEST else parse(text)
        return found is not None and compare(found, wanted)

    return test


def _as_number(text: str) -> float | None:
    return float(text) if _number(text) else None


_PARSERS: dict[str, Callable[[str], Any]] = {"NUM": _as_number, "SEMVER": semver.parse, "DATE": instant.parse}
_KINDS = {"NUM": "number", "SEMVER": "version", "DATE": "date"}


def _inverted(test: Test) -> Test:
    return lambda asked: not test(asked)


def _never(asked: Asked) -> bool:  # noqa: ARG001 - whoever asks
    return False
