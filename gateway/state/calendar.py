"""Windows of a calendar: the days, hours or months of a time zone, as lengths of time.

A day or a month begins at the first moment at which clocks there show its midnight or a later time; it is as long as
it is, 23 or 25 hours where clocks change. An hour begins when clocks show a full one, or when they change; the one
that clocks go through twice is two windows. Zones come from the system, or else from the tzdata package.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Unit = Literal["hour", "day", "month"]

_HOUR = 3600


class CalendarWindows:
    """The windows of one unit in one zone. Raises ValueError for a zone that is not known."""

    __slots__ = ("_end", "_start", "_window", "_zone", "unit", "zone")

    def __init__(self, unit: Unit, zone: str = "UTC") -> None:
        self.unit: Unit = unit
        self.zone = zone
        try:
            self._zone = ZoneInfo(zone)
        except (KeyError, ValueError, OSError):  # not found, not a zone's name, a folder
            raise ValueError(f"no time zone is called {zone!r}") from None
        self._window = (0.0, 0.0)
        self._start = self._end = 0.0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CalendarWindows) and (self.unit, self.zone) == (other.unit, other.zone)

    def __hash__(self) -> int:
        return hash((self.unit, self.zone))

    def window(self, wall: float) -> tuple[float, float]:
        """The start and the end of the window at this time, whole seconds since the epoch; the end is not in it."""
        if not self._start <= wall < self._end:
            found = self._hour(int(wall // 1)) if self.unit == "hour" else self._days(wall)
            self._start, self._end = self._window = (float(found[0]), float(found[1]))
        return self._window

    def _days(self, wall: float) -> tuple[int, int]:
        first = datetime.fromtimestamp(wall // 1, self._zone).replace(tzinfo=None)
        first = self._midnight(first)
        start, end = self._begin(first), self._begin(self._next(first))
        if end <= wall:  # clocks went back from just after midnight to just before it
            start, end = end, self._begin(self._next(self._next(first)))
        return start, end

    def _midnight(self, local: datetime) -> datetime:
        day = 1 if self.unit == "month" else local.day
        return local.replace(day=day, hour=0, minute=0, second=0, microsecond=0)

    def _next(self, midnight: datetime) -> datetime:
        return self._midnight(midnight + timedelta(days=32 if self.unit == "month" else 1))

    def _begin(self, midnight: datetime) -> int:
        """The first moment at which clocks show this midnight or later."""
        # For a time that clocks skip these are the two sides of the change, the later one first.
        early, late = sorted(int(midnight.replace(tzinfo=self._zone, fold=fold).timestamp()) for fold in (0, 1))
        if self._local(early) >= midnight:
            return early
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (early, middle) if self._local(middle) >= midnight else (middle, late)
        return late

    def _hour(self, wall: int) -> tuple[int, int]:
        offset = self._offset(wall)
        start = (wall + offset) // _HOUR * _HOUR - offset
        end = start + _HOUR
        if self._offset(start) != offset:
            start = self._change(start, wall)
        if self._offset(end - 1) != offset:
            end = self._change(wall, end - 1)
        return start, end

    def _change(self, early: int, late: int) -> int:
        """The first moment after a change of the clocks between these two."""
        before = self._offset(early)
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (middle, late) if self._offset(middle) == before else (early, middle)
        return late

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self._zone).replace(tzinfo=None)

    def _offset(self, at: int) -> int:
        """What clocks there are ahead of UTC, seconds."""
        ahead = datetime.fromtimestamp(at, self._zone).utcoffset()
        assert ahead is not None  # noqa: S101 - a ZoneInfo always knows
        return int(ahead.total_seconds())
