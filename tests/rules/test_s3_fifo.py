"""What leaves a full cache."""

from __future__ import annotations

from bisect import bisect
from collections import OrderedDict
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.s3_fifo import Kept, S3Fifo

FOR_EVER = float("inf")


class Cache:
    """Numbers in a cache of so much room."""

    def __init__(self, entries: int, most_bytes: int = 1 << 40) -> None:
        self.queues: S3Fifo[Kept] = S3Fifo(entries, most_bytes)
        self.kept: dict[int, Kept] = {}

    def ask(self, number: int, size: int = 1, expires: float = FOR_EVER) -> bool:
        found = self.kept.get(number)
        if found is not None:
            found.hits += 1
            return True
        while self.queues.over(1, size):
            del self.kept[self.queues.evict(0.0).mark]
        one = self.kept[number] = Kept(number, size, expires)
        self.queues.add(one)
        return False


def test_a_scan_flushes_a_tenth() -> None:
    cache = Cache(100)
    for _ in range(2):
        for number in range(90):
            cache.ask(number)
    for number in range(1000, 11_000):
        cache.ask(number)
    assert sum(number in cache.kept for number in range(90)) >= 85


def test_what_comes_again_soon_after_it_left_is_for_the_main_queue() -> None:
    cache = Cache(20)
    for number in range(21):
        cache.ask(number)
    assert 0 not in cache.kept
    cache.ask(0)
    assert cache.kept[0].in_main
    assert not cache.kept[20].in_main


def to_main(queues: S3Fifo[Kept], number: int) -> Kept:
    """Something that was hit while it was in the small queue, which has room for none here."""
    one = Kept(number, 1, FOR_EVER)
    queues.add(one)
    one.hits += 1
    queues.add(Kept(-number - 1, 1, FOR_EVER))
    assert queues.evict(0.0).mark == -number - 1
    assert one.in_main
    return one


@pytest.mark.parametrize(("hits", "rounds"), [(0, 0), (1, 1), (3, 3), (50, 3)])
def test_hits_are_worth_a_round_each_and_three_at_most(hits: int, rounds: int) -> None:
    queues: S3Fifo[Kept] = S3Fifo(5, 100)
    to_main(queues, 0).hits += hits
    outlived = 0
    while True:
        to_main(queues, outlived + 1)
        if queues.evict(0.0).mark == 0:
            break
        outlived += 1
    assert outlived == rounds


def test_what_is_of_no_use_goes_in_spite_of_its_hits() -> None:
    cache = Cache(2)
    cache.ask(1, expires=0.0)
    cache.ask(1)
    cache.ask(2)
    cache.ask(3)
    assert set(cache.kept) == {2, 3}


def test_nothing_goes_out_of_nothing() -> None:
    with pytest.raises(KeyError):
        S3Fifo[Kept](1, 1).evict(0.0)


ASKED = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "ask", "remove", "change"]), st.integers(0, 30), st.integers(1, 20))
)


@given(ASKED, st.integers(1, 12), st.integers(20, 100))
def test_room_is_kept(asked: list[tuple[str, int, int]], entries: int, most_bytes: int) -> None:
    cache = Cache(entries, most_bytes)
    for what, number, size in asked:
        found = cache.kept.get(number)
        if what == "ask":
            cache.ask(number, size)
            assert number in cache.kept
        elif what == "remove" and found is not None:
            cache.queues.remove(cache.kept.pop(number))
        elif what == "change" and found is not None and size <= found.size:
            cache.queues.change(found, size, FOR_EVER)
        assert len(cache.queues) == len(cache.kept) <= entries
        assert cache.queues.size == sum(one.size for one in cache.kept.values()) <= most_bytes
        assert cache.queues._small_bytes == sum(one.size for one in cache.kept.values() if not one.in_main)
    while cache.kept:
        del cache.kept[cache.queues.evict(0.0).mark]
    assert (len(cache.queues), cache.queues.size) == (0, 0)
    cache.queues.clear()
    assert not cache.queues.over(entries, most_bytes)


def lru(asked: list[int], entries: int) -> float:
    """Hits of the plainest cache there is."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for number in asked:
        hits += number in kept
        kept[number] = None
        kept.move_to_end(number)
        if len(kept) > entries:
            kept.popitem(last=False)
    return hits


def zipf(numbers: int, power: float, count: int, random: Random) -> list[int]:
    """Numbers of which the first are asked for far more often than the last."""
    shares = list(accumulate((place + 1) ** -power for place in range(numbers)))
    return [bisect(shares, random.random() * shares[-1]) for _ in range(count)]


@pytest.mark.parametrize(("power", "scans", "better"), [(0.7, False, 1.2), (0.9, False, 1.1), (0.9, True, 1.1)])
def test_more_is_hit_than_by_lru(power: float, scans: bool, better: float) -> None:
    asked = zipf(4000, power, 30_000, Random(1))
    if scans:
        for at in range(5000, 30_000, 5000):
            asked[at:at] = range(100_000 + 1000 * at, 100_000 + 1000 * at + 500)
    cache = Cache(200)
    assert sum(cache.ask(number) for number in asked) > better * lru(asked, 200)
