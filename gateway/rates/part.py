"""A rate rule as a gate asks it: whom it counts in a request, and what it charges."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import KeyMissing
from gateway.exchange import Exchange
from gateway.gate import Met
from gateway.rules import rate_key
from gateway.rules.client_address import TrustedProxies
from gateway.rules.rate_key import Term
from gateway.settings.rate_rule import RateRule
from gateway.state.ports import Charge, Spending
from gateway.state.rate_rules import RunningRule, Way


class Part:
    """A rule as a gate asks it."""

    __slots__ = (
        "absent",
        "cost",
        "counts",
        "exempt",
        "limit",
        "policy",
        "probes",
        "read",
        "rule",
        "spending",
    )

    def __init__(self, rule: RunningRule, settings: RateRule, by: Sequence[Term], pattern: str) -> None:
        self.rule = rule
        self.counts = rule.counts
        self.limit = rule.limit
        self.policy = settings.policy(rule.name)
        self.absent = settings.absent
        self.probes = settings.probes
        #: 0 for what the body has.
        self.cost = 0 if settings.in_bytes else int(settings.cost)
        self.read = rate_key.reader(by, pattern, ipv6_prefix=settings.ipv6_prefix, share=settings.absent == "share")
        self.exempt = TrustedProxies(settings.except_).trusts if settings.except_ else None
        prefix = rule.limit.prefix
        name = prefix + rate_key.EVERYBODY if rate_key.is_constant(by) else None
        self.spending = Spending(
            rule.limit, self.cost, name, rate_key.named(self.read, by, prefix, settings.ipv6_prefix)
        )

    @property
    def plain(self) -> bool:
        """Whether every request is charged the same amount, and this process can tell whether it passes."""
        return (
            self.rule.way is not Way.EXACT
            and self.exempt is None
            and 0 < self.cost <= self.limit.rate.burst
            and self.absent == "share"
            and not self.limit.shadow
            and self.limit.calendar is None
        )

    def ask(self, exchange: Exchange) -> Charge | KeyMissing | None:
        """What this exchange is charged, None for nothing."""
        if self.exempt is not None and self.exempt(exchange.client):
            return None
        key = self.read(exchange)
        if key is None:
            if self.absent == "skip" or self.limit.shadow:
                return None
            return KeyMissing(f"The rate limit {self.rule.name!r} needs to know whom it counts.")
        return Charge(self.limit, key, self.cost or exchange.head.length or 0)


class PartWhen(Part):
    """A rule that is there only where flags say so."""

    __slots__ = ("_met",)

    def __init__(self, met: Met, rule: RunningRule, settings: RateRule, by: Sequence[Term], pattern: str) -> None:
        super().__init__(rule, settings, by, pattern)
        self._met = met

    @property
    def plain(self) -> bool:
        """No: some requests are not charged."""
        return False

    def ask(self, exchange: Exchange) -> Charge | KeyMissing | None:
        """As `Part.ask`."""
        return super().ask(exchange) if self._met(exchange) else None
