"""The generic cell rate algorithm, in integers: `limit` per `period`, and at once no more than `burst`.

A key's whole state is one number, its theoretical arrival time `tat`: when it would be idle again. What lies between
now and then is its level; each token that passes raises the level by `interval`, time lowers it, and a request passes
while the level stays within `capacity`. So in any t seconds at most burst + limit x t tokens pass, exactly.

Times are picoseconds: `interval` is rounded up to one, which makes a rate lower than written by at most a part in
10,000 at 100 million tokens a second, and never higher.

A calendar quota is the same with the window's end in the place of now, and a picosecond a token: its level falls
only when the next window begins, and until then no key has drained.

See ITU-T I.371, and Brandur Leach's "Rate limiting, cells, and GCRA" for its use here.
"""

from __future__ import annotations

from typing import NamedTuple

SECOND = 10**12  # picoseconds


class Rate:
    """`limit` tokens in `period` seconds, at once `burst`."""

    __slots__ = ("burst", "capacity", "interval", "limit", "period")

    def __init__(self, limit: int, period: float, burst: int) -> None:
        self.limit = limit
        self.period = period
        self.burst = burst
        #: Picoseconds that a token takes.
        self.interval = -(-round(period * SECOND) // limit)
        #: The highest level.
        self.capacity = burst * self.interval

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rate) and (self.limit, self.period, self.burst) == (
            other.limit,
            other.period,
            other.burst,
        )

    def __hash__(self) -> int:
        return hash((self.limit, self.period, self.burst))


def quota(limit: int) -> Rate:
    """A calendar quota as a rate: a picosecond a token, none of which drains before the window ends."""
    return Rate(limit, limit / SECOND, limit)


class Standing(NamedTuple):
    """How a key stands with a rule, after a charge that was taken or before one that was not. Times are seconds."""

    #: Whether the charge fits.
    allowed: bool
    #: Tokens left.
    remaining: int
    #: Until all tokens are there again.
    reset: float
    #: Until a charge like this one fits; 0 when it fits now, -1 when it never will, for it is more than the burst.
    retry_after: float


def charge(rate: Rate, tat: int, now: int, cost: int) -> int | None:
    """The new `tat` when `cost` tokens fit, None when they do not."""
    after = (max(now, tat)) + cost * rate.interval
    return after if after - now <= rate.capacity else None


def give_back(rate: Rate, tat: int, cost: int, age: int) -> int:
    """The new `tat` when `cost` tokens taken `age` picoseconds ago did not pass after all.

    The key may have been idle in between, but for the charge; so what could have drained since is kept, or more than
    burst + limit x t could pass.
    """
    left = cost * rate.interval - age
    return tat - left if left > 0 else tat


def standing(rate: Rate, tat: int, now: int, cost: int, *, allowed: bool) -> Standing:
    """How a key stands; `tat` is as it is after the decision."""
    level = tat - now if tat > now else 0
    if allowed:
        return Standing(True, (rate.capacity - level) // rate.interval, level / SECOND, 0.0)
    missing = level + cost * rate.interval - rate.capacity
    wait = missing / SECOND if cost <= rate.burst else -1.0
    return Standing(False, max(0, rate.capacity - level) // rate.interval, level / SECOND, wait)
