"""Flags that were compiled together, and their prerequisites among them.

Of a set that differs little from one before it, what is the same is taken over: only flags that are others, and those
that want them, are linked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from gateway.rules.flags.compiling import Notes, Place, Steps, Wrong, shown
from gateway.rules.flags.flag import Flag, Prerequisite

#: So many flags may be asked for one, those that it wants and those that these want, each as often as it is wanted.
MOST_ASKED = 64


class Link(NamedTuple):
    """A flag among the others of its set."""

    flag: Flag
    #: Why its own definition never has it on, whatever the others are.
    broken: str
    #: What is wrong with what it wants of them.
    wrong: tuple[Wrong, ...]
    #: How many are asked for it, itself included.
    asked: int


class FlagSet(NamedTuple):
    """The flags by name, what is wrong with their definitions, and which fields of a context they read.

    `origin` is what whoever compiled them wants to know when he does so again.
    """

    flags: Mapping[str, Flag]
    wrong: tuple[Wrong, ...] = ()
    fields: frozenset[str] = frozenset()
    origin: Any = None


def linking(
    flags: Mapping[str, Flag],
    place: Callable[[str], Place],
    before: Mapping[str, Link],
    *,
    chains: bool = True,
) -> Steps[dict[str, Link]]:
    """Link flags, those of `before` that are among them as they are there; `place` is where a flag's wants stand.

    A flag is broken, and off whatever its definition says, where it wants one that there is not, that is broken, that
    wants it in turn, or, without `chains`, that wants any.
    """
    others = {name for name, flag in flags.items() if name not in before or before[name].flag is not flag}
    touched = _touched(flags, others | (before.keys() - flags.keys()))
    # Who wants a flag that is another now, or who once did, is itself another.
    among = {
        name: flag.unbound(before[name].broken) if name in touched and name not in others else flag
        for name, flag in flags.items()
    }
    links = {name: before[name] for name in flags if name not in touched}
    order, circular = _order(among, touched)
    for flag in order:
        own, asked, broken = flag.broken, 1, ""
        wrong: list[Wrong] = []
        for number, one in enumerate(flag.prerequisites):
            wanted = among.get(one.flag)
            said = ""
            if wanted is None:
                said = f"no flag is called {shown(one.flag)}"
            elif (flag.name, one.flag) in circular:
                said = f"{flag.name} and {one.flag} want one another"
            elif wanted.broken:
                said = f"{one.flag} can never be on"
            elif wanted.prerequisites and not chains:
                said = f"{one.flag} wants flags itself"
            else:
                asked += links[one.flag].asked
                if asked > MOST_ASKED:
                    said = f"more than {MOST_ASKED} flags would have to be asked"
            if said:
                wrong.append(Wrong((*place(flag.name), number), said))
                broken = broken or said
        flag.bind(among, broken)
        links[flag.name] = Link(flag, own, tuple(wrong), asked)
        yield
    return {name: links[name] for name in flags}


def _touched(flags: Mapping[str, Flag], others: Iterable[str]) -> set[str]:
    """These and all that want them, or that want those."""
    wanted_by: dict[str, list[str]] = {}
    for name, flag in flags.items():
        for one in flag.prerequisites:
            wanted_by.setdefault(one.flag, []).append(name)
    touched: set[str] = set()
    left = list(others)
    while left:
        name = left.pop()
        if name not in touched:
            touched.add(name)
            left += wanted_by.get(name, ())
    return touched


def _order(among: Mapping[str, Flag], touched: set[str]) -> tuple[list[Flag], set[tuple[str, str]]]:
    """The touched, each after those that it wants, and where that is impossible: the last step of each circle."""
    order: list[Flag] = []
    circular: set[tuple[str, str]] = set()
    begun: dict[str, bool] = {}  # and whether it is in the order yet
    for root in among.values():
        path = [] if root.name in begun or root.name not in touched else [(root, iter(root.prerequisites))]
        while path:
            flag, rest = path[-1]
            begun.setdefault(flag.name, False)
            for one in rest:
                if one.flag in touched and one.flag in among and one.flag not in begun:
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
