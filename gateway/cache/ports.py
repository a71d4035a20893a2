"""What the cache's parts need of one another.

Times called `now` are seconds since 1970, for freshness outlives a process where replicas share it; durations are
seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.cache.entry import Entry, Values
from gateway.rules.purge import Purge
from gateway.rules.storable import Why
from gateway.rules.vary import Names


class Store(Protocol):
    """The first tier: this process's memory, bounded by entries and bytes."""

    def find(self, key: bytes, values: Values) -> Entry | None:
        """What is stored for a request, fresh or stale; the asking counts for what stays."""

    def variants(self, key: bytes) -> Sequence[Entry]:
        """Everything stored under a primary key, the latest used last."""

    def varies(self, key: bytes) -> Names:
        """The fields named by the Vary of what was stored last under a primary key; none where nothing is."""

    def put(self, entry: Entry, values: Values) -> None:
        """Store the response to the request with these fields, in the place of what it had."""

    def replace(self, old: Entry, new: Entry) -> bool:
        """Put another entry in the place of this one; False where it is there no more."""

    def purge(self, purge: Purge) -> int:
        """Remove what it means, or make it stale where it is soft; how many."""


class Turn(Protocol):
    """The right of this replica to fetch what all of them want; it lasts while the process lives and holds it."""

    def done(self, *, let_go: bool = False) -> None:
        """The fetch is over, once: the others look again, or with `let_go` fetch for themselves from now on."""


class SharedTier(Protocol):
    """The second tier, shared between replicas. Nothing raises for its sake, and nothing waits long for it."""

    @property
    def up(self) -> bool:
        """Whether it is worth asking."""

    async def find(self, key: bytes, values: Values) -> Entry | None:
        """What it has for a request; None also where it has not answered in time."""

    async def turn(self, key: bytes, values: Values, longest: float) -> Entry | Turn | None:
        """Wait for this replica's turn to fetch, `longest` seconds at most.

        An entry, where another replica has fetched it meanwhile; None to fetch without a turn: it is down, another
        has said that the answer is nobody else's, or the time is over.
        """

    def put(self, entry: Entry, values: Values) -> None:
        """Store it too, in the background; dropped where too much waits already."""


class Counts(Protocol):
    """What has become of a route's requests."""

    hit: int
    stale: int
    revalidated: int
    miss: int
    collapsed: int
    bypass: int
    error: int

    def not_stored(self, why: Why | str) -> None:
        """Something fetched was not stored, or somebody went by himself, by a short word of ours."""


class LookUps(Protocol):
    """Where look-ups of the first tier are counted, and some of them timed."""

    hits: int
    misses: int

    @property
    def observe(self) -> Callable[[float], None]:
        """Takes its time, in seconds."""
