"""One upstream as the program runs it: where it is, its connections, its breaker, its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.caps.cap import Cap
from gateway.caps.cap_when import CapWhen
from gateway.exchange import Exchange
from gateway.gate import Met
from gateway.upstreams.breaker import Breaker
from gateway.upstreams.pool import Pool
from gateway.upstreams.startup import Startup


class CallMetrics(Protocol):
    """Where calls are counted."""

    def begin(self) -> None:
        """A call begins."""

    def end(self, outcome: str, seconds: float) -> None:
        """It is over."""

    def refuse(self, outcome: str) -> None:
        """A call was refused before it began."""


class Upstream:
    """One upstream. `base` is the URL's path without a slash at its end, `authority` its host and port.

    `auth` is header lines to add, `credentials` the lower-case names of the fields that they replace.
    """

    __slots__ = (
        "auth",
        "authority",
        "base",
        "breaker",
        "breaker_when",
        "caps",
        "credentials",
        "metrics",
        "name",
        "pool",
        "startup",
    )

    def __init__(
        self,
        name: str,
        authority: bytes,
        base: bytes,
        pool: Pool,
        breaker: Breaker | None,
        metrics: CallMetrics,
        auth: Sequence[bytes] = (),
        credentials: frozenset[bytes] = frozenset(),
    ) -> None:
        self.name = name
        self.authority = authority
        self.base = base
        self.pool = pool
        self.breaker = breaker
        #: Through which requests of ingress come by a connection; None once it is up, or where nobody waits for that.
        self.startup: Startup | None = None
        #: Calls under way at once; asked in this order, after the breaker.
        self.caps: Sequence[Cap | CapWhen] = ()
        #: Whether the breaker is there for an exchange; None for always.
        self.breaker_when: Met | None = None
        self.metrics = metrics
        self.auth = tuple(auth)
        self.credentials = credentials

    def breaker_for(self, exchange: Exchange) -> Breaker | None:
        """The breaker, where it is there for this exchange."""
        return self.breaker if self.breaker_when is None or self.breaker_when(exchange) else None
