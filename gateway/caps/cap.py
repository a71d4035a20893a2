"""A cap in use: takes slots for exchanges, gives them back at their end, and has requests wait.

Who gets a slot and whose turn it is, rules/in_flight.py decides; how many there are where the limit finds itself,
rules/adaptive_limit.py. Here are the clock, the futures of those who wait, and the refusals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Protocol

from gateway.caps.leases import Leases
from gateway.errors import CallerInFlightFull, GatewayError, InFlightFull, KeyMissing
from gateway.exchange import Exchange
from gateway.gate import WAIT, Verdict
from gateway.rules.adaptive_limit import AdaptiveLimit, AdaptiveRule, judge
from gateway.rules.in_flight import Pace, Slots, SlotsByKey, Waiter

#: How long slots are held is looked at once in so many seconds, and each time where the limit finds itself.
_SAMPLE = 0.1

#: Reads the key of an exchange; None where it has none.
Read = Callable[[Exchange], bytes | None]
#: Is given what gives a slot back.
Keep = Callable[[Callable[[], None]], None]


class CapSettings(Protocol):
    """What a cap goes by; times in seconds."""

    @property
    def limit(self) -> int | None:
        """Slots; None where the limit finds itself."""

    @property
    def queue(self) -> int:
        """Requests that may wait."""

    @property
    def wait(self) -> float:
        """How long each of them may."""

    @property
    def order(self) -> str:
        """`fifo` or `lifo`."""

    @property
    def absent(self) -> str:
        """What becomes of a request without the key: `share`, `skip` or `refuse`."""

    @property
    def finds_itself(self) -> AdaptiveRule | None:
        """How the limit finds itself."""


class Cap:
    """A cap in use. `scope` is where it stands and `name` what it is called; the counts are for whoever watches."""

    #: Where it gets its slots when replicas share them.
    leases: Leases | None = None

    def __init__(self, id: str, scope: str, name: str, settings: CapSettings, read: Read | None = None) -> None:
        self.id = id
        self.admitted = self.refused = self.timed_out = 0
        self._pace = Pace()
        self._adaptive: AdaptiveLimit | None = None
        self._whole = Slots(0, 0)
        self._leave = self._whole.leave
        self._by_key = SlotsByKey(0, 0)
        self.configure(scope, name, settings, read)

    def configure(self, scope: str, name: str, settings: CapSettings, read: Read | None = None) -> None:
        """Go by these settings. A higher limit lets those in who wait; under a lower one nobody is turned out."""
        self.scope = scope
        self.name = name
        self.settings = settings
        self._read = read
        self._sample_at = 0.0
        rule = settings.finds_itself
        if rule is None:
            self._adaptive = None
            self.limit = settings.limit or 1
        elif self._adaptive is None:
            self._adaptive = AdaptiveLimit(rule)
            self.limit = self._adaptive.limit
        else:
            self.limit = self._adaptive.reconfigure(rule)
        self._resize()

    @property
    def keyed(self) -> bool:
        """Whether each key has slots of its own."""
        return self._read is not None

    @property
    def in_flight(self) -> int:
        """Slots held."""
        return self._whole.in_flight + self._by_key.in_flight

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return self._whole.queued + self._by_key.queued

    def enter(self, exchange: Exchange, now: float) -> Verdict:
        """Take a slot until the exchange's end. WAIT: await `queue_up`."""
        slots = self._whole
        if slots.in_flight < slots.limit and now < self._sample_at and self._read is None:  # most: as in `take`
            slots.in_flight += 1
            self.admitted += 1
            exchange.at_end(self._leave)
            return None
        verdict = self.take(exchange, now, exchange.at_end)
        if verdict is None:
            self.admitted += 1
        return verdict

    async def queue_up(self, exchange: Exchange, deadline: float) -> GatewayError | None:
        """Wait for a slot, no longer than until `deadline` on the monotonic clock, and hold it as `enter` does."""
        error = await self.wait_for(exchange, deadline, exchange.at_end)
        if error is None:
            self.admitted += 1
        return error

    # ---- for a gate that holds several

    def take(self, exchange: Exchange, now: float, keep: Keep) -> Verdict:
        """As `enter`; what gives the slot back goes to `keep`, and `admitted` is the caller's to count."""
        slots = self._whole
        if self._read is not None:
            found = self._slots(exchange)
            if not isinstance(found, Slots):
                return found
            slots = found
        elif slots.in_flight < slots.limit and now < self._sample_at:
            slots.in_flight += 1
            keep(self._leave)
            return None
        if slots.enter():
            self._hold(slots, exchange, now, keep)
            return None
        if slots.crowded or self.settings.wait <= 0:
            return self._refuse(slots, now)
        return WAIT

    async def wait_for(self, exchange: Exchange, deadline: float, keep: Keep) -> GatewayError | None:
        """As `queue_up`; `keep` as for `take`."""
        now = monotonic()
        found = self._slots(exchange)
        if not isinstance(found, Slots):
            return found
        if found.enter():
            self._hold(found, exchange, now, keep)
            return None
        return await self._wait(found, exchange, deadline, keep)

    # ---- inside

    def _slots(self, exchange: Exchange) -> Slots | GatewayError | None:
        """The slots that an exchange needs one of; None when it needs none."""
        if self._read is None:
            return self._whole
        key = self._read(exchange)
        if key is None and self.settings.absent != "share":
            if self.settings.absent == "skip":
                return None
            self.refused += 1
            return KeyMissing(f"The in-flight cap {self.name!r} cannot tell whose request this is.")
        return self._by_key.of(key or b"")

    async def _wait(self, slots: Slots, exchange: Exchange, deadline: float, keep: Keep) -> GatewayError | None:
        now = monotonic()
        limit = min(self.settings.wait, deadline - now)
        woken = asyncio.get_running_loop().create_future()
        waiter = Waiter(partial(_wake, woken))
        if limit <= 0 or not self._join(slots, waiter):
            return self._refuse(slots, now)
        timer = asyncio.get_running_loop().call_later(limit, waiter.wake)
        try:
            await woken
        except BaseException:
            self._withdraw(slots, waiter)
            raise
        finally:
            timer.cancel()
        now = monotonic()
        if waiter.admitted:
            self._hold(slots, exchange, now, keep, waiter.lease)
            return None
        self.timed_out += 1
        self._withdraw(slots, waiter)
        return self._full(slots, now)

    def _join(self, slots: Slots, waiter: Waiter) -> bool:
        return slots.join(waiter)

    def _withdraw(self, slots: Slots, waiter: Waiter) -> None:
        slots.withdraw(waiter)
        self._by_key.settle(slots)

    def _refuse(self, slots: Slots, now: float) -> GatewayError:
        self.refused += 1
        error = self._full(slots, now)
        self._by_key.settle(slots)
        return error

    def _full(self, slots: Slots, now: float) -> GatewayError:
        retry_after = self._pace.retry_after(slots.queued, self.limit, self.admitted, now)
        if self._read is None:
            return InFlightFull(f"The in-flight cap {self.name!r} is full.", retry_after)
        return CallerInFlightFull(self.name, self.limit, retry_after)

    def _hold(self, slots: Slots, exchange: Exchange, now: float, keep: Keep, lease: bytes = b"") -> None:
        """Have a slot that is taken given back. How long it was held is looked at now and then."""
        if now >= self._sample_at:
            if self._adaptive is None:
                self._sample_at = now + _SAMPLE
            keep(partial(self._leave_seen, slots, lease, exchange, now))
        else:
            keep(partial(self._leave_of, slots, lease))

    def _leave_of(self, slots: Slots, lease: bytes) -> None:  # noqa: ARG002 - of a shared cap only
        slots.leave()
        self._by_key.settle(slots)

    def _leave_seen(self, slots: Slots, lease: bytes, exchange: Exchange, since: float) -> None:
        # Without a status, another cap has refused it, and it is to be as if it had never been here.
        if exchange.status and not exchange.early:
            now = monotonic()
            self._pace.held(now - since)
            if self._adaptive is not None:
                outcome = judge(exchange.status, exchange.error)
                limit = self._adaptive.ended(outcome, now - since, slots.in_flight, now)
                if limit != self.limit:
                    self.limit = limit
                    self._resize()
        self._leave_of(slots, lease)

    def _resize(self) -> None:
        newest_first = self.settings.order == "lifo"
        self._whole.resize(self.limit, self.settings.queue, newest_first=newest_first)
        self._by_key.resize(self.limit, self.settings.queue, newest_first=newest_first)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
