"""How rates, costs, keys and zones are written: what is read comes back, and a mistake says what to write."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.rate_key import Term
from gateway.settings import rates
from gateway.settings.rates import BYTES, MOST, Amount, Cost, Quota, Rate, parse_quota, parse_term, parse_user

UNITS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400}


@given(st.integers(1, 10**9), st.sampled_from(sorted(UNITS)))
def test_a_number_and_a_unit(limit: int, unit: str) -> None:
    assert parse_quota(f"{limit}/{unit}") == Quota(limit, UNITS[unit])


@pytest.mark.parametrize(
    ("written", "quota"),
    [
        ("100/10s", Quota(100, 10)),
        ("1/250ms", Quota(1, 0.25)),
        ("5/90m", Quota(5, 5400)),
        ("1/30d", Quota(1, 30 * 86_400)),
        ("50/calendar-hour", Quota(50, 0, "hour")),
        ("50/calendar-day", Quota(50, 0, "day")),
        ("50/calendar-month", Quota(50, 0, "month")),
        ("10MiB/s", Quota(10 << 20, 1, None, in_bytes=True)),
        ("1GiB/calendar-day", Quota(1 << 30, 0, "day", in_bytes=True)),
    ],
)
def test_other_ways(written: str, quota: Quota) -> None:
    assert parse_quota(written) == quota
    assert str(quota) == written


@given(
    st.integers(1, 10**6),
    st.sampled_from([0.25, 1, 10, 60, 90, 3600, 86_400, 604_800]),
    st.sampled_from([None, "hour", "day", "month"]),
    st.booleans(),
)
def test_what_is_written_is_read_again(limit: int, period: float, calendar: Any, in_bytes: bool) -> None:
    quota = Quota(limit, 0.0 if calendar else period, calendar, in_bytes)
    assert parse_quota(str(quota)) == quota
    assert re.fullmatch(rates.RATE, str(quota))


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("60", "'60' is not a rate, as in 60/min"),
        ("", "is not a rate"),
        ("60/min/h", "is not a rate"),
        ("/min", "does not begin with a whole number"),
        ("1.5/min", "does not begin with a whole number"),
        ("-1/min", "would let nothing through"),
        ("0/min", "would let nothing through: a rate is at least 1"),
        ("0B/s", "would let nothing through"),
        ("060/min", "does not begin with a whole number"),
        ("1kb/s", "does not begin with a whole number"),
        ("60/m", "write min for a minute or calendar-month for a month"),
        ("60/month", "write calendar-month or 30d"),
        ("60/week", "write 7d"),
        ("60/mins", "has no unit that is known; did you mean 'min'?"),
        ("60/calender-day", "did you mean 'calendar-day'?"),
        ("60/", "has no unit that is known"),
        ("60/10", "has no unit: write ms, s, m, h or d"),
        ("60/0", "the time of a rate is at least 1ms"),
        ("60/400d", "is longer than a year"),
        (f"{MOST + 1}/d", "is too much"),
        (f"{1 << 31}/s", "is too much"),
        ("2GiB/s", "is too much"),
    ],
)
def test_what_is_no_rate(written: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_quota(written)


@given(st.text(max_size=30))
def test_any_text_is_a_rate_or_a_mistake(text: str) -> None:
    try:
        quota = parse_quota(text)
    except ValueError:
        pass
    else:
        assert quota.limit >= 1


def test_a_rate_is_described_for_editors() -> None:
    (schema,) = Rate().json_schemas()
    for written in ("60/min", "100/10s", "10MiB/s", "50/calendar-day"):
        assert re.search(schema["pattern"], written)
    for wrong in ("60", "60/m", "0/s", "60/minn", "x60/min"):
        assert not re.search(schema["pattern"], wrong)


@pytest.mark.parametrize(("text", "amount"), [("7", 7), ("64KiB", 65_536), ("1B", 1)])
def test_an_amount_is_a_number_or_a_size(text: str, amount: int) -> None:
    assert Amount().check(text) == Cost().check(text) == amount


def test_a_cost_may_be_the_bodys_bytes() -> None:
    assert Cost().check("bytes") == BYTES
    with pytest.raises(ValueError, match="is not a whole number"):
        Cost().check("byte")
    with pytest.raises(ValueError, match="out of range"):
        Cost(low=1).check("0")


@pytest.mark.parametrize(
    ("written", "term"),
    [
        ("route", Term("route")),
        ("ip", Term("ip")),
        ("user", Term("user")),
        ("header:X-User-Id", Term("header", "X-User-Id")),
        ("cookie:sid", Term("cookie", "sid")),
        ("path:id", Term("path", "id")),
        ("jwt:https://a.example/id", Term("jwt", "https://a.example/id")),
    ],
)
def test_a_key(written: str, term: Term) -> None:
    assert parse_term(written) == term
    assert str(term) == written


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("rout", "did you mean 'route'?"),
        ("IP", "did you mean 'ip'?"),
        ("header", "needs a proper name behind header:"),
        ("header:", "needs a proper name behind header:"),
        ("header:a b", "needs a proper name behind header:"),
        ("cookie:a=b", "needs a proper name behind cookie:"),
        ("path::id", "needs a proper name behind path:"),
        ("jwt:a b", "needs a proper name behind jwt:"),
        ("ip:4", "is no key that requests have"),
        ("query:q", "is no key that requests have"),
    ],
)
def test_what_is_no_key(written: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_term(written)


def test_a_user_is_in_a_field_or_a_claim() -> None:
    assert parse_user("jwt:sub") == Term("jwt", "sub")
    assert parse_user("header:X-User-Id") == Term("header", "X-User-Id")
    for wrong in ("ip", "user", "cookie:sid", "path:id"):
        with pytest.raises(ValueError, match="write header:NAME or jwt:CLAIM"):
            parse_user(wrong)


def test_a_zone_is_known() -> None:
    assert rates.parse_zone("Europe/Berlin") == "Europe/Berlin"
    with pytest.raises(ValueError, match=re.escape("'Europe/Berln' is no time zone; did you mean 'Europe/Berlin'?")):
        rates.parse_zone("Europe/Berln")
    for wrong in ("", "Europe", "../etc/passwd", "\x00"):
        with pytest.raises(ValueError, match="is no time zone"):
            rates.parse_zone(wrong)


def test_a_cost_is_shown_as_it_is_written() -> None:
    assert Cost().written("bytes") == "bytes"
    assert Cost().written(3) == 3
