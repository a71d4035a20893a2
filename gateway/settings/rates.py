"""How a rate limit is written: `60/min`, `100/10s`, `50/calendar-day`, `10MiB/s`, its burst, cost, key and zone.

Pure functions from text to value and back. Each raises ValueError with a message for whoever wrote the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from gateway.rules.rate_key import PLAIN, Term
from gateway.settings import values
from gateway.settings.mistakes import shown, suggestion
from gateway.settings.types import Bounded, JsonSchema, Kind

Calendar = Literal["hour", "day", "month"]

#: `cost: bytes`, in place of a number.
BYTES: Final = "bytes"

#: More tokens than this are no limit any more, and their time per token could not be told exactly.
MOST = 10**12
_FASTEST = 1 << 30  # a second

_PERIODS = {
    "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400,
}  # fmt: skip
_CALENDAR: dict[str, Calendar] = {f"calendar-{unit}": unit for unit in ("hour", "day", "month")}
_SHORT = {1.0: "s", 60.0: "min", 3600.0: "h", 86_400.0: "day"}
_NUMBER = r"[1-9][0-9]{0,12}"
_UNITS = "|".join((*_PERIODS, *_CALENDAR))
RATE = rf"^{_NUMBER}(B|KiB|MiB|GiB)?/({_UNITS}|{values.DURATION.strip('^$')})$"
_RATE = re.compile(r"([^/]*)/([^/]*)")
_HINTS = {
    "m": "write min for a minute or calendar-month for a month",
    "month": "months differ in length: write calendar-month or 30d",
    "week": "write 7d",
    "w": "write 7d",
    "y": "write 365d",
    "year": "write 365d",
}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, section 5.6.2
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_CLAIM = re.compile(r"[!-~]{1,100}")
_NAMES = {"header": _TOKEN, "cookie": _TOKEN, "path": _PARAMETER, "jwt": _CLAIM}


@dataclass(frozen=True, slots=True)
class Quota:
    """`limit` tokens in `period` seconds, or in each window of a calendar, where `period` is 0."""

    limit: int
    period: float
    calendar: Calendar | None = None
    #: It was written as a size, so that only bytes can be meant.
    in_bytes: bool = False

    def __str__(self) -> str:
        limit = values.format_size(self.limit) if self.in_bytes else str(self.limit)
        if self.calendar is not None:
            return f"{limit}/calendar-{self.calendar}"
        return f"{limit}/{_SHORT.get(self.period) or values.format_duration(self.period)}"


def parse_quota(text: str) -> Quota:
    """`60/min`, `100/10s`, `50/calendar-day` or `10MiB/s`."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{shown(text)} is not a rate, as in 60/min, 10/s, 100/10s or 50/calendar-day")
    number, unit = found.groups()
    in_bytes = number.endswith("B")
    try:
        limit = values.parse_size(number) if in_bytes else values.parse_integer(number)
    except ValueError:
        raise ValueError(f"{shown(text)} does not begin with a whole number, or a size as in 10MiB/s") from None
    if limit < 1:
        raise ValueError(f"{shown(text)} would let nothing through: a rate is at least 1")
    if unit in _CALENDAR:
        quota = Quota(limit, 0.0, _CALENDAR[unit], in_bytes)
    else:
        quota = Quota(limit, _period(unit, text), None, in_bytes)
    if limit > MOST or (quota.period and limit / quota.period > _FASTEST):
        raise ValueError(f"{shown(text)} is too much: at most {MOST} in all, and {_FASTEST} a second")
    return quota


def _period(unit: str, text: str) -> float:
    if unit in _PERIODS:
        return float(_PERIODS[unit])
    if unit in _HINTS:
        raise ValueError(f"{shown(text)}: {_HINTS[unit]}")
    if not unit[:1].isdigit():
        raise ValueError(f"{shown(text)} has no unit that is known{suggestion(unit, (*_PERIODS, *_CALENDAR))}")
    period = values.parse_duration(unit)
    if period < 0.001:
        raise ValueError(f"{shown(text)}: the time of a rate is at least 1ms")
    return period


@dataclass(frozen=True, slots=True)
class Rate(Kind):
    """A Quota, written `60/min`."""

    def parse(self, text: str) -> Quota:
        """See `parse_quota`."""
        return parse_quota(text)

    def json_schemas(self) -> list[JsonSchema]:
        """Text."""
        return [{"type": "string", "pattern": RATE}]


@dataclass(frozen=True, slots=True)
class Amount(Bounded):
    """Tokens as an int, written as a number or, where they are bytes, as a size."""

    def parse(self, text: str) -> int:
        """A whole number or a size."""
        return values.parse_size(text) if text.endswith("B") else values.parse_integer(text)

    def written(self, value: float) -> int:
        """Numbers are written as they are."""
        return int(value)

    def json_schemas(self) -> list[JsonSchema]:
        """A number or a size."""
        return [
            {"type": "integer", "minimum": int(self.low), "maximum": int(self.high)},
            {"type": "string", "pattern": values.SIZE},
        ]


@dataclass(frozen=True, slots=True)
class Cost(Amount):
    """What a request costs: an Amount, or BYTES for as much as its body has."""

    def check(self, value: Any) -> Any:
        """Read it and, where it is a number, hold it against the bounds."""
        return BYTES if value == BYTES else super(Cost, self).check(value)

    def written(self, value: Any) -> Any:
        """The word, or the number."""
        return BYTES if value == BYTES else super(Cost, self).written(value)

    def json_schemas(self) -> list[JsonSchema]:
        """A number, a size, or the word."""
        return [*super(Cost, self).json_schemas(), {"const": BYTES}]


def parse_term(text: str) -> Term:
    """`route`, `ip`, `user`, `header:NAME`, `cookie:NAME`, `path:PARAM` or `jwt:CLAIM`."""
    kind, colon, name = text.partition(":")
    if not colon and kind in PLAIN:
        return Term(kind)
    if kind in _NAMES:
        if not colon or not _NAMES[kind].fullmatch(name):
            raise ValueError(f"{shown(text)} needs a proper name behind {kind}:")
        return Term(kind, name)
    known = (*PLAIN, *(f"{kind}:NAME" for kind in _NAMES))
    raise ValueError(f"{shown(text)} is no key that requests have{suggestion(text, known)}")


def parse_user(text: str) -> Term:
    """Where a listener finds who its user is: `header:NAME` or `jwt:CLAIM`."""
    if text.partition(":")[0] not in ("header", "jwt"):
        raise ValueError(f"{shown(text)} names no user: write header:NAME or jwt:CLAIM")
    return parse_term(text)


def parse_zone(text: str) -> str:
    """An IANA time zone's name, as in Europe/Berlin."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # not found, not a zone's name, a folder
        near = [zone for zone in available_timezones() if zone[:2].lower() == text[:2].lower()]
        raise ValueError(f"{shown(text)} is no time zone{suggestion(text, near)}") from None
    return str(text)
