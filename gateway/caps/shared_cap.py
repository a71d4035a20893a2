"""A cap that replicas share: what is held here are leases, and the shared state counts them."""

from __future__ import annotations

from time import monotonic

from gateway.caps.cap import Cap, CapSettings, Keep, Read
from gateway.caps.leases import Leases
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import WAIT, Verdict
from gateway.rules.in_flight import Slots, Waiter


class SharedCap(Cap):
    """A cap that replicas share: its slots here have no limit, for the shared state counts."""

    def __init__(
        self,
        id: str,
        scope: str,
        name: str,
        settings: CapSettings,
        read: Read | None,
        leases: Leases,
    ) -> None:
        self.leases: Leases = leases
        super().__init__(id, scope, name, settings, read)

    def take(self, exchange: Exchange, now: float, keep: Keep) -> Verdict:  # noqa: ARG002 - see wait_for
        """WAIT, unless it is clear that it would be in vain."""
        slots = self._slots(exchange)
        if not isinstance(slots, Slots):
            return slots
        if (slots.queued or slots.in_flight >= self.limit) and (slots.crowded or self.settings.wait <= 0):
            return self._refuse(slots, now)
        self._by_key.settle(slots)
        return WAIT

    async def wait_for(self, exchange: Exchange, deadline: float, keep: Keep) -> GatewayError | None:
        """Ask for a lease; where all are taken, wait for one."""
        slots = self._slots(exchange)
        if not isinstance(slots, Slots):
            return slots
        try:
            if not slots.queued and slots.in_flight < self.limit:
                left = exchange.patience_left(self.leases.patience, monotonic())
                lease = await self.leases.enter(self, slots, left if left < self.leases.patience else None)
                if lease is not None:
                    self._hold(slots, exchange, monotonic(), keep, lease)
                    return None
            return await self._wait(slots, exchange, deadline, keep)
        finally:
            self._by_key.settle(slots)

    def _join(self, slots: Slots, waiter: Waiter) -> bool:
        joined = slots.join(waiter)
        if joined:
            self.leases.serve(self, slots)
        return joined

    def _withdraw(self, slots: Slots, waiter: Waiter) -> None:
        self.leases.withdraw(self, slots, waiter)
        self._by_key.settle(slots)

    def _leave_of(self, slots: Slots, lease: bytes) -> None:
        self.leases.leave(self, slots, lease)
        self._by_key.settle(slots)

    def _resize(self) -> None:
        newest_first = self.settings.order == "lifo"
        self._whole.resize(0, self.settings.queue, newest_first=newest_first)
        self._by_key.resize(0, self.settings.queue, newest_first=newest_first)
