"""Warnings: what the config may say, but whoever wrote it probably does not mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gateway.providers import PRESETS
from gateway.rules.routing import Pattern
from gateway.settings.cache_checks import advise as advise_cache
from gateway.settings.cache_checks import advise_warming
from gateway.settings.checks import LISTENERS
from gateway.settings.flag_checks import advise as advise_flags
from gateway.settings.listener import Listener, Route
from gateway.settings.mistakes import Mistake, shown
from gateway.settings.pattern import covers
from gateway.settings.reading import Loc
from gateway.settings.root import Settings
from gateway.settings.upstream import Tls, Upstream
from gateway.settings.values import Address

Advice = Iterator[tuple[Loc, str]]


def warnings(settings: Settings) -> list[Mistake]:
    """What was found when the settings were read, in the file's order."""
    return list(settings.warnings)


def environment_warnings(settings: Settings) -> list[Mistake]:
    """What was found in the environment when the settings were read, in the order of what it is about."""
    return list(settings.environment_warnings)


def advise(settings: Settings, line: Callable[[Loc], int]) -> Advice:
    """Every warning, with the location of what it is about; `line` finds the line of a location."""
    used: set[str] = set()
    for key in LISTENERS:
        listener: Listener | None = getattr(settings, key)
        if listener is not None:
            used |= {route.upstream for route in listener.routes}
            yield from _listener(key, listener, line)
            yield from advise_cache(key, listener, settings.cache)
    yield from advise_warming(settings.cache, settings.ingress)
    yield from advise_flags(settings.flags, {"ingress": settings.ingress, "egress": settings.egress})
    if settings.egress is not None and not settings.egress.bind.loopback:
        yield ("egress", "bind"), "egress can be reached from other machines, which may then call with your keys"
    for name, upstream in settings.upstreams.items():
        if name not in used:
            yield ("upstreams", name), f"no route leads to the upstream {shown(name)}"
        yield from _upstream(("upstreams", name), upstream)


def _listener(key: str, listener: Listener, line: Callable[[Loc], int]) -> Advice:
    for index, network in enumerate(listener.trusted_proxies):
        if network.prefixlen == 0:
            yield (key, "trusted_proxies", index), "every peer is believed, so any client can choose its address"
    earlier: list[tuple[Route, Pattern]] = []
    for index, route in enumerate(listener.routes):
        pattern = Pattern.compile(route.path)
        first = _taken_by(earlier, route, pattern)
        if first is not None:
            where = line((key, "routes", first))
            yield (key, "routes", index), f"can never match: the route in line {where} takes everything before it"
        earlier.append((route, pattern))


def _taken_by(earlier: Iterable[tuple[Route, Pattern]], route: Route, pattern: Pattern) -> int | None:
    """Which earlier route leaves this one nothing. What only several leave nothing together is not found."""
    for index, (candidate, wider) in enumerate(earlier):
        # One under a flag leaves the rest to those behind it.
        if not candidate.when and covers(wider, pattern) and _takes_methods(candidate.methods, route.methods):
            return index
    return None


def _takes_methods(earlier: tuple[str, ...] | None, later: tuple[str, ...] | None) -> bool:
    if earlier is None:
        return True
    taken = {*earlier, "HEAD"} if "GET" in earlier else set(earlier)
    return later is not None and taken.issuperset(later)


def _upstream(loc: Loc, upstream: Upstream) -> Advice:
    plain = upstream.url.scheme == "http"
    if plain and upstream.tls != Tls():
        yield (*loc, "tls"), "tls has no effect, because the URL begins with http://"
    if upstream.tls.ca is not None and not upstream.tls.verify:
        yield (*loc, "tls", "ca"), "ca has no effect, because verify is false"
    if upstream.api_key is not None and upstream.preset is not None:
        if not PRESETS[upstream.preset].auth(upstream.api_key.get_secret_value()):
            yield (*loc, "api_key"), f"api_key has no effect: no key is sent to {upstream.preset}"
        elif plain and not Address(upstream.url.host, 0).loopback:
            yield (*loc, "url"), "the api_key goes over the network in the clear, because the URL begins with http://"
