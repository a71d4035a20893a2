"""All of a request's charges are taken or none, in whatever places they are, and nobody waits for what is gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.state.asking import Asking
from gateway.state.leases import Leases
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge
from gateway.state.rate_rules import RateLimits, RunningRule, Way
from tests.state.limits import SharedMemory, rule

NOW = 1000.0
KEY = b"k"


def limits(shared: SharedMemory | None = None, *, leases: bool = False) -> RateLimits:
    held = Leases(shared, lambda: 1, clock=lambda: NOW) if shared is not None and leases else None
    return RateLimits(MemoryBuckets(), MemoryBuckets(), shared, held, clock=lambda: NOW)


def asking(*rules: RunningRule, cost: int = 1) -> Asking:
    return Asking(rules, [Charge(one.limit, KEY, cost) for one in rules])


async def ask(one: Asking, of: RateLimits) -> bool:
    fits = one.here(of, NOW)
    if fits is None:
        fits = await one.there(of)
    if not fits:
        one.give_back(NOW)
    return fits


def left(of: RateLimits, one: RunningRule) -> int:
    standing = of.local.look(one.limit, KEY, NOW)
    return one.limit.rate.burst if standing is None else standing.remaining


async def test_local_rules_need_nobody_else() -> None:
    of, one, other = limits(), rule("one"), rule("other", 3)
    assert [await ask(asking(one, other), of) for _ in range(4)] == [True, True, True, False]
    assert (left(of, one), left(of, other)) == (7, 0)


async def test_what_is_local_goes_back_when_the_shared_state_refuses() -> None:
    of, one, shared = limits(SharedMemory()), rule("one"), rule("shared", 2, way=Way.EXACT)
    results = []
    for _ in range(4):
        last = asking(one, shared)
        results.append(await ask(last, of))
    assert results == [True, True, False, False]
    assert left(of, one) == 8
    assert [standing and standing.remaining for standing in last.standings] == [8, 0], "as it is after giving back"


async def test_the_shared_state_is_not_asked_for_what_is_refused_here() -> None:
    shared = SharedMemory()
    of, one, exact = limits(shared), rule("one", 1), rule("exact", 5, way=Way.EXACT)
    assert [await ask(asking(one, exact), of) for _ in range(3)] == [True, False, False]
    assert shared.calls == 1


async def test_all_shared_rules_are_one_call() -> None:
    shared = SharedMemory()
    assert await ask(asking(*(rule(name, way=Way.EXACT) for name in "abc")), limits(shared))
    assert shared.calls == 1


async def test_what_is_leased_is_asked_before_the_shared_state_and_goes_back() -> None:
    shared = SharedMemory()
    of = limits(shared, leases=True)
    leased, exact = rule("leased", 1000, way=Way.LEASED), rule("exact", 1, way=Way.EXACT)
    assert await ask(asking(leased, exact), of)
    one = asking(leased, exact)
    assert not await ask(one, of)
    again = asking(leased)
    assert await ask(again, of)
    first = one.standings[0]
    assert first is not None
    assert again.standings[0] is not None
    assert again.standings[0].remaining == first.remaining - 1
    await of.leases.close()  # type: ignore[union-attr]


async def test_a_state_that_is_down_is_not_asked() -> None:
    shared = SharedMemory(replicas=4)
    shared.up = False
    of, exact = limits(shared), rule("exact", 8, way=Way.EXACT)
    one = asking(exact)
    assert one.here(of, NOW) is True
    assert one.fallback == [0]
    assert [await ask(asking(exact), of) for _ in range(3)] == [True, False, False], "a quarter of 8"
    assert shared.calls == 0


async def test_a_state_that_fails_is_stood_in_for() -> None:
    shared = SharedMemory(replicas=2)
    shared.failing = True
    of, one, exact = limits(shared), rule("one"), rule("exact", 4, way=Way.EXACT)
    last = asking(one, exact)
    assert await ask(last, of)
    assert last.fallback == [1]
    assert [await ask(asking(one, exact), of) for _ in range(2)] == [True, False]
    assert left(of, one) == 8, "given back when the share refused"


async def test_leased_rules_have_their_share_too() -> None:
    shared = SharedMemory(replicas=2)
    shared.failing = True
    of = limits(shared, leases=True)
    leased = rule("leased", 4, way=Way.LEASED)
    assert [await ask(asking(leased), of) for _ in range(3)] == [True, True, False]
    await of.leases.close()  # type: ignore[union-attr]


async def test_a_share_is_no_less_than_a_request_costs() -> None:
    shared = SharedMemory(replicas=10)
    shared.up = False
    of, exact = limits(shared), rule("exact", 10, way=Way.EXACT)
    assert await ask(asking(exact, cost=5), of)
    refused = asking(exact, cost=5)
    assert not await ask(refused, of)
    assert refused.standings[0] is not None
    assert refused.standings[0].retry_after > 0, "with the state back it would pass"


async def test_what_is_more_than_the_whole_burst_is_so_without_the_state_too() -> None:
    shared = SharedMemory(replicas=2)
    shared.up = False
    one = asking(rule("exact", 10, way=Way.EXACT), cost=11)
    assert not await ask(one, limits(shared))
    assert one.standings[0] is not None
    assert one.standings[0].retry_after == -1


@pytest.mark.parametrize("way", [Way.LOCAL, Way.EXACT])
async def test_a_shadow_refuses_nothing(way: Way) -> None:
    of, one, shadow = limits(SharedMemory()), rule("one", 5), rule("shadow", 1, way=way, shadow=True)
    assert [await ask(asking(one, shadow), of) for _ in range(6)] == [True] * 5 + [False]


@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([Way.LOCAL, Way.EXACT])), min_size=1, max_size=4),
    st.integers(1, 12),
    st.booleans(),
)
async def test_no_rule_is_charged_for_what_is_refused(
    rules: list[tuple[int, Way]], requests: int, failing: bool
) -> None:
    shared = SharedMemory()
    shared.failing = failing
    of = limits(shared)
    made = [rule(str(number), limit, way=way) for number, (limit, way) in enumerate(rules)]
    passed = [await ask(asking(*made), of) for _ in range(requests)]
    assert passed.count(True) == min(requests, *(limit for limit, _ in rules))
    for one in made:
        buckets = of.local if one.way is Way.LOCAL else of.fallback if failing else shared.buckets
        standing = buckets.look(one.limit, KEY, NOW)
        assert standing is not None
        assert standing.remaining == one.limit.rate.burst - passed.count(True)
