"""A route's cache, as a request meets it.

    read ──> bypass: it cannot share (another method, an upgrade, no-store, a body that belongs to no key)
     │
    look up ── fresh, or stale and allowed ──> answered at once; what is stale is fetched in the background
     │ nothing, or it has to be validated
    join the flight of its key, or lead one ── let go ──> to the upstream by itself
     │
    answered: with what has landed, with what is stored, or with what is stale where the fetch has failed

`answer` does what needs no waiting, `serve` the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import floor
from time import time

from gateway.cache import answer, landing
from gateway.cache.alone import Alone
from gateway.cache.asked import Asked, Reading
from gateway.cache.boarding import Boarding
from gateway.cache.commons import Commons
from gateway.cache.content import Unkeyed, collect
from gateway.cache.entry import Entry
from gateway.cache.fetch import FAILURES, body_of
from gateway.cache.flight import Landed, Reader
from gateway.cache.landing import Terms
from gateway.cache.ports import Counts, Store
from gateway.errors import GatewayError, NotStored, Refused, TotalTimeout, UpstreamError
from gateway.exchange import Exchange
from gateway.gate import Gate
from gateway.rules import cache_status, field_lines, vary
from gateway.rules.cache_status import Why as Forwarded
from gateway.rules.freshness import Use, decide, decide_on_error
from gateway.rules.storable import Sharing, may_answer
from gateway.upstreams.connection import NEVER
from gateway.upstreams.forward import Way

#: How often a request takes part in a flight before it goes by itself.
_TRIES = 3
_READING = frozenset({b"GET", b"HEAD"})
_USABLE = frozenset({Use.FRESH, Use.STALE, Use.STALE_REVALIDATE})


class _Again:
    """The flight was not for this one; it looks again."""


_AGAIN = _Again()


class Shelf:
    """The cache of one route."""

    __slots__ = ("_alone", "_boarding", "_commons", "_counts", "_reading", "_store", "_terms", "_way")

    def __init__(
        self,
        reading: Reading,
        terms: Terms,
        way: Way,
        caps: Sequence[Gate],
        commons: Commons,
        counts: Counts,
        *,
        coalesces: bool,
    ) -> None:
        """`caps` are the gates that a fetch passes, and whoever goes to the upstream by himself."""
        self._reading = reading
        self._terms = terms
        self._way = way
        self._commons = commons
        self._store = commons.store
        self._counts = counts
        self._boarding = Boarding(terms, way, caps, commons, coalesces=coalesces)
        self._alone = Alone(way, caps, commons, terms.sharing.methods, keeps=terms.keeps)

    # ---- at once

    def answer(self, exchange: Exchange) -> bool:
        """Answer from the store where that can be done now; False leaves it to `serve`."""
        head = exchange.head
        if exchange.body.source is not None or head.upgrade:
            return False
        entry = None
        if self._terms.keeps:
            key = self._reading.plain_key(exchange)
            if key is not None:
                entry = self._commons.find(key, head.values)
                if entry is None:
                    return False
                now = time()
                left = entry.fresh_until - now
                if left > 0:
                    self._counts.hit += 1
                    exchange.cached = "hit"
                    answer.fresh(exchange, entry, int(now - entry.born), int(left))
                    return True
        if head.method not in _READING:
            return False
        asked = exchange.asked = self._reading.read(exchange)
        if entry is None and self._terms.keeps:
            entry = self._commons.find(asked.key, asked.values)
        return entry is not None and self._answer_by(exchange, asked, entry) in _USABLE

    def _answer_by(self, exchange: Exchange, asked: Asked, entry: Entry) -> Use:
        """Answer with a stored response if it may be used; what may be done with it, VALIDATE when nothing else."""
        if may_answer(asked.asker, entry.said, entry.freshness, self._sharing) is not None:
            return Use.VALIDATE
        if asked.wanted.no_store:
            return Use.VALIDATE
        now = time()
        use = decide(entry.freshness, asked.wanted, now)
        if use not in _USABLE:
            return use
        told = cache_status.hit(floor(entry.freshness.left(now)))
        if not answer.stored(exchange, entry, now, told, conditions=asked.conditional):
            return Use.VALIDATE
        if use is Use.FRESH:
            self._counts.hit += 1
        else:
            self._counts.stale += 1
        exchange.cached = "hit" if use is Use.FRESH else "stale"
        if use is Use.STALE_REVALIDATE:
            self._boarding.refresh(exchange, asked, entry)
        return use

    # ---- with waiting

    async def serve(self, exchange: Exchange) -> GatewayError | None:
        """Have the exchange answered. An error is returned only while nothing has gone to the client."""
        asked: Asked | None = exchange.asked
        exchange.asked = None
        seen = exchange.body.source is None and exchange.head.method in _READING  # by `answer`
        if asked is None:
            read = await self._read(exchange)
            if not isinstance(read, Asked):
                return await self._go_alone(exchange, None, *read)
            asked = read
        if asked.wanted.no_store and not asked.wanted.only_if_cached:
            return await self._go_alone(exchange, asked, "request", "request-no-store")
        for attempt in range(_TRIES):
            there = self._store if seen or attempt else self._commons
            outcome = await self._try(exchange, asked, attempt, there)
            if not isinstance(outcome, _Again):
                return outcome
        return await self._go_alone(exchange, asked, "uri-miss", "let-go")

    async def _try(
        self, exchange: Exchange, asked: Asked, attempt: int, there: Commons | Store
    ) -> GatewayError | _Again | None:
        """Look up again, which only commons count, and take part in a flight where that does not answer."""
        missed: Forwarded = "uri-miss"
        entry = there.find(asked.key, asked.values) if self._terms.keeps else None
        if entry is not None:
            use = self._answer_by(exchange, asked, entry)
            if use in _USABLE or (use is Use.VALIDATE and self._rests(exchange, asked, entry)):
                return None
            if use is Use.REFUSE:  # RFC 9111, section 5.2.1.7
                return NotStored()
            if may_answer(asked.asker, entry.said, entry.freshness, self._sharing):
                entry = None
        elif self._terms.keeps and self._store.variants(asked.key):
            missed = "vary-miss"
        if entry is None and asked.wanted.only_if_cached:
            return NotStored()
        why: Forwarded = missed if entry is None else _why(entry)
        cannot = self._cannot_lead(asked, entry)
        if cannot:
            return await self._go_alone(exchange, asked, why, cannot)
        reader = self._boarding.board(exchange, asked, entry, attempt)
        if reader is None:
            return await self._go_alone(exchange, asked, why, "let-go")
        if isinstance(reader, GatewayError):
            self._counts.error += 1
            return reader
        return await self._read_on(exchange, asked, reader, entry, why, attempt)

    async def _read(self, exchange: Exchange) -> Asked | tuple[Forwarded, str]:
        """What the request wants; or, where it cannot take part, why, in Cache-Status' words and in ours."""
        head = exchange.head
        if head.upgrade or (head.method not in self._terms.sharing.methods):
            return ("bypass", "upgrade") if head.upgrade else ("method", "method")
        if exchange.body.source is None:
            return self._reading.read(exchange)
        if not self._reading.of_bodies:
            return "bypass", "content"
        content = await collect(exchange, self._commons.budget)
        if isinstance(content, Unkeyed):
            return "bypass", f"content-{content.value}"
        exchange.body = body_of(content)
        asked = self._reading.read(exchange, content)
        asked.body = content
        return asked

    def _cannot_lead(self, asked: Asked, entry: Entry | None) -> str:
        """Why what answers this request, whole, is not worth fetching for the cache; empty where it is."""
        if asked.asker.method == b"HEAD":
            return "head"
        if not asked.conditional:
            return ""
        if asked.values(b"if-match") or asked.values(b"if-unmodified-since"):
            return "precondition"  # only the origin can tell
        return "range" if entry is None and asked.values(b"range") else ""

    def _rests(self, exchange: Exchange, asked: Asked, entry: Entry) -> bool:
        """Answer with something stale at once where the fetch has just failed: nobody need wait for that again."""
        unreachable = self._boarding.resting(asked)
        return unreachable is not None and self._stale_instead(exchange, asked, entry, unreachable=unreachable)

    @property
    def _sharing(self) -> Sharing:
        return self._terms.sharing

    async def fetch(self, exchange: Exchange, most: int) -> tuple[int, bool, str, bytes]:
        """Have what answers this request stored, though nobody waits for it: status, whether it is, why not, content.

        Of the content at least `most` bytes, where there are so many. Raises GatewayError.
        """
        asked = self._reading.read(exchange)
        entry = self._commons.find(asked.key, asked.values)
        if entry is not None and entry.fresh_until > time():
            return entry.status, True, "", entry.body
        reader = self._boarding.board(exchange, asked, entry, 1)
        if reader is None:
            return 0, False, "let-go", b""
        if isinstance(reader, GatewayError):
            raise reader
        content, size = [], 0
        try:
            await reader.landing()
            while parts := await reader.more():
                if size <= most:
                    content += parts
                    size += sum(map(len, parts))
            await reader.end()
        finally:
            reader.leave()
        flight = reader.flight
        if flight.error is not None:
            raise flight.error
        if flight.entry is not None:
            return flight.entry.status, True, "", flight.entry.body
        landed = flight.landed
        if landed is None:
            return 0, False, "let-go", b""
        return (
            landed.status,
            self._commons.find(asked.key, asked.values) is not None,
            landed.detail,
            b"".join(content),
        )

    # ---- reading a flight

    async def _read_on(
        self, exchange: Exchange, asked: Asked, reader: Reader, entry: Entry | None, why: Forwarded, attempt: int
    ) -> GatewayError | _Again | None:
        exchange.upstream = self._way.upstream.name
        timer: asyncio.TimerHandle | None = None
        if (attempt or not reader.leads) and self._way.total != NEVER:
            timer = asyncio.get_running_loop().call_at(exchange.started + self._way.total, reader.expire)
        try:
            await reader.landing()
            return await self._take(exchange, asked, reader, entry, why, attempt)
        finally:
            if timer is not None:
                timer.cancel()
            if reader.leads:
                exchange.upstream_seconds = reader.flight.seconds
            reader.leave()

    async def _take(
        self, exchange: Exchange, asked: Asked, reader: Reader, entry: Entry | None, why: Forwarded, attempt: int
    ) -> GatewayError | _Again | None:
        """Answer with what has come of the flight."""
        flight = reader.flight
        if flight.entry is not None:
            return self._take_entry(exchange, asked, reader, flight.entry, why)
        landed = flight.landed
        stale = entry or flight.stale
        if landed is None:
            if reader.overdue:
                return TotalTimeout()
            error = flight.error
            if error is None:
                return _AGAIN
            return self._after_failure(exchange, asked, reader, error, stale, attempt)
        if landed.status in FAILURES and self._stale_instead(exchange, asked, stale, unreachable=False):
            return None
        if not reader.leads and not landing.is_for(landed, asked, asked.wanted, self._sharing):
            if landed.nominated and landed.secondary != vary.secondary(landed.nominated, asked.values):
                return _AGAIN
            return await self._go_alone(exchange, asked, why, "let-go")
        if reader.cut:
            return await self._go_alone(exchange, asked, why, "cut-loose")
        self._count(exchange, reader, landed)
        stored = landed.why_not is None and self._terms.keeps
        own = cache_status.forwarded(why, stored=stored, collapsed=not reader.leads, detail=landed.detail)
        if asked.conditional and landed.status == 200 and answer.not_modified(exchange, landed.validators, time()):
            answer.landed_not_modified(exchange, landed, own)
            return None
        kept = landed.kept if reader.leads else field_lines.without(landed.kept, landed.without)
        await answer.landed(exchange, reader, landed, kept, own)
        return None

    def _take_entry(
        self, exchange: Exchange, asked: Asked, reader: Reader, entry: Entry, why: Forwarded
    ) -> GatewayError | _Again | None:
        """Answer with what the flight has found stored, or renewed."""
        if reader.leads and reader.flight.own is not None:
            entry = reader.flight.own
        if may_answer(asked.asker, entry.said, entry.freshness, self._sharing) is not None:
            return _AGAIN
        if not reader.leads and (
            decide(entry.freshness, asked.wanted, time()) not in _USABLE
            or (entry.nominated and entry.secondary != vary.secondary(entry.nominated, asked.values))
        ):
            return _AGAIN
        now = time()
        renewed = reader.flight.renewed
        told = (
            cache_status.forwarded(why, 304, stored=True, collapsed=not reader.leads)
            if renewed
            else cache_status.hit(floor(entry.freshness.left(now)))
        )
        if not answer.stored(exchange, entry, now, told, conditions=asked.conditional):
            return _AGAIN
        exchange.cached = "revalidated" if renewed else "hit"
        if renewed:
            self._counts.revalidated += 1
        else:
            self._counts.hit += 1
        return None

    def _after_failure(
        self,
        exchange: Exchange,
        asked: Asked,
        reader: Reader,
        error: GatewayError,
        stale: Entry | None,
        attempt: int,
    ) -> GatewayError | _Again | None:
        """Something stale, or one more leader, or the error."""
        if self._stale_instead(exchange, asked, stale, unreachable=True):
            return None
        flight = reader.flight
        if isinstance(error, UpstreamError) and flight.attempt > 0:
            self._boarding.failed(asked, error)
        elif not reader.leads and not isinstance(error, Refused) and attempt == 0:
            return _AGAIN
        self._counts.error += 1
        return error

    def _stale_instead(self, exchange: Exchange, asked: Asked, stale: Entry | None, *, unreachable: bool) -> bool:
        """Answer with something stale where that may stand in for what has gone wrong."""
        now = time()
        if (
            stale is None
            or may_answer(asked.asker, stale.said, stale.freshness, self._sharing) is not None
            or (stale.nominated and stale.secondary != vary.secondary(stale.nominated, asked.values))
            or not decide_on_error(stale.freshness, asked.wanted, now, unreachable=unreachable)
        ):
            return False
        told = cache_status.hit(floor(stale.freshness.left(now)))
        if not answer.stored(exchange, stale, now, told, conditions=asked.conditional):
            return False
        self._counts.stale += 1
        exchange.cached = "stale"
        self._boarding.rest(asked, unreachable=unreachable)
        return True

    def _count(self, exchange: Exchange, reader: Reader, landed: Landed) -> None:
        counts = self._counts
        if reader.leads:
            counts.miss += 1
            exchange.cached = "miss"
            if landed.why_not is not None:
                counts.not_stored(landed.why_not)
        else:
            counts.collapsed += 1
            exchange.cached = "collapsed"

    async def _go_alone(
        self, exchange: Exchange, asked: Asked | None, why: Forwarded, reason: str
    ) -> GatewayError | None:
        self._counts.bypass += 1
        self._counts.not_stored(reason)
        exchange.cached = "bypass"
        exchange.stamp += b"Cache-Status: %b\r\n" % cache_status.forwarded(why)
        return await self._alone.go(exchange, asked)


def _why(entry: Entry) -> Forwarded:
    """Whether it is the stored response or the request that wants the origin asked (RFC 9211, section 2.2)."""
    return "request" if entry.fresh_until > time() else "stale"
