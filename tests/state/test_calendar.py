"""Windows of calendars against what datetime says that clocks show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.calendar import CalendarWindows, Unit

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",  # changed clocks at 00:01 until 2011
    "America/Sao_Paulo",  # skipped midnight until 2018
    "Africa/Cairo",  # shows the hour before midnight twice
    "America/Toronto",  # skipped from 23:30 to 00:30 in 1919
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # changes clocks by half an hour
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kiritimati",
]


def local(at: float, zone: str) -> datetime:
    return datetime.fromtimestamp(at // 1, ZoneInfo(zone)).replace(tzinfo=None)


def ahead(at: int, zone: str) -> int:
    return int((local(at, zone) - datetime.fromtimestamp(at, UTC).replace(tzinfo=None)).total_seconds())


@cache
def changes(zone: str) -> list[int]:
    """When clocks there change, 1919 to 2037, as far as they do not change back within a week."""
    found = []
    for week in range(-1_609_459_200, 2_114_380_800, 7 * 86_400):
        early, late = week, week + 7 * 86_400
        if ahead(early, zone) == ahead(late, zone):
            continue
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (middle, late) if ahead(middle, zone) == ahead(week, zone) else (early, middle)
        found.append(late)
    return found or [0]


@st.composite
def moments(draw: st.DrawFn) -> tuple[float, str]:
    """A time and a zone, most often round a change of the clocks there."""
    zone = draw(st.sampled_from(ZONES))
    if draw(st.integers(0, 3)) == 0:
        return draw(st.floats(-1.6e9, 4e9)), zone
    near = st.one_of(st.integers(-3, 3), st.integers(-50, 50).map(lambda n: n * 1800), st.floats(-100_000, 100_000))
    return draw(st.sampled_from(changes(zone))) + draw(near), zone


@given(moments(), st.sampled_from(["day", "month"]))
def test_a_day_or_month_begins_when_clocks_first_show_it(moment: tuple[float, str], unit: Unit) -> None:
    at, zone = moment
    start, end = CalendarWindows(unit, zone).window(at)
    assert start <= at < end
    assert start == int(start)
    for begin in (start, end):
        shown = local(begin, zone)
        midnight = shown.replace(day=1 if unit == "month" else shown.day, hour=0, minute=0, second=0)
        assert local(begin - 1, zone) < midnight <= shown
        assert shown - midnight <= timedelta(hours=1)  # later than midnight only where clocks skipped it
    days = (end - start) / 86_400
    assert (27.9 <= days <= 31.1) if unit == "month" else (0.9 <= days <= 1.1)


@given(moments())
def test_an_hour_is_one_unless_clocks_change(moment: tuple[float, str]) -> None:
    at, zone = moment
    start, end = CalendarWindows("hour", zone).window(at)
    assert start <= at < end
    assert start == int(start)
    assert 0 < end - start <= 3600
    assert local(start, zone).hour == local(at, zone).hour == local(end - 1, zone).hour
    for begin in (start, end):
        shown = local(begin, zone)
        changed = shown - local(begin - 1, zone) != timedelta(seconds=1)
        assert changed or (shown.minute, shown.second) == (0, 0)


@given(moments(), st.sampled_from(["hour", "day", "month"]))
def test_windows_follow_one_another(moment: tuple[float, str], unit: Unit) -> None:
    at, zone = moment
    calendar = CalendarWindows(unit, zone)
    first = calendar.window(at)
    following = calendar.window(first[1])
    assert following[0] == first[1]
    assert CalendarWindows(unit, zone).window(following[1] - 0.001) == following
    assert CalendarWindows(unit, zone).window(first[0] - 0.001)[1] == first[0]


@given(st.lists(moments(), max_size=20), st.sampled_from(["hour", "day", "month"]))
def test_what_was_asked_before_changes_nothing(asked: list[tuple[float, str]], unit: Unit) -> None:
    zone = "Europe/Berlin"
    calendar = CalendarWindows(unit, zone)
    for at, _ in asked:
        assert calendar.window(at) == CalendarWindows(unit, zone).window(at)


@pytest.mark.parametrize(
    ("unit", "zone", "at", "start", "end"),
    [
        ("day", "Europe/Berlin", "2026-03-29T12:00+02:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00+01:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("day", "America/Sao_Paulo", "2018-11-04T01:00-02:00", "2018-11-04T00:00-03:00", "2018-11-05T00:00-02:00"),
        ("day", "Pacific/Apia", "2011-12-29T12:00-10:00", "2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00"),
        ("day", "America/St_Johns", "2010-11-06T23:30-03:30", "2010-11-07T00:00-02:30", "2010-11-08T00:00-03:30"),
        ("day", "America/Toronto", "1919-03-31T00:45-04:00", "1919-03-31T00:30-04:00", "1919-04-01T00:00-04:00"),
        ("month", "UTC", "2028-02-29T23:59+00:00", "2028-02-01T00:00+00:00", "2028-03-01T00:00+00:00"),
        ("month", "Asia/Tokyo", "2026-12-31T16:00+00:00", "2027-01-01T00:00+09:00", "2027-02-01T00:00+09:00"),
        ("hour", "Europe/Berlin", "2026-10-25T02:30+02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"),
        ("hour", "Europe/Berlin", "2026-10-25T02:30+01:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"),
        ("hour", "America/St_Johns", "2010-11-07T00:00:30-02:30", "2010-11-07T00:00-02:30", "2010-11-07T00:01-02:30"),
        ("hour", "America/St_Johns", "2010-11-06T23:30-03:30", "2010-11-06T23:01-03:30", "2010-11-07T00:00-03:30"),
        ("hour", "Asia/Kathmandu", "2026-01-01T00:00+00:00", "2025-12-31T23:15+00:00", "2026-01-01T00:15+00:00"),
    ],
)
def test_known_windows(unit: Unit, zone: str, at: str, start: str, end: str) -> None:
    window = CalendarWindows(unit, zone).window(datetime.fromisoformat(at).timestamp())
    assert tuple(datetime.fromtimestamp(edge, UTC) for edge in window) == (
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
    )


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", "a\x00b", "Europe/Berlin "]
)
def test_a_zone_that_is_not_known_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        CalendarWindows("day", zone)


def test_calendars_are_equal_by_what_they_say() -> None:
    assert CalendarWindows("day", "Asia/Tokyo") == CalendarWindows("day", "Asia/Tokyo")
    assert hash(CalendarWindows("day", "Asia/Tokyo")) == hash(CalendarWindows("day", "Asia/Tokyo"))
    assert CalendarWindows("day", "Asia/Tokyo") != CalendarWindows("hour", "Asia/Tokyo")
    assert CalendarWindows("day") == CalendarWindows("day", "UTC")


def test_zones_are_there_on_machines_that_have_none() -> None:
    assert files("tzdata.zoneinfo.Europe").joinpath("Berlin").is_file()
