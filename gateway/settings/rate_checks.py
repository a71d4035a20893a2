"""Mistakes in rate limits that one rule alone does not show: names taken twice, parameters that no path has.

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
    if not isinstance(section, dict):
        return
    own = _rules((listener,), section)
    taken: dict[str, str] = {}
    yield from _names(own, taken, listener)
    yield from _parameters(own, None)
    routes = section.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if not isinstance(route, dict):
            continue
        rules = _rules((listener, "routes", index), route)
        yield from _names(rules, dict(taken), "this route")
        path = route.get("path")
        yield from _parameters(rules, path if isinstance(path, str) else "")


def _rules(loc: Loc, section: dict[str, Any]) -> _Rules:
    loc = (*loc, "rate_limit")
    written = section.get("rate_limit")
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


def _parameters(rules: _Rules, path: str | None) -> Found:
    """`path` is None on a listener, and "" where the route's is wrong itself."""
    known = [segment[1:] for segment in (path or "").split("/") if segment.startswith(":")]
    for loc, rule in rules:
        by = rule.get("by")
        for index, term in enumerate(by if isinstance(by, list) else [by]):
            kind, _, name = term.partition(":") if isinstance(term, str) else ("", "", "")
            if kind != "path" or not name or path == "" or name in known:
                continue
            at = (*loc, "by", index) if isinstance(by, list) else (*loc, "by")
            if path is None:
                yield at, f"{shown(term)}: a listener has no path; write this limit on the route"
            else:
                yield at, f"the route's path has no :{name}{suggestion(name, known)}"
