"""A moment as text (RFC 3339), in seconds since 1970.

As in JavaScript's `Date`, which Unleash's definitions are written for, a day alone is its midnight in UTC. What names
no zone is in UTC too: the zone of a machine is nothing that an answer should depend on.
"""

from __future__ import annotations

import re

from gateway.rules.http_date import DAY, civil, days

_written = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)? ?(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))?)?",
).fullmatch


def parse(text: str) -> float | None:
    """A moment in seconds since 1970; None for what is none."""
    found = _written(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction, _, sign, zone_hours, zone_minutes = found.groups()[6:]
    if not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 60:
        return None
    date = days(year, month, day)
    if civil(date) != (year, month, day):  # a day that its month does not have
        return None
    ahead = int(zone_hours or 0) * 3600 + int(zone_minutes or 0) * 60
    clock = hour * 3600 + minute * 60 + second - (-ahead if sign == "-" else ahead)
    return date * DAY + clock + (float(f"0.{fraction}") if fraction else 0.0)
