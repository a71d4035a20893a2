"""What a gateway holds of a shared bucket's tokens: taken there in batches ahead of need, spent here.

Every token was charged in the shared bucket before it is spent, so what passes beyond burst + limit x t is at most
what was held when the time began: never more than `cap`, a share of the burst. How a key stands is known from the
last answer, `tat`, less what is held of it and spent since; it is a GCRA number like any other, and moves as
requests pass. It also says until when there is surely nothing more to take, for others can only take.

What is held is dropped when a quota's window ends; or when it was not asked for as long as an empty bucket takes to
fill, so that less than `cap` is lost in that time. See `state/leases.py` for when tokens are taken.
Times here are picoseconds, as in `gcra`.
"""

from __future__ import annotations

from gateway.rules import gcra
from gateway.rules.gcra import SECOND, Rate, Standing

#: Of a burst, what all replicas together may hold.
SHARE = 0.05
#: How long "there is nothing left" is believed: an operator may reset the key elsewhere.
BELIEVED = SECOND
#: How long after an answer that was too little nobody asks again, or a quarter of the burst would be there: else
#: replicas that fight for the last tokens would ask for every request.
PAUSE = SECOND // 200
_USED_UP = SECOND  # a batch used up within this time was too small
_standing = tuple.__new__  # see state/memory.py


def cap(burst: int, replicas: int) -> int:
    """How many tokens one replica may hold; 0 where even one each would be too many: then none is taken ahead."""
    return int(burst * SHARE / max(1, replicas))


class Lease:
    """What is held of one key. Every method is told the rate, for a reload may change it."""

    __slots__ = ("asked", "batch", "believed", "empty", "ends", "fetched", "fresh", "spent", "tat", "tokens", "until")

    def __init__(self) -> None:
        #: Held.
        self.tokens = 0
        #: When the key drains, if what is held here goes back.
        self.tat = 0
        #: Held tokens are dropped then.
        self.until = 0
        #: A refusal is believed until then.
        self.believed = 0
        #: Until then nobody asks again: the last answer was less than was wanted.
        self.empty = 0
        #: The end of a quota's window, which its level counts from; 0 for a rate.
        self.ends = 0
        #: How many are wanted in hand.
        self.batch = 1
        #: Spent since tokens were last asked for, and when that was.
        self.spent = 0
        self.asked = 0
        #: When tokens came last, and how many of those may be held yet: the older ones are spent first.
        self.fetched = 0
        self.fresh = 0

    def spend(self, rate: Rate, cost: int, at: int) -> Standing:
        """Take tokens that are held."""
        self.tokens -= cost
        self.spent += cost
        self.tat = tat = self.tat + cost * rate.interval
        level = tat - at
        if level < 0:  # noqa: PLR1730 - max() would take three times as long
            level = 0
        left = (rate.capacity - level) // rate.interval
        return _standing(Standing, (True, left if left > 0 else 0, level / SECOND, 0.0))  # noqa: FURB136

    def spend_quota(self, rate: Rate, cost: int, at: int) -> Standing:
        """As `spend`, of a calendar quota."""
        self.tokens -= cost
        self.spent += cost
        self.tat += cost
        level = self.tat - self.ends
        if level <= 0:
            return Standing(True, rate.limit, 0.0, 0.0)
        return Standing(True, max(0, rate.limit - level), max(0, self.ends - at) / SECOND, 0.0)

    def unspend(self, rate: Rate, cost: int) -> None:
        """Undo a `spend`: the request did not pass."""
        self.tokens += cost
        self.spent -= cost
        self.tat -= cost * rate.interval

    def expire(self, rate: Rate, at: int) -> None:
        """Drop what is held if its time is over."""
        if at < self.until:
            return
        if self.ends:
            self.tat = self.tokens = self.believed = self.ends = 0
        else:
            self.drop(rate, self.tokens)
        self.until = 0

    def drop(self, rate: Rate, tokens: int) -> None:
        """Let go of held tokens, as if somebody else had spent them."""
        self.tokens -= tokens
        self.tat += tokens * rate.interval

    def refuses(self, rate: Rate, missing: int, at: int) -> bool:
        """Whether so many tokens more than are held are surely not there to take, or not worth asking for yet."""
        if missing > rate.burst or at < self.empty:
            return True
        if at >= self.believed:
            return False
        taken = self.tat + self.tokens * rate.interval
        return gcra.charge(rate, taken, self.ends or at, missing) is None

    def hand_over(self, wanted: int, at: int) -> tuple[int, int]:
        """Take tokens out of the hand that are to go back: how many of so many there are, and how old they are.

        Only of those that came last it is known when they were charged.
        """
        count = min(wanted, self.fresh, self.tokens)
        self.tokens -= count
        self.fresh -= count
        return count, at - self.fetched

    def standing(self, rate: Rate, at: int) -> Standing:
        """How the key stands before a charge that could be taken, and is not."""
        level = max(0, self.tat - (self.ends or at))
        return Standing(True, max(0, rate.capacity - level) // rate.interval, self._reset(level, at), 0.0)

    def refusal(self, rate: Rate, cost: int, ahead: int, at: int) -> Standing:
        """How the key stands with a charge that does not fit; `ahead` is what others wait for."""
        level = max(0, self.tat - (self.ends or at))
        left = max(0, rate.capacity - level) // rate.interval
        if cost > rate.burst:
            wait = -1.0
        elif self.ends:
            wait = max(0, self.ends - at) / SECOND
        else:
            missing = level + (cost + ahead) * rate.interval - rate.capacity
            # It may look as if there were enough by now, but others are quicker.
            wait = max(missing if missing > 0 else rate.interval, self.empty - at) / SECOND
        return Standing(False, left, self._reset(level, at), wait)

    def wants(self, most: int, at: int) -> int:
        """How many tokens to take ahead of need now, `most` being the cap; the batch follows the demand."""
        since = at - self.asked
        if since < _USED_UP and self.spent:
            self.batch = max(2 * self.batch, self.spent)
        elif since > 2 * _USED_UP:
            self.batch //= 2
        self.batch = max(1, min(self.batch, most))
        self.spent, self.asked = 0, at
        return max(0, min(self.batch, most) - self.tokens)

    def filled(self, rate: Rate, taken: int, wanted: int, told: Standing, sent: int, at: int) -> None:
        """Take in an answer that came now to what was asked at `sent`, which is the earliest that it can be of."""
        self.tokens += taken
        self._note(taken, sent)
        self.believed = sent + BELIEVED
        self.empty = at + min(PAUSE, rate.capacity // 4) if taken < wanted else 0
        self.until = sent + max(rate.capacity, SECOND)
        self.tat = sent + int(told.reset * SECOND) - self.tokens * rate.interval

    def filled_quota(self, rate: Rate, taken: int, told: Standing, sent: int) -> None:
        """As `filled`, of a calendar quota."""
        if told.reset == 0:  # nothing is used
            self.tokens = self.tat = self.ends = self.until = self.believed = 0
            return
        ends = sent + int(told.reset * SECOND)
        self.tokens = taken if abs(ends - self.ends) > SECOND else self.tokens + taken  # not another window's
        self._note(taken, sent)
        self.believed = sent + BELIEVED
        self.ends = self.until = ends
        self.tat = ends + rate.limit - told.remaining - self.tokens

    def _note(self, taken: int, sent: int) -> None:
        if taken:
            self.fetched, self.fresh = sent, taken

    def _reset(self, level: int, at: int) -> float:
        return (max(0, self.ends - at) if self.ends and level else level) / SECOND
