"""A flight's fetch: the exchange that the gateway itself has with the upstream, from second tier to store.

second tier ──> what it has answers
    │ nothing
turn among replicas ──> what another has stored meanwhile answers
    │ ours
caps, forward ──> 304: what is stored is renewed, and answers
    │          ──> an error: what is stale may answer, each reader decides
    └──────────> landed, passed on as it comes, and stored at its end
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import copy
from time import monotonic, time

from gateway.cache import landing
from gateway.cache.asked import Asked
from gateway.cache.commons import Commons
from gateway.cache.entry import Entry
from gateway.cache.flight import Flight, Landed
from gateway.cache.landing import Terms
from gateway.cache.ports import Turn
from gateway.errors import GatewayError, InternalError, TotalTimeout, UpstreamError
from gateway.exchange import NO_BODY, Exchange, RequestBody, Source
from gateway.gate import WAIT, Gate
from gateway.rules import conditional, field_lines, storable, stored_update, vary
from gateway.rules.cache_control import ANYTHING
from gateway.rules.field_lines import Pieces
from gateway.rules.freshness import Use, decide
from gateway.rules.purge import Effect, Kind, Purge, name_of
from gateway.rules.response_head import ResponseHead
from gateway.rules.storable import Answer, Why
from gateway.upstreams.connection import NEVER, UpstreamConnection
from gateway.upstreams.forward import Way, forward

#: Statuses for which something stale may stand in (RFC 5861, section 4).
FAILURES = frozenset({500, 502, 503, 504})
_EXPECT = frozenset({b"expect"})


class _Nobody:
    """The client of an exchange that the gateway has for itself."""

    write_paused = False
    source: Source | None = None
    draining = False

    def write(self, data: bytes) -> None:
        """Informational responses end here."""

    def close(self) -> None:
        """There is no connection."""

    def cut(self) -> None:
        """There is no connection."""

    async def drained(self) -> None:
        """Nothing is ever written."""

    def into_tunnel(self) -> tuple[asyncio.Transport, asyncio.Protocol, bytes]:
        """Not asked for: a fetch asks for no upgrade."""
        raise InternalError

    def pause_reading(self) -> None:
        """A body that is here already."""

    def resume_reading(self) -> None:
        """A body that is here already."""


NOBODY = _Nobody()


def body_of(content: bytes) -> RequestBody:
    """A request's body that is here already."""
    if not content:
        return NO_BODY
    body = RequestBody(NOBODY)
    body.feed(content)
    body.finish()
    return body


class Fetch:
    """One fetch for one flight."""

    def __init__(
        self,
        commons: Commons,
        terms: Terms,
        way: Way,
        caps: Sequence[Gate],
        flight: Flight,
        asked: Asked,
        tell: Callable[[Asked, Landed], None],
    ) -> None:
        """`tell` is called with what has landed, before those who wait for it."""
        self._commons = commons
        self._terms = terms
        self._way = way
        self._caps = caps
        self._flight = flight
        self._asked = asked
        self._tell = tell
        #: The stored responses that the request asks the origin about.
        self._about: list[Entry] = []
        self._tags: frozenset[bytes] = frozenset()
        self._sent = 0.0
        self._renewed = False
        self._again = False
        #: Extends the time of the connection, once there is one.
        self._connection: UpstreamConnection | None = None

    def extend(self, total: float) -> None:
        """Somebody reads who has until then, on the monotonic clock."""
        if self._connection is not None:
            self._connection.lift_total(total)

    async def run(self, exchange: Exchange, stale: Entry | None, *, shares: bool) -> None:
        """Fetch for this exchange's request; `shares`: look into the second tier, and take turns with replicas."""
        flight, commons = self._flight, self._commons
        turn: Turn | None = None
        tier = commons.shared
        try:
            if tier is not None and tier.up and shares and self._terms.keeps:
                found = await tier.find(self._asked.key, self._asked.values)
                if found is not None and self._usable(found):
                    self._answer_with(found)
                    return
                stale = found or stale
                waited = await tier.turn(self._asked.key, self._asked.values, self._longest(exchange))
                if isinstance(waited, Entry):
                    if self._usable(waited):
                        self._answer_with(waited)
                        return
                else:
                    turn = waited
            flight.stale = stale
            await self._fetch(exchange, stale)
            self._store()
        except asyncio.CancelledError:
            flight.fail(TotalTimeout("The fetch was given up."))
            raise
        finally:
            flight.fail(InternalError())  # which says nothing where all is well
            if turn is not None:
                turn.done(let_go=flight.landed is not None and flight.landed.why_not is not None)

    # ---- the second tier

    def _usable(self, entry: Entry) -> bool:
        """Whether an entry of the second tier answers as it is."""
        use = decide(entry.freshness, ANYTHING, time())
        return use in (Use.FRESH, Use.STALE_REVALIDATE) and (
            self._commons.seen(entry.subject, entry.version) is Effect.NONE
        )

    def _answer_with(self, entry: Entry) -> None:
        self._commons.store.put(entry, self._asked.values)
        self._flight.answer_with(entry, renewed=False)

    def _longest(self, exchange: Exchange) -> float:
        """For how long another replica's fetch is waited for: as long as one of ours could take to its head."""
        way = self._way
        limit = min(way.headers + way.connect, exchange.started + way.total - monotonic())
        return min(limit, 3600.0) if limit < NEVER else 3600.0

    # ---- the upstream

    async def _fetch(self, exchange: Exchange, stale: Entry | None) -> None:
        about = [] if stale is None else [stale, *(e for e in self._stored() if e is not stale)]
        self._about = [entry for entry in about if conditional.can_ask(entry.validators)]
        error = await self._once(exchange)
        if self._again and error is None:  # a 304 that says nothing of what is stored
            self._about = []
            error = await self._once(exchange)
        if error is not None:
            self._flight.fail(error)

    def _stored(self) -> Sequence[Entry]:
        return self._commons.store.variants(self._asked.key)

    async def _once(self, exchange: Exchange) -> GatewayError | None:
        kept = exchange.head.kept
        if self._about:
            kept = conditional.asking(kept, [entry.validators for entry in self._about])
        elif self._asked.conditional:
            kept = conditional.unconditional(kept)
        fetch = _exchange(exchange, kept, self._asked.body)
        self._again = False
        try:
            for cap in self._caps:
                verdict = cap.check(fetch, monotonic())
                if verdict is WAIT:
                    verdict = await cap.wait(fetch)
                if verdict is not None:
                    return verdict
            self._sent = time()
            began = monotonic()
            try:
                return await forward(fetch, self._way, self._respond)
            finally:
                self._flight.seconds += monotonic() - began
        finally:
            fetch.end()

    async def _respond(self, fetch: Exchange, response: ResponseHead, connection: UpstreamConnection) -> None:
        """Take the response in, as relay.respond passes one on."""
        flight = self._flight
        fetch.status = response.status
        fetch.responded = True
        now = time()
        if response.status == 304 and self._about:
            self._renew(response, now)
            return
        landed, self._tags = landing.judge(
            response, self._asked, self._terms, self._sent, now, over_tls=connection.over_tls
        )
        if not self._terms.keeps:
            flight.storing = False
        if response.status not in FAILURES:
            flight.stale = None
        self._connection = connection
        self._tell(self._asked, landed)
        flight.land(landed)
        try:
            flight.source = connection
            connection.resume_reading()  # before the flight has a chance to hold back
            connection.attach(flight)
            await connection.done()
        except UpstreamError as error:
            flight.fail(error)
            raise
        finally:
            flight.source = self._connection = None

    def _renew(self, response: ResponseHead, now: float) -> None:
        """What is stored is still right (RFC 9111, section 4.3.4)."""
        values = landing.values_of(response.kept)
        new = conditional.validators(304, values, int(now))
        chosen = stored_update.selected(new, [entry.validators for entry in self._about], trust_the_answer=True)
        if not chosen:
            self._again = True
            return
        renewals = [(entry := self._about[place], self._renewal(entry, response.kept, now)) for place in chosen]
        if any(renewed is None for _, renewed in renewals):
            # It may be kept no longer, by what the 304 says: what there is of it now is to be judged as it comes.
            self._commons.store.purge(Purge(Kind.KEY, name_of(self._asked.key).encode()))
            self._again = True
            return
        for (entry, renewed), place in zip(renewals, chosen, strict=True):
            if renewed is not None and self._commons.seen(entry.subject, self._flight.version) is Effect.NONE:
                self._put_renewed(entry, renewed, first=place == 0)
        answer = renewals[0][1]
        if answer is not None:
            self._flight.answer_with(answer, renewed=True, own=self._own(answer, response.kept))

    def _put_renewed(self, entry: Entry, renewed: Entry, *, first: bool) -> None:
        """Store it in the place of what it was; `first`: also where that is not here, as one of the second tier."""
        commons = self._commons
        if not commons.store.replace(entry, renewed) and first:
            if commons.superseded(renewed, self._sent):
                return
            commons.store.put(renewed, self._asked.values)
        if commons.shared is not None and first:
            commons.shared.put(renewed, self._asked.values)

    def _renewal(self, entry: Entry, new: Pieces, now: float) -> Entry | None:
        """The stored response with what a 304 says of it; None where with that it could not have been stored."""
        kept = stored_update.updated(entry.kept, new, self._withheld(new) | landing.TAG_FIELDS)
        values = landing.values_of(kept)
        said, targeted = landing.directives(values)
        fresh = landing.values_of(new)
        # Its age is what this message says; the Age of the one before went with the update.
        lasting = landing.times(
            entry.status,
            lambda name: fresh(name) if name == b"age" else values(name),
            said,
            self._asked,
            self._terms,
            self._sent,
            now,
            targeted=targeted,
        )
        validators = conditional.validators(entry.status, values, int(now))
        nominated = vary.names(values(b"vary"))
        content = Answer(
            entry.status,
            said,
            vary_any=nominated is None,
            validator=conditional.can_ask(validators),
            length=len(entry.body),
        )
        why_not = storable.may_store(self._asked.asker, content, lasting, self._terms.sharing).why_not
        if why_not not in (None, Why.NO_FRESHNESS, Why.TOO_LARGE) or nominated != entry.nominated:
            return None
        return entry.renewed(
            field_lines.without(kept, frozenset({b"age"})), said, lasting, validators, self._flight.version
        )

    def _withheld(self, new: Pieces) -> frozenset[bytes]:
        """The fields of a 304 that are only for who asked, as `may_store` has it of a whole response."""
        said, _ = landing.directives(landing.values_of(new))
        fields = said.private_fields | said.no_cache_fields
        return fields if self._terms.sharing.set_cookie else fields | {b"set-cookie"}

    def _own(self, renewed: Entry, new: Pieces) -> Entry | None:
        """What the one who asked gets; None where that is what everybody gets."""
        withheld = self._withheld(new)
        own = field_lines.of(pair for pair in field_lines.pairs(new) if pair[0].lower() in withheld)
        if not own:
            return None
        kept = [*field_lines.without(renewed.kept, withheld), *own]
        return renewed.renewed(kept, renewed.said, renewed.freshness, renewed.validators, renewed.version)

    # ---- the store

    def _store(self) -> None:
        flight, landed = self._flight, self._flight.landed
        if landed is None or not flight.complete or not flight.storing or landed.why_not is not None:
            return
        stored = landing.entry(landed, flight.body(), self._asked, self._terms, self._tags, flight.version)
        if isinstance(stored, Why):
            return
        kept = self._commons.keep(stored, self._asked.values)
        if kept is not None and self._commons.shared is not None:
            self._commons.shared.put(kept, self._asked.values)


def _exchange(exchange: Exchange, kept: Pieces, content: bytes) -> Exchange:
    """The gateway's own exchange for what a client asked for."""
    head = copy(exchange.head)
    head.kept = field_lines.without(kept, _EXPECT) if head.expects_continue else kept
    head.expects_continue = False
    fetch = Exchange(exchange.listener, head, body_of(content), NOBODY, exchange.peer, monotonic())
    fetch.client = exchange.client
    fetch.host, fetch.proto = exchange.host, exchange.proto
    fetch.correlation_id, fetch.trace_id = exchange.correlation_id, exchange.trace_id
    fetch.added = list(exchange.added)
    fetch.route, fetch.flags = exchange.route, exchange.flags
    return fetch
