"""What protects the app and the providers: rate limits, in-flight caps, and the state behind both.

It is made once a process; each config builds its gates here. Counts, tokens, blocks and who is in flight belong to
ids, so they outlive reloads. Assembly owns it, and nobody else knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import itemgetter
from time import monotonic
from typing import NamedTuple

from gateway.caps.cap import Cap
from gateway.caps.cap_when import CapWhen
from gateway.caps.leases import Leases as SlotLeases
from gateway.faults import about
from gateway.gate import Gate, Met
from gateway.policies import in_flight, rate_limit
from gateway.policies.in_flight import Caps, InFlight, InFlightCap, InFlightWhen
from gateway.rules import rate_key
from gateway.rules.offenders import BlockRule, Offenders
from gateway.rules.rate_key import Term
from gateway.settings import Listener, Route, State, Upstream
from gateway.settings.wanted import Wanted
from gateway.state.leases import Leases as TokenLeases
from gateway.state.memory import MemoryBuckets
from gateway.state.rate_rules import RateLimits, RunningRule
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from gateway.state.shared import Shared
from gateway.telemetry import limits as families
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Family, Metrics
from gateway.telemetry.security import SecurityEvents

#: A peer that sends so many malformed requests in so many seconds is a security event, and again each time it has
#: gone on for as long.
_FLOOD = BlockRule(after=20, within=60.0, seconds=60.0)

_STATE_DOWN = (
    "nobody waits for it, and it is tried again by itself: see that the Redis of `state.redis` is there and answers "
    "within `state.timeout`"
)

_USER = Term("header", "X-User-Id")

#: A cap, whether all callers share it, and whether it is there for an exchange; None for always.
_Placed = tuple[bool, Cap, Met | None]
#: Makes of what something wants of flags whether it is there.
_Under = Callable[[Sequence[Wanted]], Met | None]


@dataclass(slots=True)
class Built:
    """What a config has of rules and caps, until `install` makes it what is in force."""

    rules: dict[str, list[RunningRule]] = field(default_factory=dict)
    caps: list[str] = field(default_factory=list)


class RouteGates(NamedTuple):
    """What a route's requests pass; the caps, on a cached route, only what goes to the upstream."""

    rates: list[Gate]
    caps: list[Gate]


class Gates(NamedTuple):
    """A listener's gates: of its routes, and of requests that none of them takes."""

    of_routes: list[RouteGates]
    of_the_rest: list[Gate]


@dataclass(slots=True)
class _Sharing:
    """The shared state of one `state:` section; all None where it names no Redis."""

    settings: State
    shared: Shared | None = None
    tokens: TokenLeases | None = None
    slots: SlotLeases | None = None


class Protection:
    """The parts, and the way from settings to them."""

    def __init__(self, metrics: Metrics, health: Health, log: Log) -> None:
        self._log = log
        self._health = health
        self.events = SecurityEvents(log)
        self._local = MemoryBuckets()
        self._fallback = MemoryBuckets()
        self.limits = RateLimits(self._local, self._fallback)
        self.caps = Caps()
        self._sharing = _Sharing(State())
        self._floods = Offenders()
        metrics.watch("limits", self._families)

    # ---- the shared state

    async def prepare(self, settings: State) -> _Sharing:
        """Connect to the state of a new config, where it is another; `build` then builds for it.

        Takes about a second, three at most, where it is not there, which is no reason to stop. Raises OSError when a
        certificate file cannot be read.
        """
        before = self._sharing
        if settings == before.settings:
            return before
        sharing = _Sharing(settings)
        if settings.redis is not None:
            tls = RedisTls(**settings.tls.model_dump())
            breaker = settings.breaker
            with about("state.tls"):
                sharing.shared = shared = Shared(
                    parse_redis_url(settings.redis.get_secret_value()),
                    tls,
                    settings.name,
                    settings.timeout,
                    breaker.failures,
                    breaker.reset,
                    self._fallback,
                    self._moved,
                )
            sharing.tokens = TokenLeases(shared, lambda: shared.replicas, timeout=settings.timeout)
            sharing.slots = SlotLeases(shared, lambda: shared.replicas, self._log.bug, settings.timeout)
            await shared.start()
        self._use(sharing)
        return sharing

    async def settle(self, sharing: _Sharing) -> None:
        """Go on with this one, which `prepare` gave, and let go of the other."""
        before, self._sharing = self._sharing, sharing
        self._use(sharing)
        if before is sharing:
            return
        await _close(before, leave=False)
        if sharing.shared is None:
            self._health.forget("state")
        else:
            self._health.part("state", sharing.shared.health, _STATE_DOWN)

    async def abandon(self, sharing: _Sharing) -> None:
        """Go on with the one before: the config that wanted this one could not be applied."""
        self._use(self._sharing)
        if sharing is not self._sharing:
            await _close(sharing)

    async def close(self) -> None:
        """End everything that runs."""
        await _close(self._sharing)

    def _use(self, sharing: _Sharing) -> None:
        self.limits.shared, self.limits.leases = sharing.shared, sharing.tokens
        self.limits.patience = sharing.settings.timeout
        self.caps.leases = sharing.slots

    def _moved(self, up: bool, why: str) -> None:
        if up:
            self._log.info("state_up", backend=Shared.backend)
        else:
            self._log.warning("state_down", backend=Shared.backend, reason=why, hint="limits hold locally meanwhile")

    # ---- from settings to gates

    def gates(self, name: str, listener: Listener, totals: Sequence[float], built: Built, under: _Under) -> Gates:
        """Rate limits and caps of a listener's routes; `totals` are the routes' total timeouts, inf for none.

        `under` makes of what a rule or a cap wants of flags whether it is there.
        """
        rates = rate_limit.build(name, listener, self.limits, self.events, under)
        built.rules[name] = rates.rules
        common = self._caps(name, "listener", f"{name}//", listener.in_flight or (), listener.user, built, under)
        gates: list[RouteGates] = []
        for route, total, rate in zip(listener.routes, totals, rates.gates, strict=True):
            caps = (
                []
                if route.in_flight is None
                else [*self._route_caps(name, route, listener.user, built, under), *common]
            )
            gates.append(_gates(rate, caps, total))
        unrouted = _gates(rates.unrouted, common, inf)
        return Gates(gates, [*unrouted.rates, *unrouted.caps])

    def upstream_caps(self, name: str, settings: Upstream, built: Built, under: _Under) -> list[Cap | CapWhen]:
        """An upstream's caps. Whose a call is, it is told by the fields that the app sends."""
        caps = self._caps(name, "upstream", f"upstream/{name}/", settings.in_flight or (), _USER, built, under)
        return [cap if met is None else CapWhen(cap, met) for cap, met in _narrow_first(caps)]

    def fields_read(self, name: str, listener: Listener, upstreams: Iterable[Upstream]) -> frozenset[bytes]:
        """The request fields that a listener's gates read."""
        caps = [*(listener.in_flight or ()), *(cap for route in listener.routes for cap in route.in_flight or ())]
        terms = [term for cap in caps for term in rate_key.resolve(cap.by, listener.user)]
        for upstream in upstreams:
            terms += [term for cap in upstream.in_flight or () for term in rate_key.resolve(cap.by, _USER)]
        return rate_limit.fields_read(name, listener) | rate_key.fields(terms)

    def install(self, built: Built, listeners: Iterable[str]) -> None:
        """From here on these rules and caps are what there is."""
        for name in listeners:
            self.limits.install(name, built.rules.get(name, []))
        self.caps.keep(built.caps)

    def _route_caps(self, listener: str, route: Route, user: Term, built: Built, under: _Under) -> list[_Placed]:
        prefix = f"{listener}/{route.name}/"
        return self._caps(route.name, "route", prefix, route.in_flight or (), user, built, under, route.path)

    def _caps(
        self,
        owner: str,
        scope: str,
        prefix: str,
        settings: Sequence[InFlightCap],
        user: Term,
        built: Built,
        under: _Under,
        pattern: str = "",
    ) -> list[_Placed]:
        """The caps of one place, by whose owner's name those without one are called."""
        caps: list[_Placed] = []
        for name, cap in zip(in_flight.names(owner, settings), settings, strict=True):
            by = rate_key.resolve(cap.by, user)
            read = None
            if not rate_key.is_constant(by):
                read = rate_key.reader(by, pattern, share=cap.absent == "share")
            built.caps.append(prefix + name)
            made = self.caps.cap(prefix + name, scope, name, cap, read)
            caps.append((read is None, made, under(cap.when)))
        return caps

    # ---- what is seen of it

    def malformed(self, listener: str, peer: str) -> None:
        """Count a peer's malformed request; one that sends them again and again is a security event."""
        now = monotonic()
        name = peer.encode()
        if self._floods.check(name, now) is None and self._floods.refused(name, _FLOOD, now) is not None:
            self.events.malformed_flood(listener, peer)

    def backends(self) -> dict[str, bool]:
        """Where limits are kept, and whether each answers."""
        shared = self._sharing.shared
        return {"memory": True} if shared is None else {"memory": True, shared.backend: shared.up}

    def _families(self) -> Iterator[Family]:
        yield from families.of_rules(rule.counts for rule in self.limits.rules())
        yield from families.of_caps(self.caps)
        yield from families.of_state(self.backends(), len(self._local))
        yield from families.of_security(self.events.counts)


def _narrow_first(caps: Sequence[_Placed]) -> list[tuple[Cap, Met | None]]:
    """Callers' own caps before those that all share, so that who waits for the one keeps nobody from the other.

    By the settings to come: a cap that was there before goes by them only once they are in force.
    """
    return [(cap, met) for _, cap, met in sorted(caps, key=itemgetter(0))]


def _gates(rate: Gate | None, placed: Sequence[_Placed], total: float) -> RouteGates:
    caps = _narrow_first(placed)
    gates: list[Gate] = []
    if any(met is not None for _, met in caps):
        gates = [InFlightWhen(caps, total)]
    elif caps:
        gates = [InFlight([cap for cap, _ in caps], total)]
    return RouteGates([] if rate is None else [rate], gates)


async def _close(sharing: _Sharing, *, leave: bool = True) -> None:
    if sharing.slots is not None:
        await sharing.slots.close()
    if sharing.tokens is not None:
        await sharing.tokens.close()
    if sharing.shared is not None:
        await sharing.shared.close(leave=leave)
