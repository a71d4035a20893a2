"""Flags that were compiled together, and their prerequisites among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.rules.flags.compiling import Notes, Place, Wrong, shown
from gateway.rules.flags.flag import Flag, Prerequisite

#: So many flags may be asked for one, those that it wants and those that these want, each as often as it is wanted.
MOST_ASKED = 64


class FlagSet(NamedTuple):
    """The flags by name, what is wrong with their definitions, and which fields of a context they read."""

    flags: Mapping[str, Flag]
    wrong: tuple[Wrong, ...] = ()
    fields: frozenset[str] = frozenset()


def linked(flags: Iterable[tuple[Flag, Place]], notes: Notes, *, chains: bool = True) -> FlagSet:
    """A set of flags, each with the place that its prerequisites stand at.

    A flag is broken, and off whatever its definition says, where it wants one that there is not, that is broken, that
    wants it in turn, or, without `chains`, that wants any.
    """
    listed = list(flags)
    among = {flag.name: flag for flag, _ in listed}
    places = {flag.name: at for flag, at in listed}
    asked: dict[str, int] = {}
    order, circular = _order(among)
    for flag in order:
        asked[flag.name] = 1
        for number, one in enumerate(flag.prerequisites):
            wanted = among.get(one.flag)
            broken = ""
            if wanted is None:
                broken = f"no flag is called {shown(one.flag)}"
            elif (flag.name, one.flag) in circular:
                broken = f"{flag.name} and {one.flag} want one another"
            elif wanted.broken:
                broken = f"{one.flag} can never be on"
            elif wanted.prerequisites and not chains:
                broken = f"{one.flag} wants flags itself"
            else:
                asked[flag.name] += asked[one.flag]
                if asked[flag.name] > MOST_ASKED:
                    broken = f"more than {MOST_ASKED} flags would have to be asked"
            if broken:
                notes.refuse((*places[flag.name], number), broken)
                flag.broken = flag.broken or broken
        flag.bind(among)
    return FlagSet(among, tuple(notes.wrong), frozenset(notes.fields))


def _order(among: Mapping[str, Flag]) -> tuple[list[Flag], set[tuple[str, str]]]:
    """The flags, each after those that it wants, and where that is impossible: the last step of each circle."""
    order: list[Flag] = []
    circular: set[tuple[str, str]] = set()
    begun: dict[str, bool] = {}  # and whether it is in the order yet
    for root in among.values():
        path = [] if root.name in begun else [(root, iter(root.prerequisites))]
        while path:
            flag, rest = path[-1]
            begun.setdefault(flag.name, False)
            for one in rest:
                if one.flag in among and one.flag not in begun:
                    path.append((among[one.flag], iter(among[one.flag].prerequisites)))
                    break
                if begun.get(one.flag) is False:
                    circular.add((flag.name, one.flag))
            else:
                path.pop()
                begun[flag.name] = True
                order.append(flag)
    return order, circular


def prerequisite(raw: object, at: Place, notes: Notes) -> Prerequisite | None:
    """Another flag by its name, or as Unleash writes a dependency: `{feature, enabled, variants}`."""
    if isinstance(raw, str) and raw:
        return Prerequisite(raw)
    given = notes.mapping(raw, at, frozenset({"feature", "flag", "enabled", "variants"}))
    name = given.get("feature", given.get("flag"))
    if not isinstance(name, str) or not name:
        notes.refuse(at, "flag is missing: which one it is that is wanted")
        return None
    on = notes.flag(given.get("enabled"), (*at, "enabled"), True)
    return Prerequisite(name, on, frozenset(notes.texts(given.get("variants"), (*at, "variants"))))
