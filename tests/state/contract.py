"""What every memory of rate limits promises: one suite, for this process's memory and for the shared ones.

A test class of an implementation inherits `BucketsContract` and has a fixture `subject`. Time goes by the subject's
own clock: `sleep` moves a clock that stands still, or really waits; so waits here are short, and what must not
depend on how quick a machine is uses a token a second.
"""

from __future__ import annotations

import asyncio

import pytest

from gateway.rules.gcra import Rate
from gateway.state.ports import Charge, Limit
from tests.state.contract_quotas import QuotasContract
from tests.state.subject import GRAIN, Subject, left, one, rule


class BucketsContract(QuotasContract):
    """Inherited by each implementation's tests."""

    # ---- rates

    async def test_a_burst_passes_at_once_and_not_a_token_more(self, subject: Subject) -> None:
        limit = rule(60, 60, 5)
        standings = [await one(subject, limit) for _ in range(6)]
        assert [s.allowed for s in standings] == [True] * 5 + [False]
        assert [s.remaining for s in standings] == [4, 3, 2, 1, 0, 0]
        assert standings[0].reset == pytest.approx(1.0, abs=0.01)
        assert standings[0].retry_after == 0
        assert 0 < standings[5].retry_after <= 1
        assert 4 < standings[5].reset <= 5

    async def test_retry_after_obeyed_is_not_refused(self, subject: Subject) -> None:
        limit = rule(20, 1, 3)
        for cost in (1, 2, 3, 1):
            while (standing := await one(subject, limit, cost)).allowed:
                pass
            assert 0 < standing.retry_after <= cost / 20 + 1e-5
            await subject.sleep(standing.retry_after + GRAIN)
            assert (await one(subject, limit, cost)).allowed

    async def test_an_idle_key_is_full_again_after_reset(self, subject: Subject) -> None:
        limit = rule(100, 1, 10)
        standing = await one(subject, limit, 10)
        assert standing.remaining == 0
        await subject.sleep(standing.reset + GRAIN)
        assert (await one(subject, limit, 10)).allowed

    async def test_as_many_pass_as_burst_and_time_allow(self, subject: Subject) -> None:
        limit = rule(100, 1, 50)
        before = subject.now()
        passed = int((await one(subject, limit)).allowed)
        start = subject.now()
        while subject.now() - start < 0.25:
            passed += sum(s.allowed for s in await asyncio.gather(*(one(subject, limit) for _ in range(5))))
            await subject.sleep(0.001)
        least = 50 + 100 * (subject.now() - start) - 3
        while (await one(subject, limit)).allowed:
            passed += 1
        assert least < passed <= 50 + 100 * (subject.now() - before)

    async def test_a_cost_takes_as_many_tokens(self, subject: Subject) -> None:
        limit = rule(60, 60, 10)
        assert (await one(subject, limit, 7)).remaining == 3
        refused = await one(subject, limit, 4)
        assert (refused.allowed, refused.remaining) == (False, 3)
        assert 0 < refused.retry_after <= 1
        assert (await one(subject, limit, 3)).remaining == 0

    async def test_a_cost_of_nothing_always_fits(self, subject: Subject) -> None:
        limit = rule(60, 60, 1)
        assert (await one(subject, limit, 0)).remaining == 1
        assert (await one(subject, limit, 1)).allowed
        assert (await one(subject, limit, 0))[:2] == (True, 0)

    async def test_more_than_the_burst_never_fits_and_takes_nothing(self, subject: Subject) -> None:
        limit = rule(60, 60, 5)
        for _ in range(2):
            standing = await one(subject, limit, 6)
            assert (standing.allowed, standing.remaining, standing.retry_after) == (False, 5, -1)
        assert (await one(subject, limit, 5)).allowed

    async def test_keys_and_rules_are_apart(self, subject: Subject) -> None:
        limit, other = rule(60, 60, 1), rule(60, 60, 1)
        assert (await one(subject, limit, key=b"a")).allowed
        assert (await one(subject, limit, key=b"b")).allowed
        assert (await one(subject, other, key=b"a")).allowed
        assert not (await one(subject, limit, key=b"a")).allowed

    async def test_a_key_may_be_any_bytes(self, subject: Subject) -> None:
        limit = rule(60, 60, 1)
        keys = [
            b"",
            b"\x00",
            b"\x00\x00",
            b"a",
            b"a\x00",
            b"a\nb",
            b"a\r\nb",
            b" ",
            b"\xff",
            b"\xff\xfe",
            b"{a}",
            b"x" * 5000,
        ]
        for allowed in (True, False):
            for key in keys:
                assert (await one(subject, limit, key=key)).allowed is allowed, key
        for key in keys:
            assert await subject.buckets.forget(limit, key) == 1, key
            assert (await one(subject, limit, key=key)).allowed, key

    async def test_many_keys(self, subject: Subject) -> None:
        limit = rule(1, 60, 2)
        for expected in ([1] * 300, [0] * 300):
            standings = [await one(subject, limit, key=b"key %d" % number) for number in range(300)]
            assert [s.remaining for s in standings] == expected

    async def test_takers_at_the_same_time_share_what_there_is(self, subject: Subject) -> None:
        limit = rule(60, 60, 20)
        standings = await asyncio.gather(*(one(subject, limit) for _ in range(50)))
        assert sum(s.allowed for s in standings) == 20
        assert sorted(s.remaining for s in standings if s.allowed) == list(range(20))

    async def test_big_numbers(self, subject: Subject) -> None:
        limit = rule(10**9, 86_400, 10**9)
        assert (await one(subject, limit, 10**9)).allowed
        refused = await one(subject, limit, 10**9)
        assert refused.retry_after == pytest.approx(86_400, abs=5)
        assert refused.reset == pytest.approx(86_400, abs=5)
        assert refused.remaining < 10**6
        assert (await one(subject, limit, 10**9 + 1)).retry_after == -1

    async def test_what_was_used_outlives_a_new_rate(self, subject: Subject) -> None:
        limit = rule(60, 60, 5)
        await one(subject, limit, 3)  # drained in 3 s
        faster = Limit(limit.id, Rate(120, 60, 10))  # full at 5 s
        assert (await one(subject, faster)).remaining == 3
        slower = Limit(limit.id, Rate(1, 60, 1))
        assert (await one(subject, slower)).retry_after == pytest.approx(3.5, abs=0.1)

    # ---- several charges at once

    async def test_all_or_nothing(self, subject: Subject) -> None:
        wide, narrow = rule(60, 60, 10), rule(60, 60, 1)
        for charges in (
            [Charge(wide, b"k", 1), Charge(narrow, b"k", 1)],
            [Charge(narrow, b"k", 1), Charge(wide, b"k", 1)],
        ):
            await subject.buckets.forget(narrow, b"k")
            await subject.buckets.forget(wide, b"k")
            assert all(s.allowed for s in await subject.buckets.take(charges))
            refused = {
                charge.limit: s for charge, s in zip(charges, await subject.buckets.take(charges), strict=True)
            }
            assert (refused[narrow].allowed, refused[narrow].remaining) == (False, 0)
            assert (refused[wide].allowed, refused[wide].remaining) == (True, 9)
            assert await left(subject, wide) == 9

    async def test_two_refusals_are_both_told(self, subject: Subject) -> None:
        limits = [rule(60, 60, 1), rule(30, 60, 1), rule(60, 60, 5)]
        charges = [Charge(limit, b"k", 1) for limit in limits]
        await subject.buckets.take(charges)
        first, second, third = await subject.buckets.take(charges)
        assert [first.allowed, second.allowed, third.allowed] == [False, False, True]
        assert 0 < first.retry_after <= 1 < second.retry_after <= 2

    async def test_two_charges_on_one_key_both_count(self, subject: Subject) -> None:
        limit = rule(60, 60, 3)
        twice = [Charge(limit, b"k", 1), Charge(limit, b"k", 1)]
        assert [s.remaining for s in await subject.buckets.take(twice)] == [2, 1]
        standings = await subject.buckets.take(twice)
        assert [s.allowed for s in standings] == [True, False]
        assert 0 < standings[1].retry_after <= 1
        assert (await one(subject, limit)).remaining == 0

    async def test_two_charges_that_never_fit_together(self, subject: Subject) -> None:
        limit = rule(60, 60, 3)
        standings = await subject.buckets.take([Charge(limit, b"k", 2), Charge(limit, b"k", 2)])
        assert [s.allowed for s in standings] == [True, False]
        assert standings[1].retry_after == -1
        assert (await one(subject, limit, 3)).allowed

    async def test_a_shadow_rule_never_stands_in_the_way(self, subject: Subject) -> None:
        real, shadow = rule(60, 60, 10), rule(60, 60, 1, shadow=True)
        charges = [Charge(shadow, b"k", 1), Charge(real, b"k", 1)]
        assert [s.allowed for s in await subject.buckets.take(charges)] == [True, True]
        for remaining in (8, 7):
            standings = await subject.buckets.take(charges)
            assert [s.allowed for s in standings] == [False, True]
            assert 0 < standings[0].retry_after <= 1  # nothing was taken that did not fit
            assert standings[1].remaining == remaining

    async def test_a_shadow_rule_is_not_charged_for_what_another_refused(self, subject: Subject) -> None:
        real, shadow = rule(60, 60, 1), rule(60, 60, 10, shadow=True)
        charges = [Charge(shadow, b"k", 1), Charge(real, b"k", 1)]
        await subject.buckets.take(charges)
        for _ in range(3):
            assert [s.allowed for s in await subject.buckets.take(charges)] == [True, False]
        assert await left(subject, shadow) == 9

    async def test_a_full_shadow_rule_gains_nothing_by_what_another_refuses(self, subject: Subject) -> None:
        real, shadow = rule(60, 60, 1), rule(60, 60, 1, shadow=True)
        charges = [Charge(shadow, b"k", 1), Charge(real, b"k", 1)]
        await subject.buckets.take(charges)
        for _ in range(3):
            assert [s.allowed for s in await subject.buckets.take(charges)] == [False, False]

    # ---- other than take

    async def test_what_is_given_back_can_be_taken(self, subject: Subject) -> None:
        limit, other = rule(60, 60, 5), rule(60, 60, 7)
        charges = [Charge(limit, b"k", 5), Charge(other, b"k", 1)]
        await subject.buckets.take(charges)
        await subject.buckets.give_back(charges)
        assert (await one(subject, limit, 5)).allowed
        assert await left(subject, other) == 7

    async def test_what_has_drained_meanwhile_is_not_given_back(self, subject: Subject) -> None:
        limit = rule(60, 60, 10)
        charges = [Charge(limit, b"k", 5)]
        await subject.buckets.take(charges)
        await subject.buckets.give_back(charges, 3.0)  # 3 of the 5 could have drained
        assert await left(subject, limit) == 7
        await subject.buckets.give_back(charges, 60.0)
        assert await left(subject, limit) == 7

    async def test_giving_back_to_a_key_that_is_not_known_makes_nothing(self, subject: Subject) -> None:
        limit = rule(60, 60, 2)
        await subject.buckets.give_back([Charge(limit, b"k", 2)])
        assert [(await one(subject, limit)).allowed for _ in range(3)] == [True, True, False]

    async def test_what_is_used_already_is_counted_whether_it_fits_or_not(self, subject: Subject) -> None:
        limit = rule(60, 60, 5)
        await subject.buckets.force(Charge(limit, b"k", 3))
        assert await left(subject, limit) == 2
        await subject.buckets.force(Charge(limit, b"k", 7))
        standing = await one(subject, limit)
        assert (standing.allowed, standing.remaining) == (False, 0)
        assert standing.retry_after == pytest.approx(6, abs=0.1)

    async def test_a_look_takes_nothing(self, subject: Subject) -> None:
        limit = rule(60, 60, 2)
        assert await subject.buckets.look(limit, b"k") is None
        await one(subject, limit)
        for _ in range(3):
            standing = await subject.buckets.look(limit, b"k")
            assert standing is not None
            assert (standing.allowed, standing.remaining, standing.retry_after) == (True, 1, 0)
        await one(subject, limit)
        standing = await subject.buckets.look(limit, b"k")
        assert standing is not None
        assert (standing.allowed, standing.remaining) == (False, 0)
        assert 0 < standing.retry_after <= 1

    async def test_a_key_is_reset_alone_or_all_of_its_rule(self, subject: Subject) -> None:
        limit = rule(60, 60, 1)
        longer = Limit(limit.id + "-2", limit.rate)
        for key in (b"a", b"b", b"c"):
            await one(subject, limit, key=key)
            await one(subject, longer, key=key)
        assert await subject.buckets.forget(limit, b"a") == 1
        assert await subject.buckets.forget(limit, b"a") == 0
        assert (await one(subject, limit, key=b"a")).allowed
        assert not (await one(subject, limit, key=b"b")).allowed
        assert await subject.buckets.forget(limit, None) == 3
        assert await subject.buckets.look(limit, b"b") is None
        for key in (b"a", b"b", b"c"):
            assert (await one(subject, limit, key=key)).allowed
            assert not (await one(subject, longer, key=key)).allowed

    # ---- some of what is wanted

    async def test_some_is_as_much_as_there_is(self, subject: Subject) -> None:
        limit = rule(60, 60, 10)
        taken, standing = await subject.buckets.take_some(limit, b"k", 4, 1)
        assert (taken, standing.allowed, standing.remaining) == (4, True, 6)
        taken, standing = await subject.buckets.take_some(limit, b"k", 100, 6)
        assert (taken, standing.allowed, standing.remaining) == (6, True, 0)
        assert 9 < standing.reset <= 10
        taken, standing = await subject.buckets.take_some(limit, b"k", 5, 2)
        assert (taken, standing.allowed, standing.remaining) == (0, False, 0)
        assert 1 < standing.retry_after <= 2  # for two

    async def test_some_is_nothing_where_too_little_is_left(self, subject: Subject) -> None:
        limit = rule(60, 60, 10)
        await one(subject, limit, 8)
        taken, standing = await subject.buckets.take_some(limit, b"k", 5, 3)
        assert (taken, standing.allowed, standing.remaining) == (0, False, 2)
        assert (await subject.buckets.take_some(limit, b"k", 20, 11))[1].retry_after == -1
        assert (await subject.buckets.take_some(limit, b"k", 2, 2))[0] == 2
