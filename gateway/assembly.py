"""Settings to a running gateway: the only place that knows every part, imported by the command line alone.

`start` brings everything up, `apply` swaps a new config in between two requests, `drain_ingress` and then `end` end
it. What belongs to a name (a breaker's state, a route's counts, an upstream's connections where its address is the
same) outlives a reload.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from time import monotonic
from weakref import WeakSet

from gateway import build, operations, watch_operations
from gateway.admin.ports import Ports
from gateway.caching import Caching
from gateway.control import Control, shown
from gateway.entropy import Entropy
from gateway.errands import Errands
from gateway.faults import about
from gateway.flagged import Asking
from gateway.flagging import Flagging
from gateway.flags.answering import Tally
from gateway.forwarding import Forwarding
from gateway.journal import Journal
from gateway.listeners.listener import Listener
from gateway.pipeline import Pipeline, Snapshot
from gateway.protection import Built, Protection
from gateway.rules import request_head
from gateway.settings import Listener as ListenerSettings
from gateway.settings import Settings
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.exposition import Scraper
from gateway.telemetry.flags import families as flag_families
from gateway.telemetry.health import Health, State
from gateway.telemetry.log import Log
from gateway.telemetry.loop_lag import LoopLag
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recent import Recent
from gateway.upstreams.upstream import Upstream

INGRESS, EGRESS = "ingress", "egress"

# What to do about what a part says.
_LATE = (
    "every request waits while something else has the processor: look at the container's CPU limit and throttling, "
    "and at gateway_event_loop_lag_seconds"
)
_LINES_LOST = "requests are served all the same: see who reads standard output, and whether it keeps up"
_CONFIG_REFUSED = (
    "`config_refused` in the log has each mistake with its line, as `gateway check FILE` has; once the file is "
    "right, it is taken up by itself"
)


@dataclass(slots=True)
class _Running:
    """A listener with the address its config names and the pipeline behind it."""

    bind: tuple[str, int]
    listener: Listener
    pipeline: Pipeline


class Gateway:
    """A gateway in this process, on the running event loop."""

    def __init__(self, settings: Settings, log: Log, access_log: AccessLog, metrics: Metrics, health: Health) -> None:
        self.settings = settings
        self._log = log
        self._access_log = access_log
        self._metrics = metrics
        self._health = health
        self._protection = Protection(metrics, health, log)
        self._caching = Caching(metrics, health, log, Errands(INGRESS, self._serving).fetch)
        self._tally = Tally()
        metrics.watch("flags", lambda: flag_families(self._tally.counts()))
        self._flagging = Flagging(health, log, os.environ)
        self._forwarding = Forwarding(metrics, health, log)
        self._journal = Journal(metrics, log, access_log, self._protection)
        self._entropy = Entropy()
        self._lag = LoopLag(metrics.loop_lag)
        self._recent = Recent(metrics, self._counted_beside)
        self._running: dict[str, _Running] = {}
        #: Those that end, too.
        self._listeners: WeakSet[Listener] = WeakSet()
        #: Listeners that a reload has replaced, as they finish what they have.
        self._leaving: dict[asyncio.Task[bool], str] = {}
        self._drained = False
        self._warming: asyncio.Task[None] | None = None
        #: Called when the admin API is told to drain.
        self.told_to_drain: Callable[[], None] = lambda: None
        self._control = Control(health, Scraper(metrics), self._ports(), log)

    async def start(self) -> None:
        """Bring everything up. Raises OSError when an address cannot be had."""
        self._lag.start()
        self._recent.start()
        self._health.part("event_loop", self._lag.health, _LATE)
        self._health.part("access_log", self._access_log.health, _LINES_LOST)
        self._health.part("config", self._config_state, _CONFIG_REFUSED)
        await self.apply(self.settings)
        if self.settings.cache.warm is None:
            self._ready()
        else:
            self._warming = asyncio.get_running_loop().create_task(self._warm())

    async def apply(self, settings: Settings) -> None:
        """Serve by these settings from the next request on.

        Raises OSError when something they name (an address, a certificate) cannot be had; nothing has changed then.
        """
        sections = {INGRESS: settings.ingress, EGRESS: settings.egress}
        opened: dict[str, _Running] = {}
        built = Built()
        async with AsyncExitStack() as undo:  # when cancelled too, by the end of the process
            sharing = await self._protection.prepare(settings.state)
            undo.push_async_callback(self._protection.abandon, sharing)
            tier = await self._caching.prepare(settings)
            undo.push_async_callback(self._caching.abandon, tier)
            keeping = await self._flagging.prepare(settings)
            undo.push_async_callback(self._flagging.abandon, keeping)
            upstreams = self._forwarding.prepare(settings)
            undo.callback(self._forwarding.abandon, settings)
            undo.callback(self._forget, opened)
            asking = Asking(settings, self._flagging.registry, self._tally, self._entropy)
            for name, section in sections.items():
                if section is not None and not self._keeps_address(name, section):
                    opened[name] = await self._open(name, section, settings, upstreams, built, asking)
            beside = await self._control.prepare(settings)
            undo.pop_all()
        # Nothing can fail any more.
        self._flagging.install(keeping, settings)
        for name, section in sections.items():
            self._swap(name, section, settings, upstreams, opened, built, asking)
        caps = partial(self._protection.upstream_caps, built=built, under=asking.under)
        self._forwarding.settle(upstreams, settings, caps, asking.under)
        self._protection.install(built, sections)
        self._journal.access = settings.log.access
        self._log.configure(fmt=settings.log.format, level=settings.log.level)
        self._access_log.configure(fmt=settings.log.format)
        self.settings = settings
        await self._control.settle(beside, settings)
        await self._protection.settle(sharing)
        await self._caching.settle(tier, settings)
        await self._flagging.settle(keeping)

    def begin_draining(self) -> None:
        """Readiness goes, and ingress tells its clients to go elsewhere; everything is still served."""
        if self._warming is not None:
            self._warming.cancel()
        self._health.draining()
        self._log.info("draining")
        if INGRESS in self._running:
            self._running[INGRESS].listener.draining = True

    @property
    def has_egress(self) -> bool:
        """Whether there is an egress, which the app may go on to use when ingress has drained."""
        return EGRESS in self._running

    async def drain_ingress(self, deadline: float) -> bool:
        """Ingress takes no more, and finishes what it has; what it has not by `deadline` (the loop's time) is cut.

        True when nothing was. Egress goes on: what ingress finishes may need it until its last answer.
        """
        clean = await self._finish(INGRESS, deadline)
        self._drained = True
        self._log.info("drained", clean=clean)
        return clean

    async def end(self, deadline: float) -> bool:
        """The same for egress, and then the end of everything."""
        clean = await self._finish(EGRESS, deadline)
        for task in list(self._leaving):
            task.cancel()
        if self._warming is not None:
            self._warming.cancel()
        await self._forwarding.close()
        await self._caching.close()
        await self._protection.close()
        await self._control.stop()
        await self._flagging.close()
        self._lag.stop()
        self._recent.stop()
        self._log.info("stopped", clean=clean)
        return clean

    # ---- inside

    def _forget(self, opened: dict[str, _Running]) -> None:
        """A config could not be applied: close what was opened for it."""
        for running in opened.values():
            running.listener.stop()

    def _ready(self) -> None:
        self._health.ready()
        self._log.info("ready")

    async def _warm(self) -> None:
        await self._caching.warm(self.settings)
        self._ready()

    def _ports(self) -> Ports:
        return Ports(
            operations.Breakers(self._forwarding.breakers),
            operations.Limits(self._protection.limits, self._protection.caps),
            operations.Config(lambda: self.settings),
            operations.Process(self._health, lambda: self.told_to_drain(), self._standing),  # noqa: PLW0108 - it is set later
            operations.Events(self._protection.events, self._log),
            self._caching.operations(lambda: self.settings),
            self._flagging.operations(lambda: self.settings, self._entropy.take),
            watch_operations.Watch(self._inside()),
            watch_operations.LogLevels(self._log.level),
        )

    def _inside(self) -> watch_operations.Inside:
        return watch_operations.Inside(
            self._health,
            self._metrics,
            self._recent,
            self._journal.slow,
            lambda: self._listeners,
            self._forwarding.pools,
            self._protection.backends,
        )

    def _counted_beside(self) -> dict[str, int]:
        answered, fetched = self._caching.metrics.answers()
        return {watch_operations.ANSWERED: answered, watch_operations.FETCHED: fetched}

    def _serving(self) -> tuple[Snapshot, request_head.Interest] | None:
        """By what ingress serves now."""
        running = self._running.get(INGRESS)
        return None if running is None else (running.pipeline.snapshot, running.listener.interest)

    def _keeps_address(self, name: str, section: ListenerSettings) -> bool:
        running = self._running.get(name)
        return running is not None and running.bind == (section.bind.host, section.bind.port)

    async def _open(
        self,
        name: str,
        section: ListenerSettings,
        settings: Settings,
        upstreams: dict[str, Upstream],
        built: Built,
        asking: Asking,
    ) -> _Running:
        pipeline = Pipeline(self._snapshot(name, section, settings, upstreams, built, asking), self._journal)
        part = self._metrics.listener(name)
        interest = self._interest(name, section, settings, asking)
        listener = Listener(name, section.limits, interest, pipeline, self._journal.bug, part)
        with about(f"{name}.bind {shown(section.bind.host, section.bind.port)}"):
            host, port = await listener.start(section.bind.host, section.bind.port)
        self._listeners.add(listener)
        self._log.info("listening", listener=name, address=shown(host, port))
        return _Running((section.bind.host, section.bind.port), listener, pipeline)

    def _interest(
        self, name: str, section: ListenerSettings, settings: Settings, asking: Asking
    ) -> request_head.Interest:
        also = self._protection.fields_read(name, section, settings.upstreams.values())
        also |= self._caching.fields_read(section) | asking.fields_read()
        return request_head.Interest(settings.correlation.header, ingress=name == INGRESS, also=also)

    def _snapshot(
        self,
        name: str,
        section: ListenerSettings,
        settings: Settings,
        upstreams: dict[str, Upstream],
        built: Built,
        asking: Asking,
    ) -> Snapshot:
        def warn(peer: str) -> None:
            self._log.warning(
                "forwarded_fields_dropped",
                listener=name,
                peer=peer,
                hint="a peer in a private network sends X-Forwarded-* fields; is it a proxy for trusted_proxies?",
            )

        ways = build.ways(section, upstreams, settings.upstreams, egress=name == EGRESS)
        flagged = asking.of(section, ingress=name == INGRESS)
        gates = self._protection.gates(name, section, [way.total for way in ways], built, asking.under)
        caps = [gate.caps for gate in gates.of_routes]
        shelves = self._caching.shelves(name, section, ways, caps, flagged, asking.under)
        ofrep = asking.ofrep() if name == EGRESS else None
        own = [] if ofrep is None else [build.Own(*ofrep)]
        seen = settings.correlation, self._entropy, self._metrics, warn
        return build.snapshot(name, section, ways, gates, shelves, *seen, own, flagged)

    def _swap(
        self,
        name: str,
        section: ListenerSettings | None,
        settings: Settings,
        upstreams: dict[str, Upstream],
        opened: dict[str, _Running],
        built: Built,
        asking: Asking,
    ) -> None:
        """Put one listener's new snapshot, or its successor, in place."""
        running = self._running.get(name)
        if section is None or name in opened:
            if running is not None:
                self._let_go(self._running.pop(name).listener, settings.drain.timeout)
            if name in opened:
                self._running[name] = opened[name]
        elif running is not None:
            before = running.pipeline.snapshot
            running.pipeline.snapshot = after = self._snapshot(name, section, settings, upstreams, built, asking)
            running.listener.reconfigure(section.limits, self._interest(name, section, settings, asking))
            for route in {route.name for route in before.routes} - {route.name for route in after.routes}:
                self._metrics.forget_route(name, route)
        if name in self._running:
            self._health.part(name, lambda: ("healthy", ""))
        else:
            self._health.forget(name)

    def _let_go(self, listener: Listener, timeout: float) -> None:
        """Have a listener that is no longer wanted finish what it has."""
        listener.draining = True
        listener.stop_accepting()
        task = asyncio.get_running_loop().create_task(listener.drain(monotonic() + timeout))
        self._leaving[task] = listener.name
        task.add_done_callback(self._leaving.pop)

    async def _finish(self, name: str, deadline: float) -> bool:
        """Have a listener, and those before it that a reload has replaced, finish by `deadline`, or be cut."""
        clean = True
        running = self._running.get(name)
        if running is not None:
            running.listener.draining = True
            running.listener.stop_accepting()
            clean = await running.listener.drain(deadline)
            del self._running[name]
        leaving = [task for task, of in self._leaving.items() if of == name]
        if leaving:
            _, late = await asyncio.wait(leaving, timeout=max(deadline - asyncio.get_running_loop().time(), 0))
            clean &= not late
        return clean

    def _standing(self) -> operations.Standing:
        under_way = {name: running.listener.in_flight() for name, running in self._running.items()}
        return operations.Standing(self._drained, under_way)

    def _config_state(self) -> tuple[State, str]:
        if self._metrics.config.ok:
            return "healthy", ""
        return "degraded", "the newest config was refused; the one before it is in use"
