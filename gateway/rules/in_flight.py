"""In-flight caps: who holds a slot, who waits for one, who is next. No clock and no loop: the shell brings both.

             room                          a slot comes free
    enter ---------> holds <-------------------------------- waits
      |                |                                       ^  |
      | full           | leave, withdraw                 join  |  | withdraw: left, or waited too long
      v                v                                       |  v
    join or refuse    free --> the next waiter             no place: refuse

A slot that is given back goes to the next waiter in the same step, so there is never both room and somebody waiting,
and whoever comes later cannot overtake. A waiter may be let in and withdrawn in either order: `withdraw` knows from
the waiter alone whether it is a place or a slot that comes free.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from math import ceil

#: What Retry-After may say, in seconds.
SOONEST, LATEST = 1, 60

#: The weight of one more hold time in their mean.
_WEIGHT = 1 / 8


class Waiter:
    """A request's place in a queue. `wake` is called, once at most, when it has been let in."""

    __slots__ = ("admitted", "lease", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        #: It holds a slot.
        self.admitted = False
        #: What it holds of a shared cap.
        self.lease = b""


class Slots:
    """The slots of a cap, or of one key of it, and the queue for them.

    With a limit of 0 nobody gets in but by `hold` and `let_in`: somebody else counts.
    """

    __slots__ = ("_waiting", "asking", "in_flight", "key", "limit", "newest_first", "queue")

    def __init__(self, limit: int, queue: int, *, newest_first: bool = False, key: bytes = b"") -> None:
        self.limit = limit
        self.queue = queue
        self.newest_first = newest_first
        self.key = key
        self.in_flight = 0
        #: Requests that are neither in nor waiting while somebody else is asked.
        self.asking = 0
        self._waiting: OrderedDict[Waiter, None] | None = None

    @property
    def queued(self) -> int:
        """How many wait."""
        return 0 if self._waiting is None else len(self._waiting)

    @property
    def crowded(self) -> bool:
        """Whether nobody more may wait."""
        return self.queued >= self.queue

    @property
    def idle(self) -> bool:
        """Whether nothing is known of it that would be missed."""
        return not (self.in_flight or self.asking or self._waiting)

    def enter(self) -> bool:
        """Take a slot if there is one."""
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        return True

    def hold(self) -> None:
        """Take a slot, limit or not."""
        self.in_flight += 1

    def leave(self) -> None:
        """Give a slot back; it goes to whoever is next."""
        self.in_flight -= 1
        if self._waiting:
            self._fill()

    def join(self, waiter: Waiter) -> bool:
        """Take a place in the queue; False when there is none."""
        if self.crowded:
            return False
        if self._waiting is None:
            self._waiting = OrderedDict()
        self._waiting[waiter] = None
        return True

    def withdraw(self, waiter: Waiter) -> None:
        """Give up what a waiter has, a place or already a slot; once or more often."""
        if waiter.admitted:
            waiter.admitted = False
            self.leave()
        elif self._waiting is not None:
            self._waiting.pop(waiter, None)

    def let_in(self) -> Waiter | None:
        """Give the next waiter a slot, limit or not; None when nobody waits."""
        if not self._waiting:
            return None
        waiter, _ = self._waiting.popitem(last=self.newest_first)
        self.in_flight += 1
        waiter.admitted = True
        waiter.wake()
        return waiter

    def resize(self, limit: int, queue: int, *, newest_first: bool) -> None:
        """Go by other numbers. More room is filled at once; where there is less, nobody is turned out."""
        self.limit = limit
        self.queue = queue
        self.newest_first = newest_first
        self._fill()

    def _fill(self) -> None:
        while self.in_flight < self.limit and self.let_in() is not None:
            pass


class SlotsByKey:
    """Slots of their own for each key. A key is in the table while it has a use, so the table is as small as that."""

    __slots__ = ("_limit", "_newest_first", "_queue", "_table")

    def __init__(self, limit: int, queue: int, *, newest_first: bool = False) -> None:
        self._limit = limit
        self._queue = queue
        self._newest_first = newest_first
        self._table: dict[bytes, Slots] = {}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def in_flight(self) -> int:
        """Slots held, all keys together."""
        return sum(slots.in_flight for slots in self._table.values())

    @property
    def queued(self) -> int:
        """Waiters, all keys together."""
        return sum(slots.queued for slots in self._table.values())

    def of(self, key: bytes) -> Slots:
        """A key's slots. Whoever has asked for them and is through with them says `settle`."""
        slots = self._table.get(key)
        if slots is None:
            slots = Slots(self._limit, self._queue, newest_first=self._newest_first, key=key)
            self._table[key] = slots
        return slots

    def settle(self, slots: Slots) -> None:
        """Forget a key that has no use any more."""
        if slots.idle and self._table.get(slots.key) is slots:
            del self._table[slots.key]

    def resize(self, limit: int, queue: int, *, newest_first: bool) -> None:
        """As `Slots.resize`, for every key that is known and every one to come."""
        self._limit, self._queue, self._newest_first = limit, queue, newest_first
        for slots in list(self._table.values()):
            slots.resize(limit, queue, newest_first=newest_first)


class Pace:
    """How long slots are held, and with that when one will be free. Times are seconds."""

    __slots__ = ("_admitted", "_mean", "_since")

    def __init__(self) -> None:
        self._mean = -1.0
        self._admitted = -1
        self._since = 0.0

    def held(self, seconds: float) -> None:
        """Take note of how long a slot was held."""
        self._mean = seconds if self._mean < 0 else self._mean + (seconds - self._mean) * _WEIGHT

    def retry_after(self, ahead: int, limit: int, admitted: int, now: float) -> int:
        """Whole seconds until a newcomer would be let in, behind so many `ahead`, from `SOONEST` to `LATEST`.

        `admitted` is how many have been let in so far: while that stands still, nothing speaks for a slot's coming
        free sooner than it has already taken.
        """
        if admitted != self._admitted:
            self._admitted, self._since = admitted, now
        wait = max(self._mean * (ahead + 1) / limit, now - self._since)
        return max(SOONEST, min(LATEST, ceil(wait)))
