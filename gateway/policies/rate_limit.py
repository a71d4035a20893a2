"""`rate_limit:` how many requests, or bytes of them, pass in what time, in all or for each caller.

Its settings are settings/rate_rule.py. The rules of a listener and of a route are asked together, by one gate on the
route, so that none is charged when one refuses: state/asking.py. Here a request becomes keys and charges, and what
is decided becomes header fields, counts, events and refusals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import NamedTuple, Protocol

from gateway.errors import Blocked, GatewayError, KeyMissing, RateLimited
from gateway.exchange import Exchange
from gateway.gate import WAIT, Met, Verdict
from gateway.rates.part import Part, PartWhen
from gateway.rules import probes, rate_fields, rate_key
from gateway.rules.gcra import Rate, Standing
from gateway.rules.probes import is_kube_probe
from gateway.rules.rate_fields import Lines
from gateway.rules.rate_key import Term
from gateway.settings.rate_rule import ListenerSettings, RateRule, RouteSettings
from gateway.settings.wanted import Wanted
from gateway.state.asking import Asking
from gateway.state.calendar import CalendarWindows
from gateway.state.ports import Charge, Limit, Spendings
from gateway.state.rate_rules import Leases, RateLimits, RunningRule, Way

Under = Callable[[Sequence[Wanted]], Met | None]

#: Stands above every number of seconds.
_NEVER = 1 << 62
#: The longest Retry-After of a block that has no end: a month.
_FOR_EVER = 30 * 86_400
#: So many ways for some of a gate's rules to apply have their lines ready.
_REMEMBERED = 256


class Events(Protocol):
    """Who is told of refusals. `key` is as it may be shown: credentials are hashed."""

    def limited(self, rule: str, key: str, exchange: Exchange, *, shadow: bool = False) -> None:
        """A rule refused an exchange; a shadow rule would have."""

    def blocked(self, rule: str, key: str, exchange: Exchange) -> None:
        """A blocked key came again."""


#: What passes uncounted as probes, from each peer: a pod has three, each of them once a second at most.
_PROBES = Limit("//probes", Rate(10, 1.0, 20))


class RateLimit:
    """Lets through what all rules of a route and of its listener have room for."""

    __slots__ = (
        "_automatic", "_by_hand", "_bytes", "_counts", "_events", "_heeds_probes", "_leased", "_limits", "_lines",
        "_local", "_offenders", "_parts", "_plain", "_shadows", "_some", "_spendings", "_way",
    )  # fmt: skip

    def __init__(self, parts: Sequence[Part], limits: RateLimits, events: Events, *, ingress: bool) -> None:
        self._parts = list(parts)
        self._spendings = Spendings([part.spending for part in parts])
        self._counts = [part.counts for part in parts]
        self._limits = limits
        self._local = limits.local
        self._offenders = limits.offenders
        self._automatic, self._by_hand = limits.offenders.automatic, limits.offenders.by_hand
        self._events = events
        self._heeds_probes = ingress and any(part.probes for part in parts)
        self._bytes = any(not part.cost for part in parts)
        self._shadows = any(part.limit.shadow for part in parts)
        ways = {part.rule.way for part in parts}
        #: Where the tokens of all are; None for here and there.
        self._way = ways.pop() if len(ways) == 1 else None
        self._plain = self._way is not None and all(part.plain for part in parts)
        self._leased = self._way is Way.LEASED
        self._lines = Lines([part.policy for part in parts])
        #: The lines for some of the rules only, by their names.
        self._some: dict[tuple[str, ...], Lines] = {}

    def check(self, exchange: Exchange, now: float) -> Verdict:
        """See `Gate.check`."""
        parts = self._parts
        if self._heeds_probes and probes.FIELD in exchange.head.noted and self._is_probe(exchange, now):
            parts = self._not_for_probes()
        elif self._plain and not self._automatic and not self._by_hand:
            names: list[bytes] = []
            from_here = self._leases_in_use() if self._leased else self._local
            told = None if from_here is None else from_here.spend(self._spendings, exchange, names, now)
            if told is not None:
                for counts in self._counts:
                    counts.allowed += 1
                exchange.stamp += self._lines.filled(told)
                exchange.refund = partial(self._refund, names, now)
                return None
        return self._check_one_by_one(exchange, parts, now)

    async def wait(self, exchange: Exchange) -> GatewayError | None:
        """See `Gate.wait`."""
        held: tuple[list[Part], Asking] = exchange.held
        exchange.held = None
        parts, asking = held
        limits = self._limits
        left = exchange.patience_left(limits.patience, limits.clock())
        try:
            fits = await asking.there(limits, left if left < limits.patience else None)
        except BaseException:  # the client has left, for one
            asking.give_back(limits.clock())
            raise
        return self._settle(exchange, parts, asking, self._limits.clock(), fits=fits)

    # ---- asking

    def _is_probe(self, exchange: Exchange, now: float) -> bool:
        """Anybody can call himself a kubelet, but a kubelet does not come more often than this."""
        if not is_kube_probe(exchange.head, exchange.peer):
            return False
        (standing,) = self._local.take([Charge(_PROBES, exchange.peer.encode(), 1)], now)
        return standing.allowed

    def _not_for_probes(self) -> list[Part]:
        for part in self._parts:
            part.counts.skipped += part.probes
        return [part for part in self._parts if not part.probes]

    def _check_one_by_one(self, exchange: Exchange, parts: Sequence[Part], now: float) -> Verdict:
        asked: list[Part] = []
        charges: list[Charge] = []
        watched = bool(self._offenders)
        for part in parts:
            charge = part.ask(exchange)
            if charge is None:
                part.counts.skipped += 1
                continue
            if isinstance(charge, KeyMissing):
                part.counts.refused += 1
                return charge
            if watched and not part.limit.shadow:
                block = self._offenders.check(part.limit.prefix + charge.key, now)
                if block is not None:
                    return self._block(exchange, part, charge, block.until - now)
            asked.append(part)
            charges.append(charge)
        if not asked:
            return None
        standings = self._take_at_once(charges, now)
        if standings is not None and self._all_pass(exchange, asked, standings):
            exchange.refund = partial(self._give_back, charges, now)
            return None
        asking = Asking([part.rule for part in asked], charges)
        if standings is None:
            fits = asking.here(self._limits, now)
        else:
            fits = asking.keep(standings, lambda taken, _: self._give_back(taken, now))
        if fits is None:
            exchange.held = asked, asking
            return WAIT
        return self._settle(exchange, asked, asking, now, fits=fits)

    def _take_at_once(self, charges: list[Charge], now: float) -> list[Standing] | None:
        """Where all tokens are in one place of this process, one call takes them; None where that cannot tell."""
        if self._way is Way.LOCAL:
            return self._local.take(charges, now)
        leases = self._leases_in_use() if self._leased else None
        return None if leases is None else leases.check(charges, now)

    def _leases_in_use(self) -> Leases | None:
        """The leases, while the shared state is there."""
        limits = self._limits
        return limits.leases if limits.shared is not None and limits.shared.up else None

    def _all_pass(self, exchange: Exchange, parts: list[Part], standings: list[Standing]) -> bool:
        """Let it pass where no rule needs another look."""
        for standing in standings:
            if not standing.allowed:
                return False
        if self._bytes or self._shadows:
            return False
        for part in parts:
            part.counts.allowed += 1
        exchange.stamp += self._lines_for(parts).fill(standings)
        return True

    # ---- deciding

    def _refund(self, prefixed: list[bytes], since: float) -> None:
        """Give back what was spent: a cap or a breaker has refused the request."""
        taken = [
            Charge(part.limit, name.removeprefix(part.limit.prefix), part.cost)
            for part, name in zip(self._parts, prefixed, strict=True)
        ]
        self._give_back(taken, since)

    def _give_back(self, taken: list[Charge], since: float) -> None:
        now = self._limits.clock()
        if self._way is Way.LOCAL:
            self._local.give_back(taken, now, now - since)
        elif self._limits.leases is not None:
            self._limits.leases.give_back(taken, now - since)

    def _settle(
        self, exchange: Exchange, parts: Sequence[Part], asking: Asking, now: float, *, fits: bool
    ) -> RateLimited | None:
        if not fits:
            return self._refuse(exchange, parts, asking, now)
        for part, charge, standing in zip(parts, asking.charges, asking.standings, strict=True):
            if standing is None or standing.allowed:
                part.counts.allowed += 1
            else:
                self._count_shadow(exchange, part, charge)
            if self._bytes and not part.cost and exchange.head.chunked:
                exchange.at_end(partial(self._charge_body, exchange, part, charge.key))
        self._tell(exchange, parts, asking)
        exchange.refund = lambda: asking.give_back(self._limits.clock())
        return None

    def _refuse(self, exchange: Exchange, parts: Sequence[Part], asking: Asking, now: float) -> RateLimited:
        """The rule that has the longest wait speaks for all that refuse; one that will never let it pass for all."""
        asking.give_back(now)
        longest, name = 0, ""
        for part, charge, standing in zip(parts, asking.charges, asking.standings, strict=True):
            if standing is None or standing.allowed:
                continue
            if part.limit.shadow:
                self._count_shadow(exchange, part, charge)
                continue
            part.counts.refused += 1
            self._events.limited(part.rule.id, rate_key.shown(charge.key), exchange)
            seconds = self._again(part, charge, standing, now)
            if seconds is None:
                longest, name = _NEVER, part.rule.name
            elif seconds > longest:
                longest, name = seconds, part.rule.name
        self._tell(exchange, parts, asking)
        if longest == _NEVER:
            return RateLimited(f"This costs more than the rate limit {name!r} ever lets through at once.", None)
        return RateLimited(f"The rate limit {name!r} is reached.", longest)

    def _again(self, part: Part, charge: Charge, standing: Standing, now: float) -> int | None:
        """Seconds until a request like this one passes the rule, or its block; None when it never does."""
        seconds = rate_fields.retry_after(standing)
        if part.rule.block is not None:
            block = self._offenders.refused(part.limit.prefix + charge.key, part.rule.block, now)
            if block is not None and seconds is not None:
                return max(seconds, ceil(block.until - now))
        return seconds

    def _block(self, exchange: Exchange, part: Part, charge: Charge, left: float) -> Blocked:
        part.counts.blocked += 1
        self._events.blocked(part.rule.id, rate_key.shown(charge.key), exchange)
        seconds = min(max(1, ceil(left)), _FOR_EVER) if left < _FOR_EVER else _FOR_EVER
        exchange.stamp += Lines([part.policy]).fill([Standing(False, 0, seconds, seconds)])
        return Blocked(f"Blocked by the rate limit {part.rule.name!r}.", seconds)

    # ---- counting and telling

    def _count_shadow(self, exchange: Exchange, part: Part, charge: Charge) -> None:
        part.counts.shadow_refused += 1
        self._events.limited(part.rule.id, rate_key.shown(charge.key), exchange, shadow=True)

    def _tell(self, exchange: Exchange, parts: Sequence[Part], asking: Asking) -> None:
        """Tell the client of those who were asked, but for the shadows."""
        for at in asking.fallback:
            parts[at].counts.fallback += 1
        told, standings = [], []
        for part, standing in zip(parts, asking.standings, strict=True):
            if standing is not None and not part.limit.shadow:
                told.append(part)
                standings.append(standing)
        exchange.stamp += self._lines_for(told).fill(standings)

    def _lines_for(self, parts: Sequence[Part]) -> Lines:
        if len(parts) == len(self._parts):
            return self._lines
        names = tuple(part.rule.name for part in parts)
        lines = self._some.get(names)
        if lines is None:
            lines = Lines([part.policy for part in parts])
            if len(self._some) < _REMEMBERED:
                self._some[names] = lines
        return lines

    def _charge_body(self, exchange: Exchange, part: Part, key: bytes) -> None:
        """Charge what has come of a body whose length nobody knew before."""
        charge = Charge(part.limit, key, exchange.body.received)
        if part.rule.way is Way.LOCAL:
            self._local.force(charge, self._limits.clock())
        else:
            self._limits.force_shared(part.rule, charge)


# ---- from settings to gates


class Built(NamedTuple):
    """A gate for each route, None where nothing is limited, and the rules to `RateLimits.install` once they serve.

    `unrouted` is for the requests that no route takes: a listener's rules are for all its traffic.
    """

    gates: list[RateLimit | None]
    unrouted: RateLimit | None
    rules: list[RunningRule]


def build(
    listener: str, settings: ListenerSettings, limits: RateLimits, events: Events, under: Under = lambda _: None
) -> Built:
    """The gates of a listener's routes. Nothing changes before they are used and the rules installed.

    `under` makes of what a rule wants of flags whether it is there.
    """
    builder = _Builder(listener, settings, limits, under)
    own = builder.parts(settings.rate_limit or (), None)

    def gate(parts: Sequence[Part]) -> RateLimit | None:
        return RateLimit(parts, limits, events, ingress=listener == "ingress") if parts else None

    gates = [
        gate([] if route.rate_limit is None else [*own, *builder.parts(route.rate_limit, route)])
        for route in settings.routes
    ]
    return Built(gates, gate(own), builder.rules)


def fields_read(listener: str, settings: ListenerSettings) -> frozenset[bytes]:
    """The request fields that the rules read, in lower case, for the listener's `Interest(also=…)`."""
    rules = [rule for route in settings.routes for rule in route.rate_limit or ()]
    rules += settings.rate_limit or ()
    found = rate_key.fields(term for rule in rules for term in rate_key.resolve(rule.by, settings.user))
    return found | {probes.FIELD} if listener == "ingress" and any(rule.probes for rule in rules) else found


class _Builder:
    """Makes the parts of one listener's gates, and their names."""

    def __init__(self, listener: str, settings: ListenerSettings, limits: RateLimits, under: Under) -> None:
        self._under = under
        self.rules: list[RunningRule] = []
        self._listener = listener
        self._user = settings.user
        self._limits = limits
        self._own = {rule.name for rule in settings.rate_limit or () if rule.name}
        self._ids: set[str] = set()

    def parts(self, rules: Sequence[RateRule], route: RouteSettings | None) -> list[Part]:
        """The rules of a route, or the listener's own."""
        taken = self._own | {rule.name for rule in rules if rule.name}
        parts = []
        for number, settings in enumerate(rules, 1):
            name = settings.name or self._free(f"{self._listener if route is None else route.name}-{number}", taken)
            if route is None:
                self._own.add(name)
            by = rate_key.resolve(settings.by, self._user)
            rule = self._rule(settings, name, None if route is None else route.name, by)
            self.rules.append(rule)
            met = self._under(settings.when)
            pattern = "" if route is None else route.path
            parts.append(
                Part(rule, settings, by, pattern) if met is None else PartWhen(met, rule, settings, by, pattern)
            )
        return parts

    def _free(self, wanted: str, taken: set[str]) -> str:
        """A rule's default name: with a number behind it where another rule has it."""
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted} #{number}"
        taken.add(name)
        return name

    def _rule(self, settings: RateRule, name: str, route: str | None, by: Sequence[Term]) -> RunningRule:
        rule_id = self._free(f"{self._listener}/{route or ''}/{name}", self._ids)
        calendar = settings.limit.calendar
        windows = None if calendar is None else CalendarWindows(calendar, settings.zone)
        limit = Limit(rule_id, settings.tokens, calendar=windows, shadow=settings.shadow)
        return RunningRule(
            limit,
            self._limits.counts(rule_id, route or self._listener, name),
            self._way(settings),
            listener=self._listener,
            route=route,
            block=None if settings.block is None else settings.block.rule,
            words=str(settings),
            settings=settings.shown,
            by=by,
        )

    def _way(self, settings: RateRule) -> Way:
        if self._limits.shared is None or settings.shared is False:
            return Way.LOCAL
        return Way.LEASED if settings.mode == "leased" and self._limits.leases is not None else Way.EXACT
