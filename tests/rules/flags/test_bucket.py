"""Who is in a share: Unleash's buckets, finer, and never fewer people for a larger share."""

from __future__ import annotations

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.bucket import PARTS, named_or_one_of, normalized, place, share, within
from gateway.rules.flags.context import Context

ids = st.text(min_size=1, max_size=20)
groups = st.text(max_size=20)
shares = st.integers(0, 100 * PARTS)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("25%", 25_000), ("25", 25_000), (25, 25_000), ("0%", 0), ("100%", 100_000), ("0.5%", 500), (12.5, 12_500),
        ("0.001%", 1), (" 25 % ", 25_000), ("101%", None), ("-1%", None), ("25%%", None), ("", None), (True, None),
        (None, None), (float("nan"), None), (1e30, None), ("0.0001%", None),
    ],
)  # fmt: skip
def test_shares(written: object, parts: int | None) -> None:
    assert share(written) == parts


# Of Unleash's own clients' tests.
def test_buckets_are_unleash_s() -> None:
    assert normalized("gr1", "123", 100) == 73
    assert normalized("groupX", "999", 100) == 25


@given(groups, ids, st.integers(0, 100))
def test_a_whole_share_takes_the_buckets_that_unleash_takes(group: str, who: str, percent: int) -> None:
    theirs = percent > 0 and normalized(group, who, 100) <= percent
    assert (place(group, who) < percent * PARTS) == theirs
    for stickiness in ("default", "userId"):
        assert within(percent * PARTS, stickiness, group)(Context(user=who)) == theirs


@given(groups, ids, shares, shares, st.sampled_from(["default", "userId", "sessionId", "plan", "random"]))
def test_a_share_that_grows_gives_up_nobody(group: str, who: str, one: int, other: int, stickiness: str) -> None:
    asked = Context(user=who, session=who, random=who, properties={"plan": who})
    small, large = sorted((one, other))
    assert within(small, stickiness, group)(asked) <= within(large, stickiness, group)(asked)


@pytest.mark.parametrize("percent", ["25%", "0.5%", "12.5%", "50%"])
def test_of_100_000_users_a_share_is_on_within_half_a_percent(percent: str) -> None:
    parts = share(percent)
    assert parts is not None
    test = within(parts, "default", "NEW_DASHBOARD")
    on = sum(test(Context(user=f"user-{number}")) for number in range(100_000))
    assert abs(on / 1000 - parts / PARTS) < 0.5


@given(ids, ids, shares)
def test_the_default_is_the_user_then_the_session_then_the_request(user: str, session: str, parts: int) -> None:
    test = within(parts, "default", "g")
    assert test(Context(user=user, session=session)) == test(Context(user=user, random="x"))
    assert test(Context(session=user, random=session)) == test(Context(user=user))
    assert test(Context(user="", random=user)) == test(Context(user=user))


@given(st.integers(0, 100 * PARTS), st.sampled_from(["userId", "sessionId", "plan"]))
def test_who_lacks_what_a_share_is_by_is_in_none(parts: int, stickiness: str) -> None:
    assert not within(parts, stickiness, "g")(Context(random="x"))


def test_lone_surrogates_are_no_error() -> None:
    for parts in (25 * PARTS, 25 * PARTS + 1):
        for stickiness in ("default", "userId"):
            within(parts, stickiness, "g")(Context(user="\ud800"))
    named_or_one_of(frozenset("u"), frozenset(), "g:", 25, (1, 2, 3, 4))(Context(user="\ud800"))


@given(st.sampled_from(["u1", "u2", "", None]), st.lists(st.sampled_from("abc"), max_size=3), st.integers(0, 100))
def test_users_go_before_groups_and_these_before_a_share(user: str | None, theirs: list[str], percent: int) -> None:
    found = named_or_one_of(frozenset({"u1"}), frozenset("ab"), "g:", percent, ("user", "group", "in", "out"))
    asked = Context(user=user, groups=theirs, random="r")
    who = user or "r"
    share_of = "in" if mmh3.hash(f"g:{who}", 0, False) % 100 < percent else "out"
    assert found(asked) == ("user" if user == "u1" else "group" if {*theirs} & {*"ab"} else share_of)
