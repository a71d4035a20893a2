"""What a client is told is what the draft's grammar allows, and the time to wait is never too short."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import gcra, rate_fields
from gateway.rules.gcra import Rate, Standing
from gateway.rules.rate_fields import WINDOWS, Lines, Policy

NAMES = st.text([chr(code) for code in range(0x20, 0x7F)], min_size=1, max_size=30)
POLICIES = st.lists(
    st.builds(Policy, NAMES, st.integers(1, 10**12), st.none() | st.floats(0.001, 1e7), st.booleans()),
    min_size=1,
    max_size=5,
)
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'  # RFC 9651, section 3.3.3
_POLICY = re.compile(rf'({_STRING});q=(\d{{1,15}})(;qu="content-bytes")?(?:;w=([1-9]\d{{0,14}}))?')
_STANDING = re.compile(rf"({_STRING});r=(\d{{1,15}});t=(\d{{1,15}})")


def items(pattern: re.Pattern[str], text: str) -> list[tuple[str, ...]]:
    """A list's items, and nothing else than them."""
    found = []
    while text:
        match = pattern.match(text)
        assert match is not None, text
        found.append(match.groups())
        text = text[match.end() :]
        assert not text or text.startswith(", ")
        text = text[2:]
    return found


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


@given(POLICIES, st.data())
def test_the_fields_are_lists_that_say_what_was_meant(policies: list[Policy], data: st.DataObject) -> None:
    standings = [
        Standing(data.draw(st.booleans()), data.draw(st.integers(0, 10**12)), data.draw(st.floats(0, 1e7)), 0.0)
        for _ in policies
    ]
    text = Lines(policies).fill(standings).decode("ascii")
    first, second, rest = text.split("\r\n")
    assert rest == ""
    announced = items(_POLICY, first.removeprefix("RateLimit-Policy: "))
    for policy, (name, quota, unit, window) in zip(policies, announced, strict=True):
        assert (unquoted(name), int(quota), unit is not None) == (policy.name, policy.quota, policy.in_bytes)
        assert (window is None) == (policy.window is None)
        assert policy.window is None or policy.window <= int(window) <= max(1, policy.window + 1)
    standing_now = items(_STANDING, second.removeprefix("RateLimit: "))
    for policy, standing, (name, left, reset) in zip(policies, standings, standing_now, strict=True):
        assert (unquoted(name), int(left)) == (policy.name, standing.remaining)
        assert standing.reset <= int(reset) <= standing.reset + 1


def test_the_contracts_example() -> None:
    lines = Lines([Policy("NAME", 60, 60)])
    assert lines.fill([Standing(True, 59, 1.0, 0.0)]) == (
        b'RateLimit-Policy: "NAME";q=60;w=60\r\nRateLimit: "NAME";r=59;t=1\r\n'
    )


def test_no_rules_say_nothing() -> None:
    assert Lines([]).fill([]) == b""


def test_a_month_has_no_length() -> None:
    assert WINDOWS["month"] is None
    assert b";w=" not in Lines([Policy("a", 1, WINDOWS["month"])]).fill([Standing(True, 1, 0.0, 0.0)])


@given(
    st.integers(1, 10_000),
    st.floats(0.01, 86_400),
    st.integers(1, 100),
    st.integers(1, 50),
    st.integers(0, 10**15),
)
def test_whoever_waits_as_told_is_let_in(limit: int, period: float, burst: int, cost: int, level: int) -> None:
    rate = Rate(limit, period, burst)
    now = 1_000 * gcra.SECOND
    tat = now + min(level, rate.capacity)
    fits = gcra.charge(rate, tat, now, cost) is not None
    standing = gcra.standing(rate, tat, now, cost, allowed=fits)
    if fits:
        return
    seconds = rate_fields.retry_after(standing)
    assert (seconds is None) == (cost > burst)
    if seconds is not None:
        assert gcra.charge(rate, tat, now + seconds * gcra.SECOND, cost) is not None
        assert seconds <= int(standing.reset) + 1, "t is never shorter"
