"""Mistakes that no section can see alone: names that lead nowhere, names and addresses taken twice.

They look at the plain data, so that they are found in the same run as the mistakes inside the sections; what is
not of the expected shape is passed over, because the models say so already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from gateway.policies.correlation import Correlation
from gateway.settings import cache_checks, flag_checks, rate_checks
from gateway.settings.admin import Admin
from gateway.settings.listener import Egress, Ingress
from gateway.settings.mistakes import shown, suggestion
from gateway.settings.reading import Loc
from gateway.settings.root import Metrics
from gateway.settings.types import Section, is_off
from gateway.settings.values import Address, parse_address

Found = Iterator[tuple[Loc, str]]
LISTENERS = ("ingress", "egress")
_BOUND: dict[str, type[Section]] = {"ingress": Ingress, "egress": Egress, "metrics": Metrics, "admin": Admin}


def check(data: dict[str, Any]) -> Found:
    """Every such mistake, with the location of the value that is wrong."""
    if all(key not in data or is_off(data[key]) for key in LISTENERS):
        yield (), "needs ingress, egress or both"
    for key in LISTENERS:
        yield from _names(key, _routes(data, key))
        yield from _upstreams(key, _routes(data, key), data)
        yield from rate_checks.check(key, data.get(key))
        yield from cache_checks.check(key, data.get(key))
    yield from rate_checks.check_upstreams(data.get("upstreams"))
    yield from flag_checks.check(data)
    yield from _correlation_header(data)
    yield from _addresses(data)


def _routes(data: dict[str, Any], listener: str) -> list[tuple[int, dict[str, Any]]]:
    section = data.get(listener)
    routes = section.get("routes") if isinstance(section, dict) else None
    return [(index, route) for index, route in enumerate(_listed(routes)) if isinstance(route, dict)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(listener: str, routes: list[tuple[int, dict[str, Any]]]) -> Found:
    seen: set[str] = set()
    for index, route in routes:
        name = route.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            yield (listener, "routes", index, "name"), f"another route of {listener} has the name {shown(name)}"
        seen.add(name)


def _upstreams(listener: str, routes: list[tuple[int, dict[str, Any]]], data: dict[str, Any]) -> Found:
    upstreams = data.get("upstreams", {})
    if not isinstance(upstreams, dict):
        return
    for index, route in routes:
        name = route.get("upstream")
        if isinstance(name, str) and name not in upstreams:
            message = f"no upstream is named {shown(name)}{suggestion(name, upstreams)}"
            yield (listener, "routes", index, "upstream"), message


def _correlation_header(data: dict[str, Any]) -> Found:
    """The one field that `headers` must leave alone and whose name the file itself chooses."""
    written = _at(data, "correlation", "header")
    name = _folded(written if isinstance(written, str) else Correlation.model_fields["header"].default)
    for key in LISTENERS:
        yield from _changes_of(name, (key,), data.get(key))
        for index, route in _routes(data, key):
            yield from _changes_of(name, (key, "routes", index), route)


def _changes_of(name: str, loc: Loc, section: Any) -> Found:
    for way, how in product(("request", "response"), ("set", "add", "remove")):
        changed = _at(section, "headers", way, how)
        named: Iterable[tuple[str | int, Any]] = (
            enumerate(changed) if isinstance(changed, list) else [(one, one) for one in _keys(changed)]
        )
        for place, field in named:
            if isinstance(field, str) and _folded(field) == name:
                yield (*loc, "headers", way, how, place), "this field carries the correlation id"


def _at(section: Any, *keys: str) -> Any:
    for key in keys:
        section = section.get(key) if isinstance(section, dict) else None
    return section


def _keys(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")


def _addresses(data: dict[str, Any]) -> Found:
    taken: list[tuple[str, bool, Address]] = []
    for key, model in _BOUND.items():
        section = data.get(key, {} if key in ("metrics", "admin") else None)
        if not isinstance(section, dict):
            continue
        written = "bind" in section
        try:
            address = parse_address(section["bind"]) if written else model.model_fields["bind"].default
        except (ValueError, AttributeError):
            continue
        for other, other_written, other_address in taken:
            if address.overlaps(other_address):
                culprit, against = (key, other) if written or not other_written else (other, key)
                yield (culprit, "bind"), f"{culprit} and {against} cannot both listen on port {address.port}"
        taken.append((key, written, address))
