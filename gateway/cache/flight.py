"""One fetch that many read: the answer as it comes, and each reader at a pace of his own.

    nothing yet ──> landed: a head, then the body's bytes ──> whole
        │                                              └────> error: the body broke off
        ├──> entry: what is stored, or another replica has fetched, answers
        └──> error: nobody gets anything

While the answer is to be stored all of it is held here, and nobody holds anybody up. When it is not (it is too large,
or may not be stored), what all have read is let go, the upstream is held to the pace of the reader who is furthest,
and a reader who falls `BEHIND` bytes behind what has come is cut loose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from gateway.cache.entry import Entry
from gateway.errors import GatewayError
from gateway.exchange import BODY_BUFFER, Fields, Source
from gateway.rules.cache_control import ResponseDirectives
from gateway.rules.conditional import Validators
from gateway.rules.field_lines import Pieces
from gateway.rules.freshness import Freshness
from gateway.rules.storable import Why
from gateway.rules.vary import Names

#: Bytes that a reader may be behind a flight that is not stored.
BEHIND = 1024 * 1024


class Budget:
    """The bytes that all flights together hold in order to store them."""

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Landed(NamedTuple):
    """An answer's head, and what was judged of it."""

    status: int
    reason: bytes
    #: Fields to pass on; no tags for caches among them.
    kept: Pieces
    #: Fields (lower case) that only the leader gets, and that are not stored.
    without: frozenset[bytes]
    has_body: bool
    length: int | None
    #: Only the end of the connection ends the body, and nobody can tell whether it was meant.
    open_ended: bool
    #: An event stream.
    endless: bool
    said: ResponseDirectives
    freshness: Freshness
    validators: Validators
    #: The fields that Vary names and what the leader had in them; None where no other request matches.
    nominated: Names | None
    secondary: bytes
    #: Why it is not stored.
    why_not: Why | None

    @property
    def detail(self) -> str:
        """Why it is not stored, in a word; empty where it is."""
        return "" if self.why_not is None else self.why_not.value


class Flight:
    """A fetch under way, and what has come of it."""

    __slots__ = (
        "_base", "_budget", "_charged", "_parts", "_paused", "_readers", "_whole", "abandoned", "attempt",
        "background", "closes_at", "complete", "entry", "error", "extend", "landed", "longest", "over", "own",
        "received", "renewed", "seconds", "source", "stale", "storing", "trailers", "version",
    )  # fmt: skip

    def __init__(
        self, version: int, closes_at: float, longest: int, budget: Budget, *, background: bool = False
    ) -> None:
        #: The purges that what it fetches has seen.
        self.version = version
        #: From when on nobody joins, on the monotonic clock.
        self.closes_at = closes_at
        #: Bytes of a body that may be stored; past them nobody joins either.
        self.longest = longest
        #: It is for the cache, and goes on though nobody reads.
        self.background = background
        #: Called when nobody reads any more.
        self.abandoned: Callable[[], object] | None = None
        #: Gives the fetch until then, on the monotonic clock; None before and after it can be given.
        self.extend: Callable[[float], None] | None = None
        #: How many flights for the same have failed before.
        self.attempt = 0
        self.landed: Landed | None = None
        #: What answers in the place of anything fetched.
        self.entry: Entry | None = None
        #: The same for the leader, where it has fields that are his alone.
        self.own: Entry | None = None
        #: The origin has said that it is still right.
        self.renewed = False
        #: What may answer where the fetch has failed, or an error has landed.
        self.stale: Entry | None = None
        self.error: GatewayError | None = None
        #: Whether the body is held whole, to be stored.
        self.storing = True
        self.complete = False
        #: The fetch has ended, and what was to be stored is.
        self.over = False
        #: How long the upstream took, in seconds.
        self.seconds = 0.0
        self.received = 0
        self.trailers: Fields = []
        #: Who is asked to hold back.
        self.source: Source | None = None
        self._budget = budget
        self._charged = 0
        self._parts: list[bytes] = []
        #: How many parts have been let go.
        self._base = 0
        self._whole: bytes | None = None
        self._paused = False
        self._readers: set[Reader] = set()

    # ---- what the fetch tells

    def land(self, landed: Landed) -> None:
        """The head has come. Who is still there may read on; `drop_followers` lets the others go."""
        self.landed = landed
        if landed.why_not is not None:
            self.hold_no_more()
        self._tell()

    def answer_with(self, entry: Entry, *, renewed: bool, own: Entry | None = None) -> None:
        """A stored response is the answer, `own` the leader's; `renewed`: the origin says so."""
        self.entry = entry
        self.own = own
        self.renewed = renewed
        self.complete = True
        self._tell()

    def fail(self, error: GatewayError) -> None:
        """Nothing more comes."""
        if not self.complete and self.error is None:
            self.error = error
            self._release()
            self._tell()

    def chunk(self, data: bytes) -> None:
        """A piece of the body has come."""
        self._parts.append(data)
        self.received += len(data)
        if self.storing:
            budget = self._budget
            budget.held += len(data)
            self._charged += len(data)
            if self.received > self.longest or budget.held > budget.limit:
                self.hold_no_more()
        else:
            self._balance()
        self._tell()

    def end(self, trailers: Fields) -> None:
        """The body is whole."""
        self.trailers = trailers
        self.complete = True
        self._tell()
        if not self._readers:
            self._release()

    def close(self) -> None:
        """The fetch has ended."""
        self.over = True
        self._tell()

    def hold_no_more(self) -> None:
        """The body is not going to be stored: what all have read may go."""
        if self.storing:
            self.storing = False
            self._balance()

    def body(self) -> bytes:
        """The whole body of a complete flight that is to be stored; its readers share these bytes with the store."""
        if self._whole is None:
            self._whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = []
        return self._whole

    # ---- readers

    @property
    def settled(self) -> bool:
        """Whether there is something to answer with."""
        return self.landed is not None or self.entry is not None or self.error is not None

    def readers(self) -> int:
        """How many read."""
        return len(self._readers)

    def join(self, *, leads: bool) -> Reader:
        """Read this flight from its first byte; only while `storing`, or before anything has landed."""
        reader = Reader(self, leads=leads)
        self._readers.add(reader)
        return reader

    def part(self, reader: Reader) -> None:
        """A reader has what he wanted, or does not want it any more."""
        if reader not in self._readers:
            return
        self._readers.discard(reader)
        if self._readers:
            if not self.storing:
                self._balance()
            return
        if self.complete or self.error is not None:
            self._release()
        elif not self.background and self.abandoned is not None:
            self.closes_at = float("-inf")  # for who comes before the fetch has taken note
            self.abandoned()
        elif not self.storing:
            self._balance()

    def taken(self, reader: Reader) -> list[bytes]:
        """What has come since this reader took something last."""
        if self._whole is not None:
            whole, at = self._whole, reader.bytes
            reader.bytes = len(whole)
            return [whole[at:]] if at < len(whole) else []
        parts = self._parts[reader.parts - self._base :]
        reader.parts = self._base + len(self._parts)
        reader.bytes = self.received
        if not self.storing:
            self._balance()
        return parts

    # ---- inside

    def _balance(self) -> None:
        """Cut off who is too far behind, let go of what all have read, hold the upstream to the furthest's pace.

        The furthest stays however far he is behind what came while it was to be stored: he holds nobody up.
        """
        furthest = max((reader.bytes for reader in self._readers), default=self.received)
        for reader in [one for one in self._readers if self.received - one.bytes > BEHIND and one.bytes < furthest]:
            reader.cut = True
            self._readers.discard(reader)
            reader.wake()
        if self._whole is None:
            least = min((reader.parts for reader in self._readers), default=self._base + len(self._parts))
            if least > self._base:
                gone = min(self._charged, sum(map(len, self._parts[: least - self._base])))
                self._budget.held -= gone
                self._charged -= gone
                del self._parts[: least - self._base]
                self._base = least
        if self.source is None or self.complete:
            return
        ahead = self.received - furthest
        if not self._paused and ahead > BODY_BUFFER:
            self._paused = True
            self.source.pause_reading()
        elif self._paused and ahead <= BODY_BUFFER // 2:
            self._paused = False
            self.source.resume_reading()

    def _release(self) -> None:
        self._budget.held -= self._charged
        self._charged = 0

    def _tell(self) -> None:
        for reader in self._readers:
            reader.wake()


class Reader:
    """One who reads a flight."""

    __slots__ = ("_waker", "bytes", "cut", "flight", "leads", "overdue", "parts")

    def __init__(self, flight: Flight, *, leads: bool) -> None:
        self.flight = flight
        #: Whose request began the flight.
        self.leads = leads
        #: He has fallen too far behind.
        self.cut = False
        #: His own time is over.
        self.overdue = False
        #: How much he has taken.
        self.bytes = 0
        self.parts = 0
        self._waker: asyncio.Future[None] | None = None

    async def landing(self) -> None:
        """Wait for something to answer with, or for his time to end."""
        while not self.flight.settled and not self.cut and not self.overdue:
            await self._news()

    async def end(self) -> None:
        """Wait for the fetch to have ended, after its last byte."""
        while not self.flight.over:
            await self._news()

    async def more(self) -> list[bytes]:
        """The next pieces of the body; none at its end, however it came to it."""
        flight = self.flight
        while True:
            if self.cut or self.overdue:
                return []
            parts = flight.taken(self)
            if parts or flight.complete or flight.error is not None:
                return parts
            await self._news()

    def expire(self) -> None:
        """His own time is over."""
        self.overdue = True
        self.wake()

    def wake(self) -> None:
        """Something has changed."""
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    def leave(self) -> None:
        """Read no more."""
        self.flight.part(self)

    async def _news(self) -> None:
        self._waker = asyncio.get_running_loop().create_future()
        try:
            await self._waker
        finally:
            self._waker = None
