"""Moments as definitions write them (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.instant import parse


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2022-01-29T13:00:00.000Z", 1_643_461_200),
        ("2022-01-22T13:00:00.000+02:00", 1_642_849_200),
        ("2022-01-22T13:00:00-0230", 1_642_865_400),
        ("2024-02-29", 1_709_164_800),
        ("2024-02-29 12:30", 1_709_209_800),
        ("2024-02-29T12:30:00.25z", 1_709_209_800.25),
        ("2023-02-29", None),
        ("2024-13-01", None),
        ("2024-00-01", None),
        ("2024-01-01T24:00:00Z", None),
        ("2024-01-01T00:60:00Z", None),
        ("2024-01-01T", None),
        ("2024-1-1", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_moments(text: str, seconds: float | None) -> None:
    assert parse(text) == seconds


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_whatever_datetime_writes_is_read_as_it_reads_it(moment: datetime, ahead: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=ahead)))
    found = parse(zoned.isoformat())
    assert found is not None
    assert abs(found - (zoned - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) < 1e-4


@given(st.text(alphabet="0123456789-:TZ+. ", max_size=30))
def test_no_text_is_an_error(text: str) -> None:
    parse(text)
