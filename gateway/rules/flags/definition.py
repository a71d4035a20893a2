"""Flags as the gateway's own config defines them (`flags.define`), compiled.

Some keys say for whom a flag is on: `users`, `groups`, `addresses`, `rollout`, and `strategies` as Unleash writes
them; any of them turns it on, and a flag without any is on for everybody. Others must hold whichever of these it is:
`environments`, `from`, `until`, `constraints`, `segments`, `requires`. `true` or `false` alone is a definition too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.rules.flags.answer import SPLIT, STATIC, TARGETING
from gateway.rules.flags.compiling import Notes, Place, Steps, Wrong, as_text, at_once, same, shown
from gateway.rules.flags.constraint import Condition, conditions, never
from gateway.rules.flags.context import SHORT, Asked
from gateway.rules.flags.flag import Flag
from gateway.rules.flags.flag_set import FlagSet, Link, linking, prerequisite
from gateway.rules.flags.instant import parse
from gateway.rules.flags.strategy import Segments, Strategies, Strategy, clients, groups, rollout, users
from gateway.rules.flags.variants import Variants

#: All keys of a definition.
KEYS = frozenset(
    {
        "addresses", "constraints", "description", "enabled", "environments", "from", "group_id", "groups",
        "requires", "rollout", "segments", "stickiness", "strategies", "until", "users", "variants",
    }
)  # fmt: skip


def compiled(
    define: Mapping[str, object],
    segments: Mapping[str, object],
    hostname: str = "",
    known: Callable[[str], bool] | None = None,
) -> FlagSet:
    """Flags by name and segments by name, each of these a list of constraints, on a machine of some name.

    `known` tells which properties a context has, so that a name that is none is wrong; without it all may be some.
    """
    return at_once(compiling(define, segments, hostname, known))


def compiling(
    define: Mapping[str, object],
    segments: Mapping[str, object],
    hostname: str = "",
    known: Callable[[str], bool] | None = None,
    before: FlagSet | None = None,
) -> Steps[FlagSet]:
    """The same step by step; `before` was made so, and what is the same here is taken over from it.

    A flag that is taken over is the same object, and so are its answers.
    """
    origin: _Origin | None = None if before is None else before.origin
    ground = None if origin is None else origin.ground
    if origin is None or ground is None or not ground.is_so(segments, hostname, known):
        origin, ground = None, (yield from _prepared(segments, hostname, known))
    written: dict[str, _Written] = {}
    flags: dict[str, Flag] = {}
    another = before is None or origin is None or define.keys() != origin.written.keys()
    for name, raw in define.items():
        earlier = None if origin is None else origin.written.get(name)
        if origin is not None and earlier is not None and same(earlier.raw, raw):
            written[name], flags[name] = earlier, origin.links[name].flag
            continue
        notes = Notes(known)
        flags[name] = _Compiler(ground.compiled, hostname, notes).flag(name, raw)
        written[name] = _Written(raw, tuple(notes.wrong), frozenset(notes.fields))
        another = True
        yield
    if before is not None and not another:
        return before
    links = yield from linking(flags, _wants, {} if origin is None else origin.links)
    wrong = [one for part in written.values() for one in part.wrong]
    wrong += [one for link in links.values() for one in link.wrong]
    return FlagSet(
        {name: link.flag for name, link in links.items()},
        (*ground.wrong, *wrong),
        ground.fields.union(*(part.fields for part in written.values())),
        _Origin(ground, written, links),
    )


class _Ground(NamedTuple):
    """What flags stand on: the segments, as they are written and compiled, the machine, and the properties."""

    segments: Mapping[str, object]
    hostname: str
    known: Callable[[str], bool] | None
    compiled: Segments
    wrong: tuple[Wrong, ...]
    fields: frozenset[str]

    def is_so(self, segments: Mapping[str, object], hostname: str, known: Callable[[str], bool] | None) -> bool:
        return (self.hostname, self.known) == (hostname, known) and same(self.segments, segments)


class _Written(NamedTuple):
    """One definition, what is wrong with it by itself, and the fields that it reads."""

    raw: object
    wrong: tuple[Wrong, ...]
    fields: frozenset[str]


class _Origin(NamedTuple):
    """How a set came to be."""

    ground: _Ground
    written: Mapping[str, _Written]
    links: Mapping[str, Link]


def _prepared(segments: Mapping[str, object], hostname: str, known: Callable[[str], bool] | None) -> Steps[_Ground]:
    notes = Notes(known)
    named: dict[str, tuple[Condition, ...]] = {}
    for name, raw in segments.items():
        named[name] = conditions(raw, ("segments", name), notes)
        yield
    return _Ground(segments, hostname, known, Segments(named), tuple(notes.wrong), frozenset(notes.fields))


def _wants(name: str) -> Place:
    return ("define", name, "requires")


class _Compiler:
    """Compiles a flag."""

    __slots__ = ("_notes", "_segments", "_strategies")

    def __init__(self, segments: Segments, hostname: str, notes: Notes) -> None:
        self._segments, self._notes = segments, notes
        self._strategies = Strategies(segments, hostname, notes)

    def flag(self, name: str, raw: object) -> Flag:
        at: Place = ("define", name)
        notes = self._notes
        given = {"enabled": raw} if isinstance(raw, bool) else notes.mapping(raw, at, KEYS)
        by = notes.stickiness(given, at, SHORT)
        group = as_text(given.get("group_id")) or name
        guards = self._guards(given, at)
        strategies = self._rules(given, name, by, group, at)
        if not strategies and not given.keys() & {"users", "groups", "addresses", "rollout", "strategies"}:
            strategies = (Strategy("everybody", (), TARGETING if guards else STATIC),)
        reason = strategies[0].reason if len(strategies) == 1 else SPLIT
        variants = Variants(given.get("variants"), group, by, (*at, "variants"), notes, by_rule=reason)
        wanted = notes.items(given.get("requires"), (*at, "requires"))
        parents = [prerequisite(one, (*at, "requires", number), notes) for number, one in enumerate(wanted)]
        return Flag(
            name,
            notes.flag(given.get("enabled"), (*at, "enabled"), True),
            guards=guards,
            strategies=strategies,
            variants=variants or None,
            prerequisites=tuple(one for one in parents if one),
            broken="" if all(parents) else "a prerequisite is wrong",
        )

    def _rules(self, given: Mapping[str, object], name: str, by: str, group: str, at: Place) -> tuple[Strategy, ...]:
        notes = self._notes
        made: list[Strategy | None] = []
        for key, make in (("users", users), ("groups", groups)):
            if given.get(key):
                made.append(make(key, notes.texts(given[key], (*at, key))))
        if given.get("addresses"):
            texts = notes.texts(given["addresses"], (*at, "addresses"))
            made.append(clients("addresses", texts, (*at, "addresses"), notes))
        if given.get("rollout") is not None:
            made.append(rollout("rollout", given["rollout"], by, group, (*at, "rollout"), notes))
        for number, one in enumerate(notes.items(given.get("strategies"), (*at, "strategies"))):
            made.append(self._strategies.compiled(one, name, (*at, "strategies", number)))
        return tuple(one for one in made if one)

    def _guards(self, given: Mapping[str, object], at: Place) -> tuple[Condition, ...]:
        notes = self._notes
        found: list[Condition] = []
        if given.get("environments"):
            names = frozenset(notes.texts(given["environments"], (*at, "environments")))
            said = f"the environment is one of [{', '.join(sorted(names))}]"
            found.append(Condition(lambda asked: asked.environment in names, said, lambda asked: asked.environment))
        for key, make in (("from", _since), ("until", _before)):
            if given.get(key) is not None:
                text = as_text(given[key])
                moment = None if text is None else parse(text)
                if moment is None:
                    notes.refuse((*at, key), f"{shown(given[key])} is no date")
                    found.append(never(f"{key} {shown(given[key])}, which is no date"))
                else:
                    found.append(make(moment, text or ""))
        found += conditions(given.get("constraints"), (*at, "constraints"), notes)
        found += self._segments.conditions(given.get("segments"), (*at, "segments"), notes)
        return tuple(found)


def _since(moment: float, text: str) -> Condition:
    def test(asked: Asked) -> bool:
        return asked.now >= moment

    return Condition(test, f"it is {text} or later")


def _before(moment: float, text: str) -> Condition:
    def test(asked: Asked) -> bool:
        return asked.now < moment

    return Condition(test, f"it is before {text}")
