"""Who takes part in which flight: the one of its key, or one that it leads, or none.

Flights are told apart by key, and by what the request has in the fields that the last Vary named. Nobody joins one
that a purge has overtaken, that is past its time or not held any more, or whose answer would be another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from gateway.cache import landing
from gateway.cache.asked import Asked
from gateway.cache.commons import ERROR, LET_GO, LET_GO_AFTER_ERROR, VARY, Commons
from gateway.cache.entry import Entry
from gateway.cache.fetch import Fetch
from gateway.cache.flight import Flight, Landed, Reader
from gateway.cache.landing import Terms
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import Gate
from gateway.rules import vary
from gateway.rules.cache_control import ANYTHING
from gateway.rules.purge import Effect
from gateway.upstreams.connection import NEVER
from gateway.upstreams.forward import Way


class Boarding:
    """The flights of one route."""

    __slots__ = ("_caps", "_coalesces", "_commons", "_terms", "_way")

    def __init__(self, terms: Terms, way: Way, caps: Sequence[Gate], commons: Commons, *, coalesces: bool) -> None:
        """`caps` are the gates that a fetch passes."""
        self._terms = terms
        self._way = way
        self._caps = tuple(caps)
        self._commons = commons
        self._coalesces = coalesces

    def key_of(self, asked: Asked) -> bytes:
        """The key of the flight that this request would take part in."""
        names = self._commons.varies.get(asked.key, monotonic())
        return asked.key if not names else asked.key + b"\x00" + vary.secondary(names, asked.values)

    def board(
        self, exchange: Exchange, asked: Asked, entry: Entry | None, attempt: int
    ) -> Reader | GatewayError | None:
        """A place in the flight of its key, or in one that it leads; None to go alone."""
        commons = self._commons
        now = monotonic()
        key = self.key_of(asked)
        failed = commons.errors.get(key, now)
        if failed is not None and entry is None:
            return failed
        alone = not self._coalesces or asked.insists or (entry is not None and entry.freshness.lifetime <= 0)
        alone = alone or (entry is not None and entry.freshness.validate)
        let_go = commons.let_go.get(self._let_go_key(asked, key), now)
        alone = alone or (entry is not None and bool(let_go))
        flight = None if alone else commons.flights.get(key)
        if flight is not None and self._may_join(flight, asked, now):
            reader = flight.join(leads=False)
            if flight.extend is not None and self._way.total != NEVER:
                flight.extend(exchange.started + self._way.total)
            return reader
        if entry is None and let_go is not None:
            return None
        return self._lead(exchange, asked, entry, key, attempt, register=not alone)

    def _may_join(self, flight: Flight, asked: Asked, now: float) -> bool:
        return (
            now < flight.closes_at
            and not flight.complete
            and flight.error is None
            and (flight.storing or not flight.settled)
            and self._commons.seen(asked.subject, flight.version) is Effect.NONE
        )

    @staticmethod
    def _let_go_key(asked: Asked, key: bytes) -> bytes:
        """Callers who say who they are share other answers than those who do not."""
        return key + (b"\x01" if asked.asker.says_who else b"\x00")

    def _lead(
        self,
        exchange: Exchange,
        asked: Asked,
        entry: Entry | None,
        key: bytes,
        attempt: int,
        *,
        register: bool,
        background: bool = False,
    ) -> Reader:
        commons = self._commons
        now = monotonic()
        longest = self._terms.sharing.max_object
        closes_at = now + self._way.total
        flight = Flight(commons.purges.version, closes_at, longest, commons.budget, background=background)
        flight.attempt = attempt
        fetch = Fetch(commons, self._terms, self._way, self._caps, flight, asked, self._remember)
        if register:
            commons.flights[key] = flight
        reader = flight.join(leads=True)
        task = commons.start(self._fly(fetch, flight, exchange, entry, key, shares=register))
        flight.extend = fetch.extend
        flight.abandoned = task.cancel
        return reader

    async def _fly(
        self, fetch: Fetch, flight: Flight, exchange: Exchange, entry: Entry | None, key: bytes, *, shares: bool
    ) -> None:
        """A flight, from its start to its end."""
        commons = self._commons
        commons.background += flight.background
        try:
            await fetch.run(exchange, entry, shares=shares)
        finally:
            commons.background -= flight.background
            if flight.background and (flight.landed is None or flight.landed.status >= 500) and flight.entry is None:
                commons.rests.put(key, flight.landed is None, ERROR, monotonic())
            flight.abandoned = flight.extend = None
            flight.close()
            if commons.flights.get(key) is flight:
                del commons.flights[key]

    def refresh(self, exchange: Exchange, asked: Asked, entry: Entry) -> None:
        """Fetch anew what is stale, for the cache itself, unless that is being done (RFC 5861, section 3)."""
        commons = self._commons
        key = self.key_of(asked)
        if key in commons.flights or commons.rests.get(key, monotonic()) is not None or not commons.may_start():
            return
        reader = self._lead(exchange, asked, entry, key, 1, register=True, background=True)
        reader.leave()

    def _remember(self, asked: Asked, landed: Landed) -> None:
        """What the next requests for this key are to know, and those that look again because of what has landed."""
        commons, now = self._commons, monotonic()
        shared = landing.is_for(landed, asked, ANYTHING, self._terms.sharing)
        key = self.key_of(asked)
        if not shared:
            seconds = LET_GO_AFTER_ERROR if landed.status >= 500 else LET_GO
            commons.let_go.put(self._let_go_key(asked, key), landed.why_not is not None, seconds, now)
        elif landed.nominated:
            commons.varies.put(asked.key, landed.nominated, VARY, now)

    def failed(self, asked: Asked, error: GatewayError) -> None:
        """Twice in a row: whoever comes next need not try at once. Its traceback would hold what the fetch held."""
        error.__traceback__ = error.__context__ = error.__cause__ = None
        self._commons.errors.put(self.key_of(asked), error, ERROR, monotonic())

    def rest(self, asked: Asked, *, unreachable: bool) -> None:
        """The fetch of what is stale has failed; whoever has use for it stale need not try at once."""
        key, now = self.key_of(asked), monotonic()
        if self._commons.rests.get(key, now) is None:
            self._commons.rests.put(key, unreachable, ERROR, now)

    def resting(self, asked: Asked) -> bool | None:
        """Whether the upstream could not be reached, where it has just failed; None where it has not."""
        return self._commons.rests.get(self.key_of(asked), monotonic())
