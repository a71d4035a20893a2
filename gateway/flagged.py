"""What a config has requests ask of flags: contexts, gates, conditions, and OFREP. Assembly owns it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.entropy import Entropy
from gateway.flagging import here
from gateway.flags.answering import Tally
from gateway.flags.evaluator import Evaluator
from gateway.flags.gates import Flagged, FlaggedRoute, Strip, Tell, said_by
from gateway.flags.ofrep import PATTERN, Ofrep
from gateway.flags.registry import Registry
from gateway.flags.request_context import Reading, Sources
from gateway.gate import Met
from gateway.policies import flags, require
from gateway.rules.flags.forced import Forced
from gateway.settings import Listener, Route, Settings
from gateway.settings.wanted import Wanted


class Asking:
    """Asks for one config; answers are counted in `tally`."""

    def __init__(self, settings: Settings, registry: Registry, tally: Tally, entropy: Entropy) -> None:
        context, override = settings.flags.context, settings.flags.override
        self._flags = settings.flags
        self._here = here(settings)
        self._registry = registry
        self._tally = tally
        self._entropy = entropy
        self._sources = Sources(
            context.user, context.session, context.groups, context.environment, context.app, context.properties
        )
        self._forced: Forced | None = None
        if override is not None:
            token = "" if override.token is None else override.token.get_secret_value()
            self._forced = Forced(override.header, override.networks, token)
        self._evaluator = Evaluator(registry, tally, Reading(self._sources, entropy), self._forced)

    def fields_read(self) -> frozenset[bytes]:
        """The request fields by which flags are asked."""
        defined = self._flags
        if not defined.in_use:
            return frozenset()
        found = self._sources.fields(self._registry.read | self._registry.current.fields)
        return found if self._forced is None else found | {self._forced.name}

    def under(self, wanted: Sequence[Wanted]) -> Met | None:
        """What tells whether all of these hold for an exchange; None where there are none."""
        return self._evaluator.met([one.rule for one in wanted])

    def of(self, listener: Listener, *, ingress: bool) -> Flagged | None:
        """What a listener's routes ask; None where there are no flags, and requests pass as they are."""
        if not self._flags.in_use:
            return None
        routes = [self._route(listener, route) for route in listener.routes]
        # A client's word about a flag is stopped wherever an app might take it for ours.
        strips = ingress or any(route.tell is not None for route in routes)
        strip = Strip(self._evaluator, None if self._forced is None else self._forced.name) if strips else None
        return Flagged(strip, routes)

    def ofrep(self) -> tuple[str, str, Ofrep] | None:
        """Its route's label and pattern, and what answers; None where nobody wants it."""
        ofrep = self._flags.ofrep
        if ofrep is None:
            return None
        token = None if ofrep.token is None else ofrep.token.get_secret_value()
        base, random = ofrep.path.rstrip("/"), self._entropy.take
        answers = Ofrep(base, lambda: self._registry.current, random, self._tally, self._here, token)
        return "ofrep", base + PATTERN, answers

    def _route(self, listener: Listener, route: Route) -> FlaggedRoute:
        told, wanted = flags.resolve(listener, route), require.resolve(listener, route)
        tell = Tell(self._evaluator, told) if told else None
        others = {one.flag for one in (*route.when, *wanted)} - set(told)
        return FlaggedRoute(
            self.under(route.when),
            self.under(wanted),
            tell,
            said_by(self._evaluator, tell, sorted(others)) if told or others else None,
        )
