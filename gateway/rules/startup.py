"""Whether a request waits for an upstream that has not come up yet, and how often the upstream is looked for.

Only one that has never yet accepted a connection is waited for: it is about to start. One that did and does no more
has failed, and who waited for it would wait for nothing.
"""

from __future__ import annotations

#: Seconds until the first look for it; each further one comes twice as much later, up to the longest.
FIRST, LONGEST = 0.05, 0.25


def held_until(now: float, over: float, deadline: float, *, accepted: bool) -> float | None:
    """Until when a request that finds nobody there is held; None where it is refused at once.

    `over` is when the time for starting is over, `deadline` the request's own, inf for none; monotonic seconds all.
    `accepted` says that the upstream has ever accepted a connection.
    """
    return None if accepted or now >= over else min(over, deadline)


def pause(tries: int) -> float:
    """Seconds until the next look, after so many that found nobody."""
    return min(FIRST * 2.0 ** min(tries, 16), LONGEST)
