"""From settings to the parts that serve: one upstream, a listener's snapshot. For assembly and forwarding alone."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, Protocol

from gateway.cache.shelf import Shelf as CacheShelf
from gateway.entropy import Entropy
from gateway.faults import about
from gateway.flags.gates import Flagged, FlaggedRoute
from gateway.gate import Gate
from gateway.pipeline import Route, Shelf, Snapshot
from gateway.policies import headers, request
from gateway.policies.breaker import Breaker as BreakerSettings
from gateway.policies.correlation import Correlation, Stamp
from gateway.policies.timeout import resolve
from gateway.policies.trusted_proxies import ClientAddress
from gateway.providers import PRESETS
from gateway.rules.breaker import BreakerRule
from gateway.rules.response_head import Interest
from gateway.rules.routing import Router
from gateway.settings import Listener, Tls, Upstream
from gateway.telemetry.metrics import Metrics
from gateway.upstreams.breaker import Breaker
from gateway.upstreams.connector import Connector, Endpoint, Told
from gateway.upstreams.forward import Way
from gateway.upstreams.pool import Pool
from gateway.upstreams.upstream import Upstream as RunningUpstream

NO_ROUTE = "none"
_NO_FLAGS = FlaggedRoute(None, None, None, None)


class Own(NamedTuple):
    """What the gateway itself answers, whatever the method: the route's label, where it is, and what answers."""

    name: str
    pattern: str
    answers: Shelf


class RouteLimits(Protocol):
    """A route's rate limits and caps."""

    @property
    def rates(self) -> Sequence[Gate]:
        """For every request."""

    @property
    def caps(self) -> Sequence[Gate]:
        """For what goes to the upstream."""


class Limits(Protocol):
    """Rate limits and caps."""

    @property
    def of_routes(self) -> Sequence[RouteLimits]:
        """For each route."""

    @property
    def of_the_rest(self) -> Sequence[Gate]:
        """For requests that no route takes."""


def upstream(
    name: str,
    settings: Upstream,
    interest: Interest,
    breaker: Breaker | None,
    metrics: Metrics,
    told: Told | None = None,
) -> RunningUpstream:
    """An upstream with a pool of its own; `told` is told of each connection's opening.

    Raises OSError when a certificate file cannot be read.
    """
    url = settings.url
    tls = _tls(name, settings.tls) if url.scheme == "https" else None
    endpoint = Endpoint(url.host, url.port, tls, settings.tls.server_name or url.host)
    auth: tuple[bytes, ...] = ()
    credentials: frozenset[bytes] = frozenset()
    if settings.api_key is not None and settings.preset is not None:
        preset = PRESETS[settings.preset]
        fields = preset.auth(settings.api_key.get_secret_value())
        auth = tuple(b"%b: %b\r\n" % pair for pair in fields)
        if fields:
            credentials = frozenset(preset.credentials)
    part = metrics.upstream(name)
    pool = Pool(Connector(endpoint, told), settings.pool, interest)
    return RunningUpstream(name, url.authority.encode(), url.path.encode(), pool, breaker, part, auth, credentials)


def breaker(name: str, settings: BreakerSettings, moved: Callable[[str, str, str], None]) -> Breaker:
    """A closed breaker."""
    return Breaker(name, rule(settings), settings.statuses, moved)


def rule(settings: BreakerSettings) -> BreakerRule:
    """A breaker's settings as the rule that decides."""
    return BreakerRule(
        failures=settings.failures,
        reset=settings.reset,
        successes=settings.successes,
        share=settings.share,
        window=settings.window,
        min_calls=settings.min_calls,
    )


def ways(
    settings: Listener, upstreams: dict[str, RunningUpstream], upstream_settings: dict[str, Upstream], *, egress: bool
) -> list[Way]:
    """How each of a listener's routes goes to its upstream."""
    found = []
    for route in settings.routes:
        timeouts = resolve(upstream_settings[route.upstream].timeout, settings.timeout, route.timeout)
        prefix = (route.strip_prefix or "").encode()
        found.append(Way(upstreams[route.upstream], timeouts, prefix, own_host=egress))
    return found


def snapshot(
    name: str,
    settings: Listener,
    ways: list[Way],
    limits: Limits,
    shelves: Sequence[Shelf | None],
    correlation: Correlation,
    entropy: Entropy,
    metrics: Metrics,
    warn: Callable[[str], None],
    own: Sequence[Own] = (),
    flagged: Flagged | None = None,
) -> Snapshot:
    """What a listener's requests meet; `limits` are the gates behind those that are made here.

    `flagged` is what the routes have of flags. What the gateway itself answers (`own`) goes before all routes, and
    passes the gates of the whole listener.

    A cached route's caps are its shelf's, for what is answered from there uses nothing up.
    """
    egress = name == "egress"
    common = headers.gate(settings.headers, headers.Headers())
    gates_of_own = [*(() if common is None else (common,)), *limits.of_the_rest]
    routes = [
        Route(one.name, None, metrics.route(name, one.name), gates_of_own, shelf=one.answers, egress=egress)
        for one in own
    ]
    for route, way, limit, shelf in zip(settings.routes, ways, limits.of_routes, shelves, strict=True):
        edits = headers.gate(settings.headers, route.headers)
        asked = _NO_FLAGS if flagged is None else flagged.routes[len(routes) - len(own)]
        first = [None if flagged is None else flagged.strip, edits]
        every: list[Gate | None] = [*first, request.gate(settings.request, route.request), *limit.rates, asked.tell]
        if not isinstance(shelf, CacheShelf):
            every += limit.caps
        part = metrics.route(name, route.name)
        gates = [gate for gate in every if gate is not None]
        routes.append(
            Route(route.name, way, part, gates, shelf=shelf, egress=egress, when=asked.when, require=asked.require)
        )
    unrouted = Route(
        NO_ROUTE,
        None,
        metrics.route(name, NO_ROUTE),
        limits.of_the_rest,
        egress=egress,
        edits=common,
    )
    return Snapshot(
        stamp=Stamp(correlation, entropy),
        address=ClientAddress(settings.trusted_proxies, warn, ingress=not egress),
        router=Router(
            [*((one.pattern, None) for one in own), *((route.path, route.methods) for route in settings.routes)],
            [place for place, route in enumerate(routes) if route.when is not None],
            [place for place, route in enumerate(routes) if route.require is not None],
        ),
        routes=routes,
        no_route=unrouted,
    )


def _tls(name: str, settings: Tls) -> ssl.SSLContext:
    if settings.ca is None and settings.verify:
        return _usual_tls()
    with about(f"upstreams.{name}.tls.ca {settings.ca or ''}".rstrip()):
        context = ssl.create_default_context(cafile=settings.ca)
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@cache
def _usual_tls() -> ssl.SSLContext:
    """One for all upstreams that the system's authorities vouch for: reading these takes a twentieth of a start."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
