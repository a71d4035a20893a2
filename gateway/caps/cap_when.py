"""An upstream's cap that is there only where flags say so."""

from __future__ import annotations

from gateway.caps.cap import Cap
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import Met, Verdict


class CapWhen:
    """Stands before a cap; whoever it is not there for passes, and takes nothing of it."""

    __slots__ = ("_cap", "_met")

    def __init__(self, cap: Cap, met: Met) -> None:
        self._cap = cap
        self._met = met

    def enter(self, exchange: Exchange, now: float) -> Verdict:
        """See Cap."""
        return self._cap.enter(exchange, now) if self._met(exchange) else None

    async def queue_up(self, exchange: Exchange, deadline: float) -> GatewayError | None:
        """See Cap; called only where that one has answered WAIT."""
        return await self._cap.queue_up(exchange, deadline)
