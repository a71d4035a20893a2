"""A flight's readers, without sockets: who is cut loose before he has read a byte, and what is held for whom."""

from __future__ import annotations

import pytest

from gateway.cache.flight import BEHIND, Budget, Flight
from gateway.errors import ConnectionBroken

PIECE = b"x" * 65536


def flight(budget: Budget | None = None, longest: int = 1 << 30) -> Flight:
    return Flight(0, float("inf"), longest, budget or Budget(1 << 30))


def test_who_has_not_begun_is_cut_loose_too() -> None:
    """Once nothing is stored, nobody's lag is held beyond BEHIND; the one ahead reads on."""
    one = flight()
    quick, slow = one.join(leads=True), one.join(leads=False)
    one.hold_no_more()
    for _ in range(BEHIND // len(PIECE)):
        one.chunk(PIECE)
        assert one.taken(quick) == [PIECE]
    assert not slow.cut
    one.chunk(PIECE)
    assert slow.cut
    assert not quick.cut
    assert one.taken(quick) == [PIECE]
    assert one.readers() == 1
    assert not one._parts, "held for nobody"


def test_what_is_to_be_stored_is_held_for_everybody() -> None:
    one = flight()
    quick, slow = one.join(leads=True), one.join(leads=False)
    for _ in range(2 * BEHIND // len(PIECE)):
        one.chunk(PIECE)
        one.taken(quick)
    assert not slow.cut
    assert b"".join(one.taken(slow)) == PIECE * (2 * BEHIND // len(PIECE))


def test_who_is_furthest_is_not_cut_for_what_was_to_be_stored() -> None:
    """Else a single slow client would never get what has turned out too large; what is held for him is counted."""
    budget = Budget(1 << 30)
    one = flight(budget, longest=4 * BEHIND)
    slow = one.join(leads=True)
    for _ in range(4 * BEHIND // len(PIECE) + 1):
        one.chunk(PIECE)
    assert not one.storing
    assert not slow.cut
    assert budget.held == one.received
    assert len(b"".join(one.taken(slow))) == one.received
    assert budget.held == 0
    one.fail(ConnectionBroken())
    assert budget.held == 0


@pytest.mark.parametrize("end", ["complete", "failed", "too long", "no room"])
def test_what_it_takes_of_the_budget_is_given_back(end: str) -> None:
    budget = Budget(3 * len(PIECE))
    one = flight(budget, longest=len(PIECE) * (1 if end == "too long" else 100))
    reader = one.join(leads=True)
    one.chunk(PIECE)
    assert budget.held == len(PIECE)
    if end == "complete":
        one.end([])
        one.body()
    elif end == "failed":
        one.fail(ConnectionBroken())
    else:
        for _ in range(3):
            one.chunk(PIECE)
        assert not one.storing
    reader.leave()
    one.close()
    assert budget.held == 0


def test_when_the_last_reader_leaves_the_fetch_is_told_once() -> None:
    told: list[int] = []
    one = flight()
    one.abandoned = lambda: told.append(1)
    first, second = one.join(leads=True), one.join(leads=False)
    first.leave()
    first.leave()
    assert not told
    second.leave()
    assert told == [1]
    assert one.closes_at < 0, "who comes now is not to join what is being ended"
