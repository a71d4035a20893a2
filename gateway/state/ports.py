"""What the policies need of a memory, and what both memories (`memory.py`, `redis.py`) promise.

One contract suite holds both to it. Nothing here is ever a reason to answer 500: a shared state that cannot be asked
raises Unavailable, at once or within its timeout, and its caller goes on with the local one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.rules.gcra import SECOND, Rate, Standing


class Unavailable(Exception):
    """The shared state could not be asked, or did not answer in time; the local one must do."""


class Calendar(Protocol):
    """Windows of a calendar: days, hours or months of a time zone."""

    def window(self, wall: float) -> tuple[float, float]:
        """The start and the end of the window at this time, all in seconds since the epoch."""


class Limit:
    """A rate rule as a memory sees it. `id` is its name in full (`ingress/generate/daily`); it outlives reloads.

    With a calendar, `rate.limit` tokens pass in each window, `burst` and `period` mean nothing, and the level
    starts again at each window. A charge on a shadow rule never stands in the way of the others, and is taken only
    when it fits.
    """

    __slots__ = ("calendar", "id", "prefix", "rate", "shadow")

    def __init__(
        self,
        id: str,
        rate: Rate,
        *,
        calendar: Calendar | None = None,
        shadow: bool = False,
    ) -> None:
        self.id = id
        self.rate = rate
        self.calendar = calendar
        self.shadow = shadow
        #: What all of this rule's keys begin with. A quota's and a rate's numbers mean different things.
        self.prefix = id.encode() + (b"\x00" if calendar is None else b"\x01\x00")


class Charge(NamedTuple):
    """One rule's part in one request: so many tokens of a key's."""

    limit: Limit
    key: bytes
    cost: int


class Spending:
    """One rule's part in every request alike, with what its rate comes to in picoseconds. No calendar, no shadow.

    `cost` is at most the burst. `name` is the limit's prefix and the key where that is the same for all, else None,
    and `read` reads it from a request.
    """

    __slots__ = ("capacity", "cost", "interval", "limit", "name", "need", "read")

    def __init__(self, limit: Limit, cost: int, name: bytes | None, read: Callable[[Any], bytes]) -> None:
        rate = limit.rate
        self.limit = limit
        self.cost = cost
        self.name = name
        self.read = read
        self.need = cost * rate.interval
        self.interval = rate.interval
        self.capacity = rate.capacity

    @property
    def fresh(self) -> tuple[int, int]:
        """Tokens left and seconds until all are there, of a key that had been idle."""
        return (self.capacity - self.need) // self.interval, -(-self.need // SECOND)


class Spendings:
    """A gate's rules: each has keys of its own. `fresh` is what `spend` tells where all their keys had been idle."""

    __slots__ = ("each", "fresh")

    def __init__(self, each: Sequence[Spending]) -> None:
        self.each = tuple(each)
        self.fresh = [number for one in each for number in one.fresh]


class Buckets(Protocol):
    """Rate limits in this process. `now` is monotonic seconds."""

    def take(self, charges: Sequence[Charge], now: float) -> list[Standing]:
        """Take all charges, or none when one of a rule that is no shadow does not fit. In the charges' order."""

    def spend(self, wanted: Spendings, asked: Any, names: list[bytes], now: float) -> list[int] | None:
        """Take all at once, for a request that passes as most do: tokens left and seconds until all are, of each.

        None, with nothing taken, when one does not fit; `take` tells the rest then. The names of the keys are added
        to `names`. Nobody changes what is returned.
        """

    def give_back(self, charges: Sequence[Charge], now: float, age: float = 0.0) -> None:
        """Undo a `take` that was allowed, when something else then refused the request; only what was taken then.

        `age` is seconds since the take. What has drained since is not given back: it could pass twice otherwise.
        """

    def force(self, charge: Charge, now: float) -> None:
        """Take a charge whether it fits or not: what has been used is known only now (a chunked body's bytes)."""

    def look(self, limit: Limit, key: bytes, now: float) -> Standing | None:
        """How a key stands, as for a charge of 1; None for one that nothing is known of."""

    def forget(self, limit: Limit, key: bytes | None) -> int:
        """Reset a key, or with None all of the rule's; how many there were."""

    def __len__(self) -> int: ...


class SharedBuckets(Protocol):
    """Rate limits shared between replicas. All methods raise Unavailable."""

    async def take(self, charges: Sequence[Charge]) -> list[Standing]:
        """As `Buckets.take`, in one round trip, by the shared state's own clock."""

    async def take_some(self, limit: Limit, key: bytes, wanted: int, at_least: int) -> tuple[int, Standing]:
        """Take as many of `wanted` tokens as fit, but none when fewer than `at_least` do: (taken, standing)."""

    async def give_back(self, charges: Sequence[Charge], age: float = 0.0) -> None:
        """As `Buckets.give_back`."""

    async def force(self, charge: Charge) -> None:
        """As `Buckets.force`."""

    async def look(self, limit: Limit, key: bytes) -> Standing | None:
        """As `Buckets.look`."""

    async def forget(self, limit: Limit, key: bytes | None) -> int:
        """As `Buckets.forget`."""


class SharedSlots(Protocol):
    """In-flight caps shared between replicas: leases, renewed every 10 s by living ones. All raise Unavailable."""

    async def acquire(self, cap: str, key: bytes, limit: int) -> bytes | None:
        """A lease on a slot of `cap` (an id as a rule's) for this key, or None when `limit` are taken."""

    async def release(self, cap: str, key: bytes, lease: bytes) -> None:
        """Give a slot back; once or more often, after it has run out too."""

    async def in_use(self, cap: str, key: bytes) -> int:
        """Slots taken by all replicas."""
