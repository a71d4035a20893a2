"""`in_flight:` how many requests may be under way at once, on a listener, a route or an upstream, or for each key.

A slot is held to the exchange's very end, streams and tunnels too. The decisions are in rules, the caps themselves
in caps; here are the settings, the caps by their ids, and the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from time import monotonic
from typing import Annotated

from gateway.caps.cap import Cap, Read
from gateway.caps.leases import Leases
from gateway.caps.shared_cap import SharedCap
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import WAIT, Met, Verdict
from gateway.rules.adaptive_limit import AdaptiveRule
from gateway.rules.rate_key import ROUTE, Term, is_constant
from gateway.settings.rates import parse_term
from gateway.settings.types import (
    Alternative,
    Choice,
    Duration,
    Section,
    Several,
    Share,
    Switch,
    Text,
    Whole,
    parse_name,
)
from gateway.settings.wanted import Wants

#: Ways for some of a gate's caps to be there that are remembered.
_REMEMBERED = 256
_COUNT = Whole(low=1, high=1_000_000)


class Adaptive(Section):
    """How a cap finds its limit itself."""

    floor: Annotated[int, _COUNT] = 20
    """The limit starts here and never falls below."""
    ceiling: Annotated[int, _COUNT] = 1000
    """It never rises above."""
    tolerance: Annotated[float, Share(high=1)] = 0.5
    """How much slower than usual answers may be before the limit shrinks."""
    window: Annotated[float, Duration(low=0.05, high=60)] = 0.25
    """The limit moves once in this time, by the answers in it."""
    baseline: Annotated[float, Duration(low=1, high=3600)] = 60.0
    """The time over which is taken what is usual."""

    def model_post_init(self, _: object) -> None:
        """Raises ValueError where the rule would."""
        self.rule()

    def rule(self) -> AdaptiveRule:
        """These settings as the rule that decides."""
        return AdaptiveRule(self.floor, self.ceiling, self.tolerance, self.window, self.baseline)


class InFlightCap(Section):
    """One cap. With `by`, limit and queue are those of each key."""

    name: Annotated[str, Text(read=parse_name)] = ""
    """What a refusal, a metric and the admin API call it; after the place where it stands, if it is not written."""
    limit: Annotated[int | None, Whole(optional=True, low=1, high=1_000_000)] = None
    """Requests under way at once; needed unless it is adaptive."""
    queue: Annotated[int, Whole(high=1_000_000)] = 0
    """Requests that may wait for a slot."""
    wait: Annotated[float, Duration(high=3600)] = 1.0
    """How long each of them waits at most, and never longer than its own `total` timeout."""
    order: Annotated[str, Choice(words=("fifo", "lifo"))] = "fifo"
    """Whose turn it is: the first to have come, or the newest, so that under overload some are served in time."""
    by: Annotated[tuple[Annotated[Term, Text(read=parse_term)], ...], Several()] = (ROUTE,)
    """A cap of its own for each of these: ip, user, header:NAME, cookie:NAME, path:PARAM, jwt:CLAIM, or a list."""
    absent: Annotated[str, Choice(words=("share", "skip", "refuse"))] = "share"
    """A request without the key shares one cap with its like, is not capped, or gets 400."""
    shared: Annotated[bool, Switch()] = False
    """One cap for all replicas, by way of Redis."""
    adaptive: Annotated[Adaptive | None, Alternative(true=True)] = None
    """The limit finds itself, from latency and timeouts; `true` for the defaults."""
    when: Wants = ()
    """Flags without which a request neither needs nor takes a slot of it."""

    def model_post_init(self, _: object) -> None:
        """Raises ValueError for what does not go together."""
        if self.adaptive is None:
            if self.limit is None:
                raise ValueError("needs limit, or adaptive")
        elif self.limit is not None:
            raise ValueError("an adaptive cap has a floor and a ceiling in the place of limit")
        elif not is_constant(self.by) or self.shared:
            raise ValueError("an adaptive cap can be neither by key nor shared")

    @property
    def finds_itself(self) -> AdaptiveRule | None:
        """How the limit finds itself, where it does."""
        return None if self.adaptive is None else self.adaptive.rule()


#: How each cap is written: a mapping, or a number for `{limit: NUMBER}`.
EACH = Alternative(short=_COUNT, key="limit")
#: How `in_flight:` is written: a list of caps, or one; `false` for none, on a route not the listener's either.
WAYS = Several(off=True, none=None)


def names(owner: str, settings: Sequence[InFlightCap]) -> list[str]:
    """What the caps of a listener, route or upstream are called: by their names, or the owner's and their place."""
    taken = {cap.name for cap in settings}
    named = []
    for place, cap in enumerate(settings, 1):
        name = cap.name or next(
            name for name in (f"{owner}-{number}" for number in count(place)) if name not in taken
        )
        taken.add(name)
        named.append(name)
    return named


class Caps:
    """Every cap there is, by id, in the config's order; who is in flight outlives a reload.

    A config asks for its caps with `cap`. Until it is in force, with `keep`, nothing has changed for the one before.
    """

    def __init__(self) -> None:
        self._caps: dict[str, Cap] = {}
        self._asked: dict[str, tuple[Cap, str, str, InFlightCap, Read | None]] = {}
        self._wanted: frozenset[str] = frozenset()
        #: Where shared caps get their slots; without it they are each replica's own.
        self.leases: Leases | None = None

    def __iter__(self) -> Iterator[Cap]:
        self._forget()
        return iter(list(self._caps.values()))

    def cap(self, id: str, scope: str, name: str, settings: InFlightCap, read: Read | None = None) -> Cap:
        """The cap of this id, which goes by these settings from `keep` on, a new one at once.

        `scope` and `name` are for metrics and refusals; `read` reads the key, None for a cap that has none.
        """
        leases = self.leases if settings.shared else None
        cap = self._caps.get(id)
        if cap is None or cap.leases is not leases:
            # Where a cap becomes shared, or is so no more, whoever is in flight gives back to the one before.
            if leases is None:
                cap = Cap(id, scope, name, settings, read)
            else:
                cap = SharedCap(id, scope, name, settings, read, leases)
        self._asked[id] = cap, scope, name, settings, read
        return cap

    def keep(self, ids: Iterable[str]) -> None:
        """These are the caps now, in this order; the others go when the last request has left them."""
        asked, self._asked = self._asked, {}
        kept = {}
        for id_ in ids:
            if id_ in asked:
                kept[id_], scope, name, settings, read = asked[id_]
                kept[id_].configure(scope, name, settings, read)
            elif id_ in self._caps:
                kept[id_] = self._caps[id_]
        self._wanted = frozenset(kept)
        self._caps = {**kept, **{id_: cap for id_, cap in self._caps.items() if id_ not in kept}}
        self._forget()

    def _forget(self) -> None:
        for cap in list(self._caps.values()):
            if cap.id not in self._wanted and not cap.in_flight and not cap.queued:
                del self._caps[cap.id]


class InFlight:
    """The gate: a request passes when it holds a slot of each of these caps, and holds none while it does not pass.

    Slots are taken in a fixed order, the narrow ones first: a caller's, the route's, the listener's (and in forward
    the upstream's). While it waits for one a request keeps those before it. So nobody waits in a circle, and what a
    waiting request keeps from others is only ever the narrower: the queue of a slow route takes none of the
    listener's slots from the other routes.
    """

    __slots__ = ("_caps", "_one", "_total")

    def __init__(self, caps: Sequence[Cap], total: float) -> None:
        """`caps` in that order. `total` is how long an exchange may take from its start, seconds; inf for no end."""
        self._caps = list(caps)
        self._one = self._caps[0] if len(caps) == 1 else None
        self._total = total

    def check(self, exchange: Exchange, now: float) -> Verdict:
        """See Gate."""
        if self._one is not None:
            return self._one.enter(exchange, now)
        held: list[Callable[[], None]] = []
        for cap in self._caps:
            verdict = cap.take(exchange, now, held.append)
            if verdict is not None:
                _undo(held)
                return verdict
        self._passed(exchange, held)
        return None

    async def wait(self, exchange: Exchange) -> GatewayError | None:
        """See Gate."""
        deadline = exchange.started + self._total
        held: list[Callable[[], None]] = []
        try:
            for cap in self._caps:
                verdict = cap.take(exchange, monotonic(), held.append)
                if verdict is WAIT:
                    verdict = await cap.wait_for(exchange, deadline, held.append)
                if verdict is not None:
                    return verdict
            self._passed(exchange, held)
        finally:
            _undo(held)
        return None

    def _passed(self, exchange: Exchange, held: list[Callable[[], None]]) -> None:
        for cap in self._caps:
            cap.admitted += 1
        while held:
            exchange.at_end(held.pop(0))


class InFlightWhen:
    """The same where some of the caps are there only where flags say so."""

    __slots__ = ("_caps", "_gates", "_total")

    def __init__(self, caps: Sequence[tuple[Cap, Met | None]], total: float) -> None:
        """As `InFlight`; each cap with what tells whether it is there, None for always."""
        self._caps = list(caps)
        self._total = total
        #: By which of them are there.
        self._gates: dict[tuple[Cap, ...], InFlight] = {}

    def check(self, exchange: Exchange, now: float) -> Verdict:
        """See Gate."""
        return self._gate(exchange).check(exchange, now)

    async def wait(self, exchange: Exchange) -> GatewayError | None:
        """See Gate."""
        return await self._gate(exchange).wait(exchange)

    def _gate(self, exchange: Exchange) -> InFlight:
        caps = tuple([cap for cap, met in self._caps if met is None or met(exchange)])
        gate = self._gates.get(caps)
        if gate is None:
            gate = InFlight(caps, self._total)
            if len(self._gates) < _REMEMBERED:
                self._gates[caps] = gate
        return gate


def _undo(held: list[Callable[[], None]]) -> None:
    while held:
        held.pop()()
