"""The three forms of a date in a header field, as seconds since 1970 (RFC 9110, section 5.6.7), by arithmetic alone.

Strict but for what RFC 9111, section 4.2, asks of a cache: letters of either case, and UTC beside GMT. Every other
zone is no date, and neither is a day that its month does not have. The day of the week is read and not checked.
"""

from __future__ import annotations

import re

DAY = 86_400
_ABOUT_NOW = 1_767_225_600.0  # 2026, for who has no clock
_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_NUMBER = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_LENGTH = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_SHORT = b"(?:" + b"|".join(_DAYS) + b")"
_LONG = rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = b"(" + b"|".join(_MONTHS) + b")"
_CLOCK = rb"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_ZONE = rb" (?:GMT|UTC)"
_FIXDATE = re.compile(_SHORT + rb", ([0-9]{2}) " + _MONTH + rb" ([0-9]{4}) " + _CLOCK + _ZONE, re.IGNORECASE)
_RFC850 = re.compile(_LONG + rb", ([0-9]{2})-" + _MONTH + rb"-([0-9]{2}) " + _CLOCK + _ZONE, re.IGNORECASE)
_ASCTIME = re.compile(_SHORT + b" " + _MONTH + rb" ([0-9]{2}| [0-9]) " + _CLOCK + rb" ([0-9]{4})", re.IGNORECASE)


def parse(value: bytes, now: float = _ABOUT_NOW) -> int | None:
    """A date in seconds since 1970, None for what is none.

    `now`, in the same, tells the century of a year of two digits: without it the year is one of 1977 to 2076.
    """
    found = _FIXDATE.fullmatch(value)
    if found is not None:
        day, month, year, hour, minute, second = found.groups()
        return _seconds(int(year), month, int(day), int(hour), int(minute), int(second))
    found = _ASCTIME.fullmatch(value)
    if found is not None:
        month, day, hour, minute, second, year = found.groups()
        return _seconds(int(year), month, int(day), int(hour), int(minute), int(second))
    found = _RFC850.fullmatch(value)
    if found is not None:
        day, month, year, hour, minute, second = found.groups()
        this_year = year_of(int(now))
        # More than 50 years ahead is the last year in the past that ends so.
        full = this_year - this_year % 100 + int(year)
        if full > this_year + 50:
            full -= 100
        elif full <= this_year - 50:
            full += 100
        return _seconds(full, month, int(day), int(hour), int(minute), int(second))
    return None


def render(seconds: int) -> bytes:
    """Seconds since 1970 as an IMF-fixdate. Raises ValueError for a year that has not four digits."""
    days, clock = divmod(seconds, DAY)
    year, month, day = civil(days)
    if not 0 <= year <= 9999:
        raise ValueError("no date for a header field")
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[(days + 3) % 7],
        day,
        _MONTHS[month - 1],
        year,
        clock // 3600,
        clock // 60 % 60,
        clock % 60,
    )


def year_of(seconds: int) -> int:
    """The year of a time in seconds since 1970."""
    return civil(seconds // DAY)[0]


def _seconds(year: int, name: bytes, day: int, hour: int, minute: int, second: int) -> int | None:
    month = _NUMBER[name.lower()]
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    # A minute may have 61 seconds; the extra one counts as the next minute's first.
    if not 1 <= day <= _LENGTH[month] + leap or hour > 23 or minute > 59 or second > 60:
        return None
    return days(year, month, day) * DAY + hour * 3600 + minute * 60 + second


def days(year: int, month: int, day: int) -> int:
    """Days since 1970 in the Gregorian calendar, the year taken to begin in March so that leap days end it."""
    if month < 3:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719_469


def civil(days: int) -> tuple[int, int, int]:
    """The reverse of `days`: year, month and day."""
    era, of_era = divmod(days + 719_468, 146_097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year_of_era + (month < 3), month, of_year - (153 * shifted + 2) // 5 + 1
