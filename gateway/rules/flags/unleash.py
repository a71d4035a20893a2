"""What an Unleash server serves to its clients (`/api/client/features`), compiled."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.rules.flags.answer import STATIC
from gateway.rules.flags.compiling import Notes, Place, as_text, at_once
from gateway.rules.flags.constraint import Condition, conditions
from gateway.rules.flags.flag import Flag
from gateway.rules.flags.flag_set import FlagSet, linking, prerequisite
from gateway.rules.flags.strategy import Segments, Strategies, Strategy
from gateway.rules.flags.variants import Variants


def compiled(state: Mapping[str, object], hostname: str = "") -> FlagSet:
    """Its features and segments, on a machine of some name.

    Other keys of a feature than those evaluated here are left alone: a newer server may well add some. A flag depends
    on flags that depend on none, as there.
    """
    notes = Notes()
    segments: dict[str, tuple[Condition, ...]] = {}
    for number, raw in enumerate(notes.items(state.get("segments"), ("segments",))):
        at: Place = ("segments", number)
        given = notes.mapping(raw, at)
        segments[as_text(given.get("id")) or ""] = conditions(given.get("constraints"), (*at, "constraints"), notes)
    strategies = Strategies(Segments(segments), hostname, notes)
    flags = [
        (_feature(notes.mapping(raw, ("features", number)), ("features", number), strategies, notes), number)
        for number, raw in enumerate(notes.items(state.get("features"), ("features",)))
    ]
    places: dict[str, Place] = {flag.name: ("features", number, "dependencies") for flag, number in flags}
    links = at_once(linking({flag.name: flag for flag, _ in flags}, places.__getitem__, {}, chains=False))
    wrong = [one for link in links.values() for one in link.wrong]
    return FlagSet({name: link.flag for name, link in links.items()}, (*notes.wrong, *wrong), frozenset(notes.fields))


def _feature(given: Mapping[str, object], at: Place, strategies: Strategies, notes: Notes) -> Flag:
    name = as_text(given.get("name")) or ""
    if not name:
        notes.refuse(at, "a feature wants a name")
    listed = notes.items(given.get("strategies"), (*at, "strategies"))
    made = [strategies.compiled(one, name, (*at, "strategies", number)) for number, one in enumerate(listed)]
    variants = Variants(given.get("variants"), name, "default", (*at, "variants"), notes, by_rule=STATIC)
    wanted = notes.items(given.get("dependencies"), (*at, "dependencies"))
    parents = [prerequisite(one, (*at, "dependencies", number), notes) for number, one in enumerate(wanted)]
    return Flag(
        name,
        notes.flag(given.get("enabled"), (*at, "enabled"), False),
        strategies=tuple(one for one in made if one) if listed else (Strategy("everybody", (), STATIC),),
        variants=variants or None,
        prerequisites=tuple(one for one in parents if one),
        broken="" if all(parents) else "a prerequisite is wrong",
    )
