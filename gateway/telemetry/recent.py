"""What has been counted lately: the counts as they stand, less what they were a minute or five ago.

Every ten seconds the counts of each route are noted; a request pays nothing for it. A window ends now and begins at
the last note before its length, so it is up to ten seconds longer than asked for, and says how long it really is.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gateway.telemetry.counters import RouteMetrics
from gateway.telemetry.histogram import BOUNDS
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.quantile import quantile

#: Seconds between two notes.
INTERVAL = 10.0
#: The longest window, in seconds.
LONGEST = 300.0


class Counts(NamedTuple):
    """Requests by what became of them."""

    #: How long they took, by bucket; those that are meant to last left out.
    durations: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    requests: int = 0
    #: 5xx, whoever made them.
    server_errors: int = 0
    #: 429, whoever made it.
    limited: int = 0
    #: Other 4xx.
    client_errors: int = 0
    #: The client had gone.
    left: int = 0
    #: Event streams and tunnels of a second and more.
    lasting: int = 0

    def quantile(self, share: float) -> float | None:
        """Seconds; None where there was no request. See quantile.py."""
        return quantile(self.durations, BOUNDS, share)


_NOTHING = Counts()


class Window(NamedTuple):
    """Counts of so many seconds up to now, by route."""

    seconds: float
    routes: dict[RouteMetrics, Counts]

    def of(self, listener: str) -> Counts:
        """Those of a listener's routes together."""
        return total(counts for part, counts in self.routes.items() if part.listener == listener)


class _Note(NamedTuple):
    at: float
    routes: dict[RouteMetrics, Counts]
    #: What else is counted, by its name.
    others: dict[str, int]


class Recent:
    """Takes notes while it runs. `others` gives counts of other kinds, by name."""

    def __init__(
        self,
        metrics: Metrics,
        others: Callable[[], dict[str, int]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._others = others
        self._clock = clock
        # One more than the longest window has, for the note before it.
        self._notes: deque[_Note] = deque(maxlen=int(LONGEST / INTERVAL) + 2)
        self._begun = clock()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def uptime(self) -> float:
        """Seconds since it was made."""
        return self._clock() - self._begun

    def start(self) -> None:
        """Begin to take notes on the running event loop."""
        self._tick(asyncio.get_running_loop())

    def stop(self) -> None:
        """Take no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.note()
        self._timer = loop.call_later(INTERVAL, self._tick, loop)

    def note(self) -> None:
        """Note the counts as they stand."""
        before = self._notes[-1].routes if self._notes else {}
        routes = {}
        for part in self._metrics.routes():
            counts, same = _read(part), before.get(part)
            routes[part] = counts if same is None or counts != same else same  # one for all of a route that rests
        self._notes.append(_Note(self._clock(), routes, self._others()))

    def window(self, seconds: float | None) -> Window:
        """The last so many seconds, LONGEST at most, or as long as it runs; None for since the process began."""
        note = self._before(seconds)
        span = self.uptime if note is None else self._clock() - note.at
        earlier = {} if note is None else note.routes
        return Window(
            span, {part: _less(_read(part), earlier.get(part, _NOTHING)) for part in self._metrics.routes()}
        )

    def others(self, seconds: float) -> dict[str, int]:
        """What else was counted in the last so many seconds. What counts anew (a route is gone) is never below 0."""
        note = self._before(seconds)
        earlier = {} if note is None else note.others
        return {name: max(0, count - earlier.get(name, 0)) for name, count in self._others().items()}

    def _before(self, seconds: float | None) -> _Note | None:
        """The last note that is so old; where none is, the process is younger, and all counts are of the window."""
        if seconds is None:
            return None
        until = self._clock() - seconds
        return next((note for note in reversed(self._notes) if note.at <= until), None)


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of several."""
    numbers, durations = [0] * 6, [0] * (len(BOUNDS) + 1)
    for one in counts:
        for place, number in enumerate(one[1:]):
            numbers[place] += number
        for place, number in enumerate(one.durations):
            durations[place] += number
    return Counts(tuple(durations), *numbers)


def _read(part: RouteMetrics) -> Counts:
    requests = server = limited = client = left = 0
    for (_, status), count in part.requests.items():
        requests += count
        if status >= 500:
            server += count
        elif status == 429:
            limited += count
        elif status == 499:
            left += count
        elif status >= 400:
            client += count
    lasting = part.lasting.counts
    durations = tuple(map(int.__sub__, part.duration.counts, lasting))
    return Counts(durations, requests, server, limited, client, left, sum(lasting))


def _less(now: Counts, before: Counts) -> Counts:
    if before is _NOTHING:
        return now
    durations = tuple(map(int.__sub__, now.durations, before.durations))
    return Counts(durations, *map(int.__sub__, now[1:], before[1:]))
