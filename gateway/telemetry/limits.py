"""The families of rate rules, in-flight caps, the shared state and security events.

Their numbers belong to the policies, which count in plain attributes; here they get the names that dashboards use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from gateway.telemetry.metrics import Family

#: What a rate rule counts, by the words that `decision` has.
DECISIONS = ("allowed", "refused", "blocked", "shadow_refused", "skipped", "fallback")


class RuleCounts(Protocol):
    """What a rate rule has decided so far. `fallback` counts those of the others that the local share decided."""

    route: str
    name: str
    allowed: int
    refused: int
    blocked: int
    shadow_refused: int
    skipped: int
    fallback: int


class CapCounts(Protocol):
    """How an in-flight cap stands."""

    id: str
    scope: str
    limit: int
    admitted: int
    refused: int
    timed_out: int

    @property
    def keyed(self) -> bool:
        """Whether each key has slots of its own, as many as `limit`."""

    @property
    def in_flight(self) -> int:
        """Slots held."""

    @property
    def queued(self) -> int:
        """Requests that wait."""


def of_rules(rules: Iterable[RuleCounts]) -> Iterator[Family]:
    """Decisions of the rate rules. Two listeners may have routes of one name: their counts are added."""
    counts: Counter[tuple[str, ...]] = Counter()
    for rule in rules:
        for decision in DECISIONS:
            counts[rule.route, rule.name, decision] += getattr(rule, decision)
    yield Family(
        "counter",
        "gateway_rate_limit_decisions_total",
        "What the rate rules decided; a listener's rules have its name for a route.",
        ("route", "rule", "decision"),
        list(counts.items()),
    )


def of_caps(caps: Iterable[CapCounts]) -> Iterator[Family]:
    """The in-flight caps: their limits as they are now, their queues, what they let in and what not.

    One by key has no limit here: its own is each key's, and would look like that of all who are in flight.
    """
    listed = list(caps)
    labels = ("scope", "name")
    yield Family(
        "gauge",
        "gateway_in_flight_limit",
        "The most that a cap lets in at once; an adaptive one moves it.",
        labels,
        [((cap.scope, cap.id), cap.limit) for cap in listed if not cap.keyed],
    )
    for name, help_text, attribute in (
        ("gateway_in_flight_capped", "Exchanges that a cap has let in and that are under way.", "in_flight"),
        ("gateway_in_flight_queued", "Requests that wait for a cap.", "queued"),
    ):
        yield Family("gauge", name, help_text, labels, [((c.scope, c.id), getattr(c, attribute)) for c in listed])
    yield Family(
        "counter",
        "gateway_in_flight_decisions_total",
        "What the in-flight caps decided.",
        (*labels, "decision"),
        [
            ((cap.scope, cap.id, decision), getattr(cap, decision))
            for cap in listed
            for decision in ("admitted", "refused", "timed_out")
        ],
    )


def of_state(backends: Mapping[str, bool], keys: int) -> Iterator[Family]:
    """Whether the shared state can be had, and how many keys this process remembers."""
    yield Family(
        "gauge",
        "gateway_state_up",
        "1 while a backend of the state answers, 0 while the local share stands in for it.",
        ("backend",),
        [((name,), int(up)) for name, up in backends.items()],
    )
    yield Family("gauge", "gateway_state_keys", "Rate limit keys in this process's memory.", (), [((), keys)])


def of_security(counts: Mapping[str, int]) -> Iterator[Family]:
    """Security events by kind."""
    yield Family(
        "counter",
        "gateway_security_events_total",
        "Limits exceeded, blocked keys, floods of malformed requests, bad admin tokens.",
        ("kind",),
        [((kind,), count) for kind, count in counts.items()],
    )
