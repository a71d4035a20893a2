"""The upstreams of a process and their breakers: kept by name across configs, and what is seen of them.

What belongs to a name outlives a reload: a breaker's state always, the connections where address, certificates and
key are the same. Assembly owns it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from gateway import build
from gateway.caps.cap import Cap
from gateway.caps.cap_when import CapWhen
from gateway.errors import GatewayError
from gateway.gate import Met
from gateway.rules.breaker import HALF_OPEN
from gateway.rules.response_head import Interest
from gateway.settings import Settings
from gateway.settings import Upstream as UpstreamSettings
from gateway.settings.wanted import Wanted
from gateway.telemetry.health import Health, State
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.upstreams.breaker import Breaker
from gateway.upstreams.pool import Pool
from gateway.upstreams.startup import Startup, Told
from gateway.upstreams.upstream import Upstream

#: Makes an upstream's caps, by its name.
_Caps = Callable[[str, UpstreamSettings], Sequence[Cap | CapWhen]]
#: Makes of what something wants of flags whether it is there.
_Under = Callable[[Sequence[Wanted]], Met | None]


class Forwarding:
    """The parts, and the way from settings to them."""

    def __init__(self, metrics: Metrics, health: Health, log: Log) -> None:
        self._metrics = metrics
        self._health = health
        self._log = log
        self._began = monotonic()
        self._settings: dict[str, UpstreamSettings] = {}
        self._upstreams: dict[str, Upstream] = {}
        #: By their upstreams' names; changed in place.
        self.breakers: dict[str, Breaker] = {}

    def prepare(self, settings: Settings) -> dict[str, Upstream]:
        """New upstreams, and the old ones where address, certificates and key are the same.

        Raises OSError, with nothing left behind, when a certificate file cannot be read.
        """
        interest = Interest(settings.correlation.header)
        upstreams: dict[str, Upstream] = {}
        try:
            for name, section in settings.upstreams.items():
                current = self._upstreams.get(name)
                if current is not None and _same(self._settings[name], section):
                    upstreams[name] = current
                else:
                    upstreams[name] = build.upstream(
                        name, section, interest, None, self._metrics, partial(self._connected, name)
                    )
        except BaseException:
            self.abandon(settings)
            raise
        return upstreams

    def abandon(self, settings: Settings) -> None:
        """Forget what `prepare` has made: the config could not be applied."""
        for name in settings.upstreams.keys() - self._upstreams.keys():
            self._metrics.forget_upstream(name)

    def settle(self, upstreams: dict[str, Upstream], settings: Settings, caps: _Caps, under: _Under) -> None:
        """Go on with these, which `prepare` gave, with their settings and breakers, and let the others go."""
        over = self._began + settings.startup_wait
        waited_for = {route.upstream for route in settings.ingress.routes} if settings.ingress else set()
        for name, upstream in upstreams.items():
            section = settings.upstreams[name]
            self._await(upstream, over if name in waited_for else 0.0)
            upstream.pool.reconfigure(section.pool, Interest(settings.correlation.header))
            if section.breaker is None:
                self.breakers.pop(name, None)
            elif name in self.breakers:
                self.breakers[name].reconfigure(build.rule(section.breaker), section.breaker.statuses)
            else:
                self.breakers[name] = build.breaker(name, section.breaker, self._moved)
            upstream.caps = caps(name, section)
            upstream.breaker_when = None if section.breaker is None else under(section.breaker.when)
            upstream.breaker = breaker = self.breakers.get(name)
            part = self._metrics.upstream(name)
            part.watch_connections(upstream.pool.states)
            part.breaker = None if breaker is None else partial(_state, breaker)
            self._health.part(f"upstream:{name}", partial(_health, upstream), partial(_advice, upstream))
        for name, upstream in self._upstreams.items():
            if upstreams.get(name) is not upstream:
                upstream.pool.retire()
            if name not in upstreams:
                self._metrics.forget_upstream(name)
                self._health.forget(f"upstream:{name}")
                self.breakers.pop(name, None)
        self._settings, self._upstreams = dict(settings.upstreams), upstreams

    def pools(self) -> dict[str, Pool]:
        """The connections of each upstream, by its name."""
        return {name: upstream.pool for name, upstream in self._upstreams.items()}

    async def close(self) -> None:
        """Close every connection."""
        for upstream in self._upstreams.values():
            await upstream.pool.close()

    def _await(self, upstream: Upstream, over: float) -> None:
        """Have requests of ingress wait until it is up, or until `over`; who waits already keeps to what was said."""
        if upstream.pool.accepted or monotonic() >= over:
            upstream.startup = None
        elif upstream.startup is not None:
            upstream.startup.over = over
        else:
            upstream.startup = Startup(upstream.pool, over, partial(self._startup, upstream), self._log.bug)

    def _startup(self, upstream: Upstream, told: Told) -> None:
        after = round(monotonic() - self._began, 3)
        waited, upstream.startup = upstream.startup, upstream.startup if told == "waiting" else None
        if told == "waiting":
            self._log.info("upstream_starting", upstream=upstream.name)
        elif waited is not None and waited.held:
            log = self._log.info if told == "up" else self._log.warning
            log("upstream_started" if told == "up" else "upstream_not_started", upstream=upstream.name, after=after)

    def _connected(self, name: str, address: str, seconds: float, error: GatewayError | None) -> None:
        took = round(1000 * seconds, 3)
        if error is None:
            self._log.debug("upstream_connected", upstream=name, address=address, ms=took)
        else:
            self._log.debug(
                "upstream_not_connected",
                upstream=name,
                error=error.slug,
                reason=str(error.__cause__ or error),
                ms=took,
            )

    def _moved(self, name: str, old: str, new: str) -> None:
        self._metrics.upstream(name).transition(new.replace("-", "_"))
        self._log.warning("breaker", upstream=name, state=new, was=old)


def _same(before: UpstreamSettings, section: UpstreamSettings) -> bool:
    """Whether one's connections can be the other's; certificates are rotated under the same name."""
    keys = ("url", "tls", "api_key", "preset")
    return section.tls.ca is None and all(getattr(before, key) == getattr(section, key) for key in keys)


def _state(breaker: Breaker) -> int:
    return breaker.state(monotonic())


def _health(upstream: Upstream) -> tuple[State, str]:
    startup, breaker = upstream.startup, upstream.breaker
    if startup is not None and startup.held:
        return "degraded", f"waiting for the app to start; {startup.held} requests are held"
    state = 0 if breaker is None else breaker.state(monotonic())
    if breaker is None or state == 0:
        return "healthy", ""
    if breaker.held:
        return "degraded", "the breaker is held open by hand"
    return "degraded", "the breaker is open" if state == 2 else "the breaker is half-open"


def _advice(upstream: Upstream) -> str:
    name, startup, breaker = upstream.name, upstream.startup, upstream.breaker
    if startup is not None and startup.held:
        return (
            "they go on when it accepts a connection, or get 503 when `startup_wait` is over: see how the app starts"
        )
    if breaker is not None and breaker.held:
        return f"its calls get 503 until somebody closes it: `gateway breakers close {name}`"
    if breaker is not None and breaker.state(monotonic()) == HALF_OPEN:
        return "its next calls go through, one at a time, and it closes when enough of them succeed: others get 503"
    return (
        "its calls get 503 meanwhile, and it closes by itself when the upstream answers again: the access log's "
        f"lines with this upstream say how it failed; `gateway breakers close {name}` has it asked at once"
    )
