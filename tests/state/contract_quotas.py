"""What every memory of rate limits promises of quotas that end with a calendar's window. Part of `contract.py`."""

from __future__ import annotations

import pytest

from gateway.state.ports import Charge, Limit
from tests.state.subject import GRAIN, Subject, Windows, one, rule


class QuotasContract:
    """Inherited by the contract."""

    async def test_a_quota_is_as_many_as_written_and_not_one_more(self, subject: Subject) -> None:
        calendar = Windows(86_400, int(subject.wall()) - 1000)
        limit = rule(3, 1, 1, calendar=calendar)  # burst and period mean nothing
        standings = [await one(subject, limit) for _ in range(4)]
        assert [s[:2] for s in standings] == [(True, 2), (True, 1), (True, 0), (False, 0)]
        assert [s.retry_after for s in standings[:3]] == [0, 0, 0]
        assert standings[3].retry_after == pytest.approx(85_400, abs=5)
        assert [s.reset for s in standings] == pytest.approx([85_400] * 4, abs=5)
        assert (await one(subject, limit, 4)).retry_after == -1

    async def test_a_quota_begins_anew_with_its_window(self, subject: Subject) -> None:
        limit = rule(2, 1, calendar=Windows(1, 0))
        await subject.sleep(1.0 - subject.wall() % 1 + GRAIN)
        assert [(await one(subject, limit)).allowed for _ in range(2)] == [True, True]
        refused = await one(subject, limit)
        assert not refused.allowed
        assert 0 < refused.retry_after <= 1
        await subject.sleep(refused.retry_after + GRAIN)
        assert [(await one(subject, limit)).allowed for _ in range(3)] == [True, True, False]

    async def test_a_quota_and_a_rate_pass_together_or_not(self, subject: Subject) -> None:
        quota = rule(3, 1, calendar=Windows(86_400, int(subject.wall()) - 1000))
        rate = rule(60, 60, 1)
        for charges in (
            [Charge(quota, b"k", 1), Charge(rate, b"k", 1)],
            [Charge(rate, b"k", 1), Charge(quota, b"k", 1)],
        ):
            await subject.buckets.forget(rate, b"k")
            await subject.buckets.forget(quota, b"k")
            assert all(s.allowed for s in await subject.buckets.take(charges))
            refused = {
                charge.limit: s for charge, s in zip(charges, await subject.buckets.take(charges), strict=True)
            }
            assert (refused[quota].allowed, refused[quota].remaining) == (True, 2)
            assert not refused[rate].allowed
            standing = await subject.buckets.look(quota, b"k")
            assert standing is not None
            assert standing.remaining == 2

    async def test_a_big_quota_is_exact(self, subject: Subject) -> None:
        limit = rule(10**12, 1, calendar=Windows(86_400, int(subject.wall()) - 1000))
        assert (await one(subject, limit, 10**9)).remaining == 10**12 - 10**9
        assert (await one(subject, limit, 1)).remaining == 10**12 - 10**9 - 1
        assert (await one(subject, limit, 10**12 - 10**9 - 1)).remaining == 0
        assert not (await one(subject, limit, 1)).allowed

    async def test_other_than_take_with_a_quota(self, subject: Subject) -> None:
        limit = rule(10, 1, calendar=Windows(86_400, int(subject.wall()) - 1000))
        assert await subject.buckets.look(limit, b"k") is None
        assert (await subject.buckets.take_some(limit, b"k", 4, 1))[0] == 4
        await subject.buckets.give_back([Charge(limit, b"k", 3)], 100.0)  # nothing drains within a window
        standing = await subject.buckets.look(limit, b"k")
        assert standing is not None
        assert standing[:2] == (True, 9)
        await subject.buckets.give_back([Charge(limit, b"k", 1)], 2000.0)  # of the window before
        assert (await one(subject, limit, 0)).remaining == 9
        await subject.buckets.force(Charge(limit, b"k", 20))
        assert (await one(subject, limit))[:2] == (False, 0)
        taken, standing = await subject.buckets.take_some(limit, b"k", 4, 1)
        assert (taken, standing.allowed) == (0, False)
        assert await subject.buckets.forget(limit, None) == 1
        assert (await one(subject, limit, 10)).allowed

    async def test_a_quota_that_was_a_rate_begins_full(self, subject: Subject) -> None:
        rate = rule(60, 60, 1)
        quota = Limit(rate.id, rate.rate, calendar=Windows(86_400, int(subject.wall()) - 1000))
        await one(subject, rate)
        assert (await one(subject, quota, 60)).remaining == 0
        assert not (await one(subject, rate)).allowed
        assert await subject.buckets.forget(rate, None) == 1
        assert (await one(subject, rate)).allowed
