"""Running rules: what outlives a reload, this replica's share, and what the admin API asks and changes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admin import ports
from gateway.rules.gcra import Rate
from gateway.state.calendar import CalendarWindows
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit, Unavailable
from gateway.state.rate_rules import Counts, RateLimits, RunningRule, Way
from tests.state.limits import SharedMemory, rule

NOW = 1000.0
KEY = b"k"


def limits(shared: SharedMemory | None = None) -> RateLimits:
    return RateLimits(MemoryBuckets(), MemoryBuckets(), shared, clock=lambda: NOW)


# ---- reloads


def test_counts_outlive_a_reload() -> None:
    of, one = limits(), rule()
    of.install("ingress", [one])
    one.counts.allowed = 7
    again = of.counts(one.id, "r", "one")
    assert again is one.counts
    assert of.counts("ingress/r/other", "r", "other") is not again
    of.install("ingress", [])
    assert of.counts(one.id, "r", "one").allowed == 0


def test_a_config_that_is_never_used_leaves_nothing() -> None:
    of = limits()
    of.counts("ingress/r/one", "r", "one").allowed = 5
    assert of.counts("ingress/r/one", "r", "one").allowed == 0
    assert of.rules() == []


def test_listeners_have_rules_of_their_own() -> None:
    of = limits()
    outward = RunningRule(Limit("egress//all", Rate(1, 1, 1)), Counts("egress", "all"), Way.LOCAL, listener="egress")
    of.install("ingress", [rule("one"), rule("two")])
    of.install("egress", [outward])
    of.install("ingress", [rule("two")])
    assert [one.id for one in of.rules()] == ["ingress/r/two", "egress//all"]
    assert outward.route is None


def test_blocks_stay_with_their_rules() -> None:
    of = limits()
    of.install("ingress", [rule("one"), rule("two")])
    of.block("k", None, 60, "tired")
    of.install("ingress", [rule("two")])
    assert [one["rule"] for one in of.blocked()] == ["ingress/r/two"]


# ---- a replica's share


@given(st.integers(1, 10**6), st.floats(0.01, 86_400), st.integers(1, 1000), st.integers(1, 50))
def test_all_shares_together_are_no_more_than_the_limit(limit: int, period: float, burst: int, replicas: int) -> None:
    whole = RunningRule(Limit("ingress/r/one", Rate(limit, period, burst)), Counts("r", "one"), Way.EXACT)
    share = whole.share(replicas).rate
    assert share.limit / share.period * replicas == pytest.approx(limit / period)
    assert share.burst == max(1, burst // replicas)
    assert whole.share(replicas) is whole.share(replicas), "made once"
    assert whole.share(1).rate == whole.limit.rate


def test_a_share_of_a_calendars_quota_is_of_the_number() -> None:
    calendar = CalendarWindows("day")
    whole = RunningRule(
        Limit("ingress/r/one", Rate(50, 1, 50), calendar=calendar, shadow=True), Counts("r", "one"), Way.EXACT
    )
    share = whole.share(3)
    assert (share.rate.limit, share.rate.burst) == (16, 16)
    assert share.calendar is calendar
    assert share.shadow
    assert whole.share(100).rate.limit == 1


# ---- the admin API


def test_blocks_are_made_listed_and_lifted() -> None:
    of = limits()
    of.install("ingress", [rule("one"), rule("two"), rule("dark", shadow=True)])
    made = of.block("10.0.0.1", None, 60, "tired of it")
    assert [one["rule"] for one in made] == ["ingress/r/one", "ingress/r/two"], "a shadow rule blocks nobody"
    of.block("10.0.0.2", "ingress/r/two", 30, "this too")
    assert of.blocked()[0] == {
        "key": "10.0.0.2",
        "rule": "ingress/r/two",
        "expires_in": 30.0,
        "reason": "this too",
        "by_hand": True,
    }
    assert [one["key"] for one in of.blocked()] == ["10.0.0.2", "10.0.0.1", "10.0.0.1"], "the first to be free first"
    assert of.unblock("10.0.0.1", "ingress/r/one") == 1
    assert of.unblock("10.0.0.1", None) == 1
    assert of.unblock("10.0.0.1", None) == 0


async def test_a_rule_that_is_not_there() -> None:
    of = limits()
    with pytest.raises(KeyError):
        of.block("k", "ingress/r/none", 1, "")
    with pytest.raises(KeyError):
        of.unblock("k", "egress//none")
    with pytest.raises(KeyError):
        await of.standing("none", "k")
    with pytest.raises(KeyError):
        await of.reset("", None)


@pytest.mark.parametrize("way", [Way.LOCAL, Way.EXACT, Way.LEASED])
async def test_a_keys_standing_and_its_reset(way: Way) -> None:
    shared = SharedMemory()
    of, one = limits(shared), rule(way=way)
    of.install("ingress", [one])
    unknown = await of.standing(one.id, "k")
    assert (unknown["known"], unknown["remaining"], unknown["reset"], unknown["blocked"]) == (False, 10, 0, None)
    (of.local if way is Way.LOCAL else shared.buckets).take([Charge(one.limit, KEY, 4)], NOW)
    of.block("k", one.id, 60, "x")
    known = await of.standing(one.id, "k")
    assert (known["known"], known["limit"], known["remaining"]) == (True, 10, 6)
    assert known["reset"] == pytest.approx(0.4)
    assert known["blocked"]["key"] == "k"
    assert await of.reset(one.id, "k") == 1
    assert not (await of.standing(one.id, "k"))["known"]


async def test_a_state_that_is_down_cannot_tell() -> None:
    shared = SharedMemory()
    of, one = limits(shared), rule(way=Way.EXACT)
    of.install("ingress", [one])
    shared.up = False
    with pytest.raises(Unavailable):
        await of.standing(one.id, "k")
    with pytest.raises(Unavailable):
        await of.reset(one.id, None)


def test_a_rule_is_described_as_the_admin_api_promises() -> None:
    of = limits()
    one = rule()
    one.settings = {
        "limit": 10,
        "period": 1.0,
        "calendar": None,
        "burst": 10,
        "by": ["ip"],
        "shadow": False,
        "block": None,
    }
    of.install("ingress", [one])
    one.counts.refused = 3
    (described,) = of.described()
    assert described.keys() == ports.Rule.__annotations__.keys()
    assert described["counts"].keys() == ports.RuleCounts.__annotations__.keys()
    assert (described["id"], described["route"], described["mode"], described["shared"]) == (
        "ingress/r/one",
        "r",
        "local",
        False,
    )
    assert described["counts"]["refused"] == 3
    of.block("k", None, 1, "x")
    assert of.blocked()[0].keys() == ports.Blocked.__annotations__.keys()


async def test_a_standing_is_as_the_admin_api_promises() -> None:
    of = limits()
    of.install("ingress", [rule()])
    assert (await of.standing("ingress/r/one", "k")).keys() == ports.Standing.__annotations__.keys()


# ---- what nobody waits for


@pytest.mark.parametrize("fate", ["up", "failing", "down"])
@pytest.mark.usefixtures("no_leaked_tasks")
async def test_what_was_used_is_charged_wherever_it_can_be(fate: str) -> None:
    shared = SharedMemory(replicas=2)
    shared.failing, shared.up = fate == "failing", fate != "down"
    of, one = limits(shared), rule(way=Way.EXACT)
    of.force_shared(one, Charge(one.limit, KEY, 4))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    charged = shared.buckets if fate == "up" else of.fallback
    other = of.fallback if fate == "up" else shared.buckets
    assert charged.look(one.limit, KEY, NOW) is not None
    assert other.look(one.limit, KEY, NOW) is None
