"""The memory of one process: the contract, what its table lets go, and what a clock that is set does."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.gcra import SECOND, Rate
from gateway.state.memory import MemoryBuckets
from gateway.state.ports import Charge, Limit, Spending, Spendings
from tests.state.contract import BucketsContract
from tests.state.shared import SharedMemory
from tests.state.subject import Windows


class Clock:
    """Both clocks, which stand still until they are moved."""

    def __init__(self) -> None:
        self.monotonic = 5000.125
        self.seconds = 1_790_000_000.25

    def now(self) -> float:
        return self.monotonic

    def wall(self) -> float:
        return self.seconds

    def step(self, seconds: float) -> None:
        self.monotonic += seconds
        self.seconds += seconds

    async def sleep(self, seconds: float) -> None:
        self.step(seconds)


class MemorySubject(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.buckets = SharedMemory(MemoryBuckets(wall=self.wall), self.now)


class TestContract(BucketsContract):
    @pytest.fixture
    def subject(self) -> MemorySubject:
        return MemorySubject()


class Unbounded:
    """What a memory without a bound would let pass: a level a key, and nothing forgotten."""

    def __init__(self, limits: list[Limit]) -> None:
        self.tats: dict[bytes, int] = {}
        self.limits = limits

    def could(self, charges: list[Charge], at: int, end: int) -> bool:
        tats = dict(self.tats)
        for limit, key, cost in charges:
            quota = limit.calendar is not None
            base, interval = (end, 1) if quota else (at, limit.rate.interval)
            name = limit.prefix + key
            tats[name] = max(tats.get(name, 0), base) + cost * interval
            if tats[name] - base > (limit.rate.limit if quota else limit.rate.capacity):
                return False
        return True

    def passed(self, charges: list[Charge], at: int, end: int) -> None:
        for limit, key, cost in charges:
            base, interval = (at, limit.rate.interval) if limit.calendar is None else (end, 1)
            name = limit.prefix + key
            self.tats[name] = max(self.tats.get(name, 0), base) + cost * interval


KEYS = [b"a", b"b", b"c", b"d", b"e", b"f"]
STEPS = st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.9, 1.0, 3.0, 20.0, 100.0])
COST = st.sampled_from([1, 1, 1, 2, 4])


@given(
    capacity=st.integers(1, 4),
    sequence=st.lists(
        st.tuples(STEPS, st.lists(st.tuples(st.integers(0, 2), st.sampled_from(KEYS), COST), min_size=1, max_size=3)),
        max_size=60,
    ),
)
def test_a_table_of_few_keys_lets_nothing_pass_that_an_unbounded_one_would_not(
    capacity: int, sequence: list[tuple[float, list[tuple[int, bytes, int]]]]
) -> None:
    clock = Clock()
    memory = MemoryBuckets(capacity, clock.wall)
    windows = Windows(60, 0)
    limits = [
        Limit("often", Rate(60, 60, 4)),
        Limit("seldom", Rate(6, 60, 2)),
        Limit("quota", Rate(5, 60, 5), calendar=windows),
    ]
    model = Unbounded(limits)
    for step, parts in sequence:
        clock.step(step)
        at, end = int(clock.now() * 1e12), int(windows.window(clock.wall())[1]) * SECOND
        charges = [Charge(limits[which], key, cost) for which, key, cost in parts]
        if all(standing.allowed for standing in memory.take(charges, clock.now())):
            assert model.could(charges, at, end)
            model.passed(charges, at, end)
        assert len(memory) <= capacity


@given(
    sequence=st.lists(
        st.tuples(
            STEPS, st.lists(st.tuples(st.integers(0, 1), st.sampled_from(KEYS[:2]), COST), min_size=1, max_size=3)
        ),
        max_size=60,
    )
)
def test_a_table_with_room_lets_pass_exactly_what_it_should(
    sequence: list[tuple[float, list[tuple[int, bytes, int]]]],
) -> None:
    clock = Clock()
    memory = MemoryBuckets(wall=clock.wall)
    windows = Windows(60, 0)
    limits = [Limit("rate", Rate(60, 60, 4)), Limit("quota", Rate(5, 60, 5), calendar=windows)]
    model = Unbounded(limits)
    for step, parts in sequence:
        clock.step(step)
        at, end = int(clock.now() * 1e12), int(windows.window(clock.wall())[1]) * SECOND
        charges = [Charge(limits[which], key, cost) for which, key, cost in parts]
        allowed = all(standing.allowed for standing in memory.take(charges, clock.now()))
        assert allowed == model.could(charges, at, end)
        if allowed:
            model.passed(charges, at, end)


def exhaust(memory: MemoryBuckets, limit: Limit, now: float, key: bytes = b"k") -> int:
    passed = 0
    while memory.take([Charge(limit, key, 1)], now)[0].allowed:
        passed += 1
    return passed


def crowd_out(memory: MemoryBuckets, now: float) -> None:
    """Other keys, drained at once, take the whole table."""
    quick = Limit("crowd", Rate(10**9, 1, 1))
    for number in range(10):
        memory.take([Charge(quick, b"%d" % number, 1)], now)


def test_the_key_that_was_idle_longest_goes_first() -> None:
    memory, limit = MemoryBuckets(3), Limit("r", Rate(1000, 1, 2))
    for key in (b"a", b"b", b"c", b"a", b"d"):
        memory.take([Charge(limit, key, 1)], 100.0)
    assert len(memory) == 3
    assert [key for key in (b"a", b"b", b"c", b"d") if limit.prefix + key in memory._tats] == [b"a", b"c", b"d"]


def test_a_large_table_lets_a_few_go_at_once_the_oldest_first() -> None:
    memory, limit = MemoryBuckets(1024), Limit("r", Rate(60, 3600, 60))
    keys = [b"%d" % number for number in range(1025)]
    for key in (*keys[:1024], keys[0], keys[1024]):
        memory.take([Charge(limit, key, 50)], 100.0)
    assert len(memory) == 1020
    assert [key for key in keys if limit.prefix + key not in memory._tats] == keys[1:6]
    standings = [memory.take([Charge(limit, key, 20)], 100.0)[0] for key in keys]
    assert not any(standing.allowed for standing in standings)  # none has come back with more than it had


def test_a_key_that_is_refused_is_not_idle() -> None:
    memory, limit, other = MemoryBuckets(3), Limit("r", Rate(1, 60, 1)), Limit("o", Rate(1000, 1, 2))
    memory.take([Charge(limit, b"a", 1)], 100.0)
    for key in (b"b", b"c", b"d", b"e"):
        memory.take([Charge(other, key, 1)], 100.0)
        assert not memory.take([Charge(limit, b"a", 1)], 100.0)[0].allowed
        assert limit.prefix + b"a" in memory._tats


@pytest.mark.parametrize("calendar", [None, Windows(86_400, 1_789_999_000)])
def test_an_evicted_key_comes_back_as_it_was(calendar: Windows | None) -> None:
    clock = Clock()
    memory, limit = MemoryBuckets(4, clock.wall), Limit("r", Rate(60, 3600, 60), calendar=calendar)
    memory.take([Charge(limit, b"k", 50)], clock.now())
    crowd_out(memory, clock.now())
    assert limit.prefix + b"k" not in memory._tats
    seen = memory.look(limit, b"k", clock.now())
    assert seen is not None
    assert seen.remaining in (9, 10)  # a nanosecond's rounding
    assert exhaust(memory, limit, clock.now()) == seen.remaining
    crowd_out(memory, clock.now())
    assert exhaust(memory, limit, clock.now()) == 0
    assert memory.look(limit, b"another", clock.now()) is None


def test_an_evicted_key_that_has_drained_meanwhile_comes_back_full() -> None:
    clock = Clock()
    memory, limit = MemoryBuckets(4, clock.wall), Limit("r", Rate(1, 1, 5))
    assert exhaust(memory, limit, clock.now()) == 5
    crowd_out(memory, clock.now())
    clock.step(5.001)
    assert memory.look(limit, b"k", clock.now()) is None
    assert exhaust(memory, limit, clock.now()) == 5


def test_an_evicted_quota_is_full_in_the_next_window() -> None:
    clock = Clock()
    memory, limit = MemoryBuckets(4, clock.wall), Limit("q", Rate(5, 1, 5), calendar=Windows(60, 0))
    assert exhaust(memory, limit, clock.now()) == 5
    crowd_out(memory, clock.now())
    clock.step(60)
    assert memory.look(limit, b"k", clock.now()) is None
    assert exhaust(memory, limit, clock.now()) == 5


def test_an_evicted_key_has_drained_no_sooner() -> None:
    memory, limit = MemoryBuckets(4), Limit("r", Rate(7, 1, 2))
    now = 100.0
    memory.take([Charge(limit, b"k", 1)], now)
    drained = memory._tats[limit.prefix + b"k"]
    crowd_out(memory, now)
    assert drained <= memory._seen(limit, limit.prefix + b"k", int(now * 1e12)) < drained + 1000


def test_a_key_reset_after_its_eviction_is_full() -> None:
    memory, limit, other = MemoryBuckets(4), Limit("r", Rate(1, 60, 5)), Limit("o", Rate(1, 60, 5))
    for key in (b"k", b"l"):
        assert exhaust(memory, limit, 100.0, key) == exhaust(memory, other, 100.0, key) == 5
    crowd_out(memory, 100.0)
    assert memory.forget(limit, b"k") == 1
    assert exhaust(memory, limit, 100.0) == 5
    memory.forget(limit, None)
    assert exhaust(memory, limit, 100.0, b"k") == exhaust(memory, limit, 100.0, b"l") == 5
    assert exhaust(memory, other, 100.0, b"k") == exhaust(memory, other, 100.0, b"l") == 0


def test_a_colliding_key_waits_no_longer_than_from_an_empty_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryBuckets, "_hash", lambda self, limit, name: 7)
    memory, slow, quick = MemoryBuckets(2), Limit("s", Rate(1, 86_400, 5)), Limit("q", Rate(10, 1, 10))
    exhaust(memory, slow, 100.0)
    crowd_out(memory, 100.0)
    [standing] = memory.take([Charge(quick, b"k", 1)], 100.0)
    assert not standing.allowed
    assert standing.retry_after == pytest.approx(0.1)


def test_a_refused_charge_leaves_the_bound_alone() -> None:
    memory, empty = MemoryBuckets(3), Limit("e", Rate(1, 60, 1))
    limit = Limit("r", Rate(60, 60, 5))
    exhaust(memory, empty, 100.0)
    for number in range(10):
        memory.take([Charge(limit, b"%d" % number, 1), Charge(empty, b"k", 1)], 100.0)
        assert len(memory) <= 3
    memory.force(Charge(limit, b"x", 1), 100.0)
    assert len(memory) <= 3


def test_retry_after_is_not_later_than_needed() -> None:
    memory, limit = MemoryBuckets(), Limit("r", Rate(7, 3, 2))
    now = 5000.0
    for cost in (1, 2, 1, 2):
        while (standing := memory.take([Charge(limit, b"", cost)], now)[0]).allowed:
            pass
        assert not memory.take([Charge(limit, b"", cost)], now + standing.retry_after - 1e-6)[0].allowed
        now += standing.retry_after + 1e-6
        assert memory.take([Charge(limit, b"", cost)], now)[0].allowed


# ---- a wall clock that is set

DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def daily(clock: Clock) -> Limit:
    """Three a window; the clock stands 1000 s into one."""
    return Limit("daily", Rate(3, DAY, 3), calendar=Windows(DAY, int(clock.seconds) - 1000))


def test_a_clock_set_within_the_window_changes_nothing(clock: Clock, daily: Limit) -> None:
    memory = MemoryBuckets(wall=clock.wall)
    memory.take([Charge(daily, b"k", 2)], clock.now())
    for step in (+40_000, -40_500, +1):
        clock.seconds += step
        [standing] = memory.take([Charge(daily, b"k", 0)], clock.now())
        assert standing.remaining == 1
    assert exhaust(memory, daily, clock.now()) == 1


def test_a_clock_set_forward_begins_the_next_window(clock: Clock, daily: Limit) -> None:
    memory = MemoryBuckets(wall=clock.wall)
    assert exhaust(memory, daily, clock.now()) == 3
    clock.seconds += DAY
    assert exhaust(memory, daily, clock.now()) == 3


def test_a_clock_set_back_a_little_holds_until_the_window_comes_again(clock: Clock, daily: Limit) -> None:
    memory = MemoryBuckets(wall=clock.wall)
    assert exhaust(memory, daily, clock.now()) == 3
    clock.seconds -= 1001
    [standing] = memory.take([Charge(daily, b"k", 1)], clock.now())
    assert (standing.allowed, standing.remaining) == (False, 0)
    assert standing.retry_after == pytest.approx(0.75)
    assert exhaust(memory, daily, clock.now(), b"new") == 3
    clock.seconds += 1
    assert exhaust(memory, daily, clock.now()) == 0
    assert exhaust(memory, daily, clock.now(), b"new") == 3


def test_a_clock_set_back_far_begins_anew(clock: Clock, daily: Limit) -> None:
    memory = MemoryBuckets(wall=clock.wall)
    clock.seconds += 1000 * DAY
    assert exhaust(memory, daily, clock.now()) == 3
    clock.seconds -= 1000 * DAY
    seen = memory.look(daily, b"k", clock.now())
    assert seen is None
    assert exhaust(memory, daily, clock.now()) == 3
    clock.seconds += DAY
    assert exhaust(memory, daily, clock.now()) == 3


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 3), st.sampled_from([b"a", b"b"])), max_size=40))
def test_spending_is_taking(requests: list[tuple[float, int, bytes]]) -> None:
    """The quick way for requests that all rules pass comes to the same as the way that tells everything."""
    whole, own = Limit("whole", Rate(3, 1.0, 4)), Limit("own", Rate(1, 1.0, 3))

    def own_key(key: bytes) -> bytes:
        return own.prefix + key

    quick, slow = MemoryBuckets(), MemoryBuckets()
    now = 1000.0
    for pause, cost, key in requests:
        now += pause
        charges = [Charge(whole, b"*", cost), Charge(own, key, 1)]
        wanted = Spendings(
            [Spending(whole, cost, whole.prefix + b"*", own_key), Spending(own, 1, None, own_key)],
        )
        names: list[bytes] = []
        told = quick.spend(wanted, key, names, now)
        standings = slow.take(charges, now)
        if all(standing.allowed for standing in standings):
            assert told == [number for one in standings for number in (one.remaining, ceil(one.reset))]
        else:
            assert told is None
        assert names == ([] if told is None else [one.limit.prefix + one.key for one in charges])
    for limit, key in ((whole, b"*"), (own, b"a"), (own, b"b")):
        assert quick.look(limit, key, now) == slow.look(limit, key, now)


def test_spending_keeps_to_the_tables_bound() -> None:
    buckets = MemoryBuckets(capacity=10)
    limit = Limit("own", Rate(1, 60.0, 3))
    wanted = Spendings([Spending(limit, 1, None, lambda number: limit.prefix + b"%d" % number)])
    for number in range(50):
        assert buckets.spend(wanted, number, [], 1000.0) is not None
    assert len(buckets) == 10
