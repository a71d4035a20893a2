"""Mistakes in rate limits and in-flight caps that one alone does not show: names taken twice, parameters of no path.

As in `checks`, what is not of the expected shape is passed over, because the models say so already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.settings.mistakes import shown, suggestion
from gateway.settings.reading import Loc
from gateway.settings.types import is_off

Found = Iterator[tuple[Loc, str]]
_Rules = list[tuple[Loc, dict[str, Any]]]


def check(listener: str, section: Any) -> Found:
    """Every such mistake of one listener and its routes, with the location of the value that is wrong."""
    if isinstance(section, dict):
        for key in ("rate_limit", "in_flight"):
            yield from _check(listener, section, key)


def check_upstreams(section: Any) -> Found:
    """As `check`, of the upstreams' caps."""
    for name, upstream in section.items() if isinstance(section, dict) else ():
        if isinstance(upstream, dict):
            caps = _rules(("upstreams", name), upstream, "in_flight")
            yield from _names(caps, {}, "this upstream")
            yield from _parameters(caps, None, "an upstream")


def _check(listener: str, section: dict[str, Any], key: str) -> Found:
    own = _rules((listener,), section, key)
    taken: dict[str, str] = {}
    yield from _names(own, taken, listener)
    yield from _parameters(own, None)
    routes = section.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if not isinstance(route, dict):
            continue
        rules = _rules((listener, "routes", index), route, key)
        yield from _names(rules, dict(taken), "this route")
        path = route.get("path")
        yield from _parameters(rules, path if isinstance(path, str) and path.startswith("/") else "")


def _rules(loc: Loc, section: dict[str, Any], key: str) -> _Rules:
    loc = (*loc, key)
    written = section.get(key)
    if isinstance(written, dict):
        return [(loc, written)]
    if not isinstance(written, list) or is_off(written):
        return []
    return [((*loc, index), rule) for index, rule in enumerate(written) if isinstance(rule, dict)]


def _names(rules: _Rules, taken: dict[str, str], where: str) -> Found:
    for loc, rule in rules:
        name = rule.get("name")
        if not isinstance(name, str):
            continue
        if name in taken:
            yield (*loc, "name"), f"another limit of {taken[name]} has the name {shown(name)}"
        taken.setdefault(name, where)


def _parameters(rules: _Rules, path: str | None, where: str = "a listener") -> Found:
    """`path` is None where there is none, and "" where the route's is wrong itself."""
    known = [segment[1:] for segment in (path or "").split("/") if segment.startswith(":")]
    for loc, rule in rules:
        by = rule.get("by")
        for index, term in enumerate(by if isinstance(by, list) else [by]):
            kind, _, name = term.partition(":") if isinstance(term, str) else ("", "", "")
            if kind != "path" or not name or path == "" or name in known:
                continue
            at = (*loc, "by", index) if isinstance(by, list) else (*loc, "by")
            if path is None:
                yield at, f"{shown(term)}: {where} has no path; write this limit on the route"
            else:
                yield at, f"the route's path has no :{name}{suggestion(name, known)}"
