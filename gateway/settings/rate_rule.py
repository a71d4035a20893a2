"""A rule of `rate_limit:` and its `block:`, and which values do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from pydantic import Field, ValidationInfo, field_validator

from gateway.rules.gcra import Rate as TokenRate
from gateway.rules.offenders import BlockRule
from gateway.rules.rate_fields import WINDOWS, Policy
from gateway.rules.rate_key import ROUTE, Term
from gateway.settings.rates import BYTES, MOST, Amount, Cost, Quota, Rate, parse_term, parse_zone
from gateway.settings.types import Alternative, Choice, Duration, Section, Several, Switch, Text, Whole, parse_name
from gateway.settings.values import Network, format_duration, parse_network
from gateway.settings.wanted import Wants


class Block(Section):
    """When a key that is refused again and again is refused at once, whatever it asks."""

    after: Annotated[int, Whole(low=1, high=1000)] = 20
    """So many refusals"""
    within: Annotated[float, Duration(low=1, high=86_400)] = 60.0
    """in this time block a key"""
    for_: Annotated[float, Duration(low=1, high=30 * 86_400), Field(alias="for")] = 600.0
    """for so long."""

    @property
    def rule(self) -> BlockRule:
        """As the rule that decides has it."""
        return BlockRule(self.after, self.within, self.for_)


class RateRule(Section):
    """One limit."""

    limit: Annotated[Quota, Rate()]
    """`10/min`, `100/10s`, `10MiB/s` or `50/calendar-day`."""
    burst: Annotated[int | None, Amount(optional=True, low=1, high=MOST)] = None
    """What a key that was idle may use at once; the limit's number where it is not written."""
    by: Annotated[tuple[Annotated[Term, Text(read=parse_term)], ...], Several(), Field(min_length=1)] = (ROUTE,)
    """Whom it counts: route, ip, user, header:NAME, cookie:NAME, path:PARAM, jwt:CLAIM, or a list of these."""
    name: Annotated[str, Text(read=parse_name)] = ""
    """What clients, logs and metrics call it; ROUTE-N where it is not written."""
    zone: Annotated[str, Text(read=parse_zone)] = "UTC"
    """The time zone by which a calendar's windows begin."""
    cost: Annotated[int | str, Cost(low=1, high=MOST)] = 1
    """What a request takes of the limit; `bytes` is as much as its body has."""
    absent: Annotated[str, Choice(words=("share", "skip", "refuse"))] = "share"
    """Requests without the key share one, are not limited, or get 400."""
    ipv6_prefix: Annotated[int, Whole(low=1, high=128)] = 64
    """Bits of an IPv6 address that tell one caller from another."""
    except_: Annotated[tuple[Annotated[Network, Text(read=parse_network)], ...], Field(alias="except")] = ()
    """Clients that it does not limit."""
    probes: Annotated[bool, Switch()] = True
    """Whether a kubelet's probes pass uncounted."""
    shadow: Annotated[bool, Switch()] = False
    """Whether it only counts and logs, and refuses nothing."""
    block: Annotated[Block | None, Alternative()] = None
    """Blocks keys that are refused often."""
    shared: Annotated[bool | None, Switch(optional=True)] = None
    """Whether all replicas count together, by way of Redis; they do where `state.redis` is set."""
    mode: Annotated[str, Choice(words=("exact", "leased"))] = "exact"
    """How they do: each request asks, or each replica takes tokens ahead and may pass up to 5% too many."""
    when: Wants = ()
    """Flags without which a request is not limited by it."""

    @field_validator("burst", "zone", "cost", "block", "mode")
    @classmethod
    def _fits(cls, value: Any, info: ValidationInfo) -> Any:
        found = _misfit(info.field_name, value, info.data)
        if found:
            raise ValueError(found)
        return value

    @property
    def in_bytes(self) -> bool:
        """Whether bytes of bodies are counted, not requests."""
        return self.cost == BYTES or self.limit.in_bytes

    @property
    def tokens(self) -> TokenRate:
        """Limit and burst as the rule that decides has them; a calendar's window has no period of its own."""
        return TokenRate(self.limit.limit, self.limit.period or 1.0, self.burst or self.limit.limit)

    def policy(self, name: str) -> Policy:
        """What clients are told of it, under this name."""
        limit = self.limit
        window = limit.period if limit.calendar is None else WINDOWS[limit.calendar]
        return Policy(name, limit.limit, window, self.in_bytes)

    @property
    def shown(self) -> dict[str, Any]:
        """For programs: what the admin API says of a rule's settings."""
        block = self.block
        return {
            "limit": self.limit.limit,
            "period": self.limit.period or None,
            "calendar": self.limit.calendar,
            "burst": self.tokens.burst,
            "by": [str(term) for term in self.by],
            "shadow": self.shadow,
            "block": block and {"after": block.after, "within": block.within, "seconds": block.for_},
        }

    def __str__(self) -> str:
        """In words."""
        said = [str(self.limit)]
        if self.limit.calendar is not None:
            said.append(self.zone)
        elif self.burst is not None:
            said.append(f"burst {self.burst}")
        said.append("by " + ", ".join(map(str, self.by)))
        if self.in_bytes or self.cost != 1:
            said.append(f"cost {BYTES if self.in_bytes else self.cost}")
        if self.block is not None:
            block = self.block
            said.append(
                f"blocks after {block.after} in {format_duration(block.within)} for {format_duration(block.for_)}"
            )
        if self.shadow:
            said.append("shadow")
        return ", ".join(said)


def _misfit(key: str | None, value: Any, rule: dict[str, Any]) -> str:
    """What is wrong with a key's value beside those before it, which hold only what was right itself."""
    limit: Quota | None = rule.get("limit")
    if limit is None or value is None:
        return ""
    if key == "burst" and limit.calendar is not None:
        return "a calendar's quota has no burst: all of it may be used at once"
    if key == "zone" and limit.calendar is None:
        return "only a calendar's quota has a zone, as in 50/calendar-day"
    if key == "cost" and value != BYTES:
        if limit.in_bytes:
            return "a limit in bytes has the cost bytes"
        most = rule.get("burst") or limit.limit
        if value > most:
            return f"no request would ever pass: one costs more than {most}, the most that may be used at once"
    if key == "block" and rule.get("shadow"):
        return "a shadow rule refuses nothing, so it cannot block"
    if key == "mode" and value == "leased":
        if rule.get("shared") is False:
            return "tokens are leased from the shared state only, and shared is false"
        if rule.get("cost") == BYTES or limit.in_bytes:
            return "bytes cannot be leased ahead"
    return ""


#: How `rate_limit:` is written: a list of rules, or one; `false` for none, on a route not the listener's either.
WAYS = Several(off=True, none=None)


class RouteSettings(Protocol):
    """What of a route's settings rate limits need."""

    @property
    def name(self) -> str:
        """Its label."""

    @property
    def path(self) -> str:
        """Its pattern."""

    @property
    def rate_limit(self) -> tuple[RateRule, ...] | None:
        """Its own rules; None where not even the listener's hold."""


class ListenerSettings(Protocol):
    """What of a listener's settings rate limits need."""

    @property
    def user(self) -> Term:
        """What `user` stands for."""

    @property
    def rate_limit(self) -> tuple[RateRule, ...] | None:
        """The rules for all routes together."""

    @property
    def routes(self) -> Sequence[RouteSettings]:
        """Its routes."""
