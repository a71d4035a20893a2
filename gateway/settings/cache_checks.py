"""Mistakes and warnings about caches that one `cache:` alone does not show, for the listener's holds on a route too.

As in `checks`, what is not of the expected shape is passed over in the plain data, because the models say so already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.policies import cache
from gateway.policies.cache import Cache
from gateway.rules.routing import Pattern
from gateway.settings.cache import CacheStore
from gateway.settings.listener import Listener, Route
from gateway.settings.reading import Loc
from gateway.settings.types import is_off
from gateway.settings.values import TRUE

Found = Iterator[tuple[Loc, str]]


def check(listener: str, section: Any) -> Found:
    """Every mistake of one listener and its routes, with the location of the value that is wrong."""
    if not isinstance(section, dict):
        return
    around = _written(section)
    yield from _overrides((listener,), around, {})
    routes = section.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if isinstance(route, dict):
            yield from _overrides((listener, "routes", index), _written(route), around)


def _written(section: dict[str, Any]) -> dict[str, Any]:
    found = section.get("cache")
    return found if isinstance(found, dict) else {}


def _overrides(loc: Loc, own: dict[str, Any], around: dict[str, Any]) -> Found:
    """An override needs something to put in the place of what the origin says."""
    if own.get("override") not in TRUE:
        return
    ttl = own.get("ttl", around.get("ttl"))
    if ttl is None or is_off(ttl):
        yield (*loc, "cache", "override"), "override needs ttl: it is what counts in the place of the origin's times"


def advise(key: str, listener: Listener, store: CacheStore) -> Found:
    """What a listener's and its routes' caches say but probably do not mean."""
    if listener.cache is not None:
        yield from _doubtful((key, "cache"), listener.cache, store)
    for index, route in enumerate(listener.routes):
        loc: Loc = (key, "routes", index)
        found = cache.resolve(listener, route)
        if found is not None and route.cache is not None:
            yield from _doubtful((*loc, "cache"), found, store)
            yield from _methods((*loc, "cache"), found, route)
        if route.coalesce and found is None and not _takes(route, "GET"):
            yield (*loc, "coalesce"), "coalesce has no effect: without a cache only GETs share a fetch"


def _doubtful(loc: Loc, found: Cache, store: CacheStore) -> Found:
    if found.set_cookie is True and found.shared_between_callers:
        yield (
            (*loc, "set_cookie"),
            "every caller gets the cookie that the upstream sets for one of them; a session would be everybody's",
        )
    if found.max_object > store.max_bytes:
        yield (*loc, "max_object"), "nothing as large is ever kept: it is more than max_bytes of the whole cache"


def _methods(loc: Loc, found: Cache, route: Route) -> Found:
    never = sorted(method for method in found.methods - {"HEAD"} if not _takes(route, method))
    if len(never) == len(found.methods - {"HEAD"}):
        yield loc, f"nothing is ever kept: the route takes no {' and no '.join(never)}; methods says what else is"
    elif never and "methods" in (route.cache or found).model_fields_set:
        yield (*loc, "methods"), f"the route takes no {' and no '.join(never)}"


def _takes(route: Route, method: str) -> bool:
    return route.methods is None or method in route.methods


def advise_warming(store: CacheStore, ingress: Listener | None) -> Found:
    """URLs to warm that lead to nothing that is kept."""
    if store.warm is None:
        return
    if ingress is None:
        yield ("cache", "warm"), "warm has no effect without ingress, through which it fetches"
        return
    routes = [(Pattern.compile(route.path), route) for route in ingress.routes]
    for index, one in enumerate(store.warm.urls):
        path = one.path
        route = next((route for pattern, route in routes if pattern.matches(path) and _takes(route, "GET")), None)
        found = None if route is None else cache.resolve(ingress, route)
        if found is None or "GET" not in found.methods:
            yield ("cache", "warm", "urls", index), "nothing of this URL is kept: no route with a cache takes it"
