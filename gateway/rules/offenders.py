"""Who is refused so often that it is refused at once for a while: counts of refusals, and a list of blocks.

Refusals are counted exactly, over a sliding window. What is refused for being blocked is not counted: a block ends
when it was said to, and the count begins at nothing then.

All of it is bounded. So many keys are counted, with 20 refusals each on average, and the key that was refused
longest ago is forgotten first. So many are blocked: the oldest block goes first, one made by hand only where there
is no other.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

_REFUSALS_A_KEY = 20


@dataclass(frozen=True, slots=True)
class BlockRule:
    """`after` refusals within `within` seconds block a key for `seconds`."""

    after: int
    within: float
    seconds: float


class Blocked:
    """A blocked key; times are monotonic seconds, and a block made by hand may have no end (infinity)."""

    __slots__ = ("by_hand", "name", "reason", "refused", "since", "until")

    def __init__(self, name: bytes, since: float, until: float, reason: str, *, by_hand: bool) -> None:
        self.name = name
        self.since = since
        self.until = until
        self.reason = reason
        self.by_hand = by_hand
        #: Requests refused since.
        self.refused = 0


class Offenders:
    """Counts and blocks keys of all rules; a name is a rule's prefix and the key. Times are monotonic seconds."""

    def __init__(self, tracked: int = 10_000, blocked: int = 10_000) -> None:
        self._most_tracked = tracked
        self._most_blocked = blocked
        self._refusals: OrderedDict[bytes, deque[float]] = OrderedDict()
        #: How many refusals are remembered, of all keys.
        self._remembered = 0
        #: The blocks, those whose time may be over among them. Others only look whether there are any.
        self.automatic: OrderedDict[bytes, Blocked] = OrderedDict()
        self.by_hand: OrderedDict[bytes, Blocked] = OrderedDict()

    def __len__(self) -> int:
        """Keys blocked, those whose time may be over among them."""
        return len(self.automatic) + len(self.by_hand)

    def check(self, name: bytes, now: float) -> Blocked | None:
        """The block that refuses this request, or None."""
        if not (self.automatic or self.by_hand):
            return None
        self._end_oldest(now)
        found = self.automatic.get(name) or self.by_hand.get(name)
        if found is None:
            return None
        if now >= found.until:
            self.lift(name)
            return None
        found.refused += 1
        return found

    def refused(self, name: bytes, rule: BlockRule, now: float) -> Blocked | None:
        """Count a refusal by the rule; the block when this is one too many."""
        times = self._refusals.get(name)
        if times is None:
            times = self._refusals[name] = deque()
        while times and now - times[0] > rule.within:
            times.popleft()
            self._remembered -= 1
        times.append(now)
        self._remembered += 1
        if len(times) >= rule.after:
            return self._block(name, rule, now)
        self._refusals.move_to_end(name)
        while len(self._refusals) > self._most_tracked or self._remembered > self._most_tracked * _REFUSALS_A_KEY:
            self._remembered -= len(self._refusals.popitem(last=False)[1])
        return None

    def block(self, name: bytes, until: float, reason: str, now: float) -> Blocked:
        """Block a key by hand; `reason` is the operator's."""
        self.lift(name)
        self._forget(name)
        made = self.by_hand[name] = Blocked(name, now, until, reason, by_hand=True)
        self._bound(now)
        return made

    def lift(self, name: bytes) -> bool:
        """End a block; False when there was none."""
        return (self.automatic.pop(name, None) or self.by_hand.pop(name, None)) is not None

    def blocked(self, now: float) -> list[Blocked]:
        """All blocks that hold at this time: those made by hand first, and the oldest first."""
        return [one for table in (self.by_hand, self.automatic) for one in table.values() if now < one.until]

    def _block(self, name: bytes, rule: BlockRule, now: float) -> Blocked | None:
        self._forget(name)
        if name in self.by_hand:
            return None
        reason = f"refused {rule.after} times within {rule.within:g} s"
        made = self.automatic[name] = Blocked(name, now, now + rule.seconds, reason, by_hand=False)
        self.automatic.move_to_end(name)
        self._bound(now)
        return made if name in self.automatic else None

    def _bound(self, now: float) -> None:
        """Let blocks go that are over, if there are too many, and then the oldest."""
        if len(self) <= self._most_blocked:
            return
        for table in (self.automatic, self.by_hand):
            for name in [one.name for one in table.values() if now >= one.until]:
                del table[name]
        while len(self) > self._most_blocked:
            (self.automatic or self.by_hand).popitem(last=False)

    def _end_oldest(self, now: float) -> None:
        """Let the oldest blocks go if they are over: a key that never comes again must not hold up the list."""
        for table in (self.automatic, self.by_hand):
            name = next(iter(table), None)
            if name is not None and now >= table[name].until:
                del table[name]

    def _forget(self, name: bytes) -> None:
        times = self._refusals.pop(name, None)
        if times is not None:
            self._remembered -= len(times)
