"""Mistakes about flags: wrong definitions, names that no flag has, fields that are the gateway's own to say.

Definitions are held against the rules that will evaluate them, so what is wrong here is wrong at run time too. As in
`checks`, what is not of the expected shape elsewhere is passed over, because the models say so already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.rules.flags import layers, request_field
from gateway.rules.flags.definition import compiled
from gateway.rules.flags.layers import variable
from gateway.settings.flag_forms import definition, plain
from gateway.settings.flags import PREFIX, Flags, is_own
from gateway.settings.listener import Listener
from gateway.settings.mistakes import Filled, shown, suggestion
from gateway.settings.reading import Loc
from gateway.settings.types import is_off

Found = Iterator[tuple[Loc, str]]
_LISTENERS = ("ingress", "egress")


def check(data: dict[str, Any]) -> Found:
    """Every such mistake, with the location of the value that is wrong."""
    section = _dict(data.get("flags"))
    define = _dict(section.get("define"))
    yield from _definitions(section, define)
    yield from _alike(define)
    for loc, name in _named(data):
        if name not in define:
            yield loc, _unknown(name, define)
    if define:
        yield from _fields(data, define)


def _unknown(name: str, define: dict[str, Any]) -> str:
    if not define:
        return f"no flag is called {shown(name)}: flags.define has none"
    return f"no flag is called {shown(name)}{suggestion(name, define)}"


# ---- definitions


def _definitions(section: dict[str, Any], define: dict[str, Any]) -> Found:
    listed = _dict(section.get("segments")).items()
    segments = {name: plain([raw] if isinstance(raw, dict) else raw) for name, raw in listed if raw is not None}
    properties = _dict(_dict(section.get("context")).get("properties"))

    def known(name: str) -> bool:
        kind, _, rest = name.partition(":")
        return name in properties or (request_field.known(name) and not (kind == "header" and is_own(rest)))

    written = {name: definition(raw) for name, raw in define.items() if raw is not None}
    for wrong in compiled(written, segments, known=known).wrong:
        loc = ("flags", *wrong.at)
        yield loc, _safe(wrong.message, _at(section, wrong.at))


def _safe(message: str, value: Any) -> str:
    """A message that does not show what a variable brought."""
    brought = next(_brought(value), None)
    return message if brought is None else f"{shown(brought)} brought something that is wrong here"


def _brought(value: Any) -> Iterator[Filled]:
    if isinstance(value, Filled):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _brought(item)


def _at(value: Any, loc: Loc) -> Any:
    """What stands at a location, or what is nearest round it."""
    for part in loc:
        inner = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            inner = value[part]
        if inner is None:
            return value
        value = inner
    return value


def _alike(define: dict[str, Any]) -> Found:
    """Two names must not be one as a header's name, or as an environment variable's."""
    seen: dict[str, str] = {}
    for name in define:
        other = seen.setdefault(variable(name), name)
        if other != name:
            yield (
                ("flags", "define", name),
                f"apps and FEATURE_{variable(name)} could not tell it from {shown(other)}",
            )


# ---- where flags are named


def _named(data: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    for key in _LISTENERS:
        listener = _dict(data.get(key))
        yield from _of_owner((key,), listener)
        for index, route in _items(listener.get("routes")):
            yield from _of_owner((key, "routes", index), route)
            yield from _wanted((key, "routes", index, "when"), _dict(route).get("when"))
    for name, upstream in _dict(data.get("upstreams")).items():
        for policy in ("breaker", "in_flight"):
            yield from _under(("upstreams", name, policy), _dict(upstream).get(policy))


def _of_owner(loc: Loc, section: Any) -> Iterator[tuple[Loc, str]]:
    """The flags of a listener or a route."""
    section = _dict(section)
    if not is_off(section.get("flags")):
        yield from _texts((*loc, "flags"), section.get("flags"))
    if not is_off(section.get("require")):
        yield from _wanted((*loc, "require"), section.get("require"))
    for policy in ("cache", "rate_limit", "in_flight"):
        yield from _under((*loc, policy), section.get(policy))


def _under(loc: Loc, policy: Any) -> Iterator[tuple[Loc, str]]:
    """The flags under which a policy stands, or each of its rules."""
    for at, rule in _several(loc, policy):
        yield from _wanted((*at, "when"), _dict(rule).get("when"))


def _wanted(loc: Loc, written: Any) -> Iterator[tuple[Loc, str]]:
    for at, one in _several(loc, written):
        flag, place = (one.get("flag"), (*at, "flag")) if isinstance(one, dict) else (one, at)
        if isinstance(flag, str):
            yield place, flag


# ---- fields


def _fields(data: dict[str, Any], define: dict[str, Any]) -> Found:
    """Fields that are taken out of requests, so that none has them, and those that tell the app what flags say."""
    bear = {variable(name): name for name in define}
    for key in _LISTENERS:
        listener = _dict(data.get(key))
        owners: list[tuple[Loc, Any]] = [((key,), listener)]
        owners += [((key, "routes", index), route) for index, route in _items(listener.get("routes"))]
        for loc, owner in owners:
            for at, name in _changed(loc, _dict(owner)):
                if is_own(name) and (flag := bear.get(variable(name[len(PREFIX) :]))) is not None:
                    yield at, f"this field tells the app of the flag {shown(flag)}"
            for at, name in _read(loc, _dict(owner)):
                if is_own(name):
                    yield at, "fields that begin with X-Feature- are taken out of requests, and say nothing here"


def _changed(loc: Loc, owner: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    changes = _dict(_dict(owner.get("headers")).get("request"))
    for how in ("set", "add", "remove"):
        at, named = (*loc, "headers", "request", how), changes.get(how)
        yield from (((*at, name), name) for name in _dict(named))
        yield from _texts(at, named)


def _read(loc: Loc, owner: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    """The request fields by which requests are told apart."""
    yield from _texts((*loc, "cache", "key", "headers"), _dict(_dict(owner.get("cache")).get("key")).get("headers"))
    for policy in ("rate_limit", "in_flight"):
        for at, rule in _several((*loc, policy), owner.get(policy)):
            for place, term in _texts((*at, "by"), _dict(rule).get("by")):
                kind, _, name = term.partition(":")
                if kind == "header":
                    yield place, name


# ---- warnings


def advise(flags: Flags, listeners: dict[str, Listener | None]) -> Found:
    """What the config says of flags but probably does not mean."""
    if flags.ofrep is not None and listeners.get("egress") is None:
        yield ("flags", "ofrep"), "ofrep has no effect without egress, on which it stands"
    for index, network in enumerate(() if flags.override is None else flags.override.networks):
        if network.prefixlen == 0:
            yield ("flags", "override", "from", index), "any client can force any flag"
    if flags.override is not None and not flags.override.networks and "token" not in flags.override.model_fields_set:
        yield ("flags", "override"), "nobody can force a flag: override needs from, token or both"
    if flags.ofrep is None:
        yield from _nobody(flags)


def advise_environment(flags: Flags, variables: Mapping[str, str]) -> Found:
    """What variables say of flags that cannot be, and those that are nearly called as one is.

    Others that begin as these do may be another program's.
    """
    found = layers.environment(variables, flags.define)
    for flag, message in found.wrong:
        yield ("flags", "define", flag), f"the environment's {message}"
    for name in found.unknown:
        near = layers.nearest(name, flags.define)
        if near is not None:
            yield ("flags", "define"), f"the environment's {name} is about no flag; did you mean {near}?"


def _nobody(flags: Flags) -> Found:
    for name, raw in flags.define.items():
        for key, source in (("users", flags.context.user), ("groups", flags.context.groups)):
            if isinstance(raw, dict) and raw.get(key) and source is None:
                at = ("flags", "define", name, key)
                yield at, f"{key} has no effect: flags.context does not say where a request has its {key}"


# ---- taking plain data apart


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(loc: Loc, value: Any) -> Iterator[tuple[Loc, str]]:
    yield from ((at, item) for at, item in _several(loc, value) if isinstance(item, str))


def _items(value: Any) -> Iterator[tuple[int, Any]]:
    return enumerate(value) if isinstance(value, list) else iter(())


def _several(loc: Loc, value: Any) -> Iterator[tuple[Loc, Any]]:
    """The items of a list, or what stands in its place."""
    if isinstance(value, list):
        yield from (((*loc, index), item) for index, item in enumerate(value))
    elif value is not None:
        yield loc, value
