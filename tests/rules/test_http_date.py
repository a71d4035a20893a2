"""Dates in all three forms, against the standard library's calendar, and what is no date."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.http_date import parse, render, year_of

NOW = 1_800_000_000.0  # January 2027
EXAMPLE = 784_111_777


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        # The three examples of RFC 9110, section 5.6.7.
        (b"Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE),
        (b"Sun Nov  6 08:49:37 1994", EXAMPLE),
        # What RFC 9111, section 4.2, lets pass.
        (b"SUN, 06 nov 1994 08:49:37 gMT", EXAMPLE),
        (b"Sun, 06 Nov 1994 08:49:37 UTC", EXAMPLE),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0),
        (b"Wed, 31 Dec 1969 23:59:59 GMT", -1),
        (b"Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800),
        (b"Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
        (b"Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),  # a leap second
        (b"Sun Nov 16 08:49:37 1994", EXAMPLE + 10 * 86_400),
    ],
)
def test_a_date(text: bytes, seconds: int) -> None:
    assert parse(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        b"", b"0", b"-1", b"foo", b"Sun, 06 Nov 1994 08:49:37", b"Sun, 06 Nov 1994 08:49:37 AEST",
        b"Sun, 06 Nov 1994 08:49:37 +0000", b"Sun 06 Nov 1994 08:49:37 GMT", b"Sun, 06  Nov  1994 08:49:37 GMT",
        b"Sun, 06-Nov-1994 08:49:37 GMT", b"Sun, 06 Nov 1994 08.49.37 GMT", b"Sun, 06 Nov 1994 8:49:37 GMT",
        b"Sun, 06 Nov 94 08:49:37 GMT", b"Sun, 6 Nov 1994 08:49:37 GMT", b"06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT", b"Sun, 06 Nov 1994 08:60:37 GMT", b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 31 Nov 1994 08:49:37 GMT", b"Sun, 00 Nov 1994 08:49:37 GMT", b"Sun, 29 Feb 1900 00:00:00 GMT",
        b"Sun, 29 Feb 2023 00:00:00 GMT", b"Sun, 06 Nov 1994 08:49:37 GMT ", b"Sun, 06 Nov 1994 08:49:37 GMT\n",
        b"Sun, \xd9\xa06 Nov 1994 08:49:37 GMT", b"Foo, 06 Nov 1994 08:49:37 GMT", b"Sun Nov 6 08:49:37 1994",
    ],
)  # fmt: skip
def test_no_date(text: bytes) -> None:
    assert parse(text, NOW) is None


@pytest.mark.parametrize(("digits", "year"), [(b"26", 2026), (b"77", 2077), (b"78", 1978), (b"99", 1999)])
def test_a_year_of_two_digits_is_at_most_50_years_ahead(digits: bytes, year: int) -> None:
    seconds = parse(b"Monday, 01-Jun-" + digits + b" 00:00:00 GMT", NOW)
    assert seconds is not None
    assert year_of(seconds) == year


def test_without_now_a_year_of_two_digits_is_of_1977_to_2076() -> None:
    assert parse(b"Sunday, 06-Nov-94 08:49:37 GMT") == EXAMPLE
    assert parse(b"Sunday, 06-Nov-76 08:49:37 GMT") == parse(b"Sun, 06 Nov 2076 08:49:37 GMT")
    assert parse(b"Sunday, 06-Nov-77 08:49:37 GMT") == parse(b"Sun, 06 Nov 1977 08:49:37 GMT")


def test_a_year_of_two_digits_may_be_of_the_next_century() -> None:
    late = parse(b"Sun, 01 Jan 2090 00:00:00 GMT")
    assert late is not None
    assert parse(b"Sunday, 06-Nov-10 08:49:37 GMT", late) == parse(b"Sun, 06 Nov 2110 08:49:37 GMT")


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda moment: moment.replace(microsecond=0)))
def test_the_calendar_is_the_standard_librarys(moment: datetime) -> None:
    seconds = int(moment.replace(tzinfo=UTC).timestamp())
    text = render(seconds)
    assert text.decode() == f"{moment:%a, %d %b} {moment.year:04} {moment:%H:%M:%S} GMT"
    assert parse(text, NOW) == seconds
    assert parse(f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S} {moment.year:04}".encode(), NOW) == seconds
    assert year_of(seconds) == moment.year


@pytest.mark.parametrize("seconds", [10**12, -(10**12)])
def test_what_has_no_date_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="no date"):
        render(seconds)


@given(st.binary(max_size=40), st.integers(-(10**10), 10**10))
def test_no_bytes_raise(text: bytes, now: int) -> None:
    assert parse(text, now) is None or text[:1].isalpha()
