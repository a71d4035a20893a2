"""Slots and queues in any order of events, beside a model that keeps lists; and what Retry-After is taken from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.rules.in_flight import LATEST, SOONEST, Pace, Slots, SlotsByKey, Waiter


class SlotsMachine(RuleBasedStateMachine):
    """Slots beside two lists: who holds, and who waits in the order of coming."""

    @initialize(limit=st.integers(1, 4), queue=st.integers(0, 4), newest_first=st.booleans())
    def begin(self, limit: int, queue: int, newest_first: bool) -> None:
        self.limit, self.queue, self.newest_first = limit, queue, newest_first
        self.slots = Slots(limit, queue, newest_first=newest_first)
        self.holding: list[Waiter | None] = []  # None: got in without waiting
        self.waiting: list[Waiter] = []
        self.woken: list[Waiter] = []
        self.gone: list[Waiter] = []
        self.most_waiting = 0  # since the queue's bound was lowered last

    def let_in(self) -> None:
        """The model's: as many as there is room for, in order."""
        expected = []
        while self.waiting and len(self.holding) < self.limit:
            waiter = self.waiting.pop(-1 if self.newest_first else 0)
            self.holding.append(waiter)
            expected.append(waiter)
        assert self.woken == expected
        self.woken = []

    @rule()
    def enter(self) -> None:
        room = len(self.holding) < self.limit
        assert self.slots.enter() == room
        if room:
            self.holding.append(None)

    @rule()
    def join(self) -> None:
        if len(self.holding) < self.limit:
            return  # who finds room does not join
        waiter = Waiter(lambda: self.woken.append(waiter))
        assert self.slots.crowded == (len(self.waiting) >= self.queue)
        joined = self.slots.join(waiter)
        assert joined == (len(self.waiting) < self.queue)
        if joined:
            self.waiting.append(waiter)

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        waiter = self.holding.pop(data.draw(st.integers(0, len(self.holding) - 1)))
        if waiter is not None:
            waiter.admitted = False
        self.slots.leave()
        self.let_in()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up_a_place(self, data: st.DataObject) -> None:
        waiter = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.slots.withdraw(waiter)
        self.gone.append(waiter)
        self.let_in()

    @precondition(lambda self: any(self.holding))
    @rule(data=st.data())
    def give_up_a_slot_that_has_just_come(self, data: st.DataObject) -> None:
        waiter = data.draw(st.sampled_from([waiter for waiter in self.holding if waiter is not None]))
        self.holding.remove(waiter)
        self.slots.withdraw(waiter)
        self.gone.append(waiter)
        self.let_in()

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def give_up_once_more(self, data: st.DataObject) -> None:
        self.slots.withdraw(data.draw(st.sampled_from(self.gone)))
        self.let_in()

    @rule(limit=st.integers(1, 6), queue=st.integers(0, 4), newest_first=st.booleans())
    def resize(self, limit: int, queue: int, newest_first: bool) -> None:
        self.limit, self.queue, self.newest_first = limit, queue, newest_first
        self.slots.resize(limit, queue, newest_first=newest_first)
        self.let_in()
        self.most_waiting = len(self.waiting)

    @rule()
    def let_in_by_another_count(self) -> None:
        waiter = self.slots.let_in()
        assert (waiter is None) == (not self.waiting)
        if waiter is not None:
            assert waiter is self.waiting.pop(-1 if self.newest_first else 0)
            self.holding.append(waiter)
            assert self.woken == [waiter]
            self.woken = []

    @invariant()
    def slots_are_conserved(self) -> None:
        if hasattr(self, "slots"):
            assert self.slots.in_flight == len(self.holding)
            assert self.slots.queued == len(self.waiting) <= max(self.queue, self.most_waiting)
            assert self.slots.idle == (not self.holding and not self.waiting)
            assert all(waiter.admitted for waiter in self.holding if waiter is not None)
            assert not any(waiter.admitted for waiter in self.waiting + self.gone)

    @invariant()
    def nobody_waits_beside_a_free_slot(self) -> None:
        if hasattr(self, "slots"):
            assert not self.waiting or len(self.holding) >= self.limit


SlotsMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestSlots = SlotsMachine.TestCase


class KeysMachine(RuleBasedStateMachine):
    """A table by key beside a list of who holds and waits: a key is there while it has a use, and no longer."""

    @initialize(limit=st.integers(1, 3), queue=st.integers(0, 2))
    def begin(self, limit: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self.table = SlotsByKey(limit, queue)
        self.holding: list[tuple[bytes, Slots]] = []
        self.waiting: list[tuple[bytes, Slots, Waiter]] = []

    @rule(key=st.sampled_from([b"a", b"b", b"c"]))
    def ask(self, key: bytes) -> None:
        slots = self.table.of(key)
        waiter = Waiter(lambda: None)
        held = sum(one == key for one, _ in self.holding)
        if slots.enter():
            assert held < self.limit
            self.holding.append((key, slots))
        elif slots.join(waiter):
            assert held >= self.limit
            self.waiting.append((key, slots, waiter))
        else:
            assert sum(one == key for one, _, _ in self.waiting) >= self.queue
            self.table.settle(slots)

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        _, slots = self.holding.pop(data.draw(st.integers(0, len(self.holding) - 1)))
        slots.leave()
        self.table.settle(slots)
        self.move()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        _, slots, waiter = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        slots.withdraw(waiter)
        self.table.settle(slots)

    @rule(limit=st.integers(1, 4), queue=st.integers(0, 2))
    def resize(self, limit: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self.table.resize(limit, queue, newest_first=False)
        self.move()

    def move(self) -> None:
        for one in [one for one in self.waiting if one[2].admitted]:
            self.waiting.remove(one)
            self.holding.append(one[:2])

    @invariant()
    def the_table_is_as_small_as_its_use(self) -> None:
        if hasattr(self, "table"):
            assert len(self.table) == len({one[0] for one in (*self.holding, *self.waiting)})
            assert self.table.in_flight == len(self.holding)
            assert self.table.queued == len(self.waiting)

    def teardown(self) -> None:
        while getattr(self, "holding", None) or getattr(self, "waiting", None):
            if self.waiting:
                _, slots, waiter = self.waiting.pop()
                slots.withdraw(waiter)
            else:
                _, slots = self.holding.pop()
                slots.leave()
            self.table.settle(slots)
            self.move()
        if hasattr(self, "table"):
            assert len(self.table) == 0


KeysMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestKeys = KeysMachine.TestCase


# ---- order


@pytest.mark.parametrize(("newest_first", "expected"), [(False, [0, 1, 2, 3]), (True, [3, 2, 1, 0])])
def test_whose_turn_it_is(newest_first: bool, expected: list[int]) -> None:
    slots = Slots(1, 10, newest_first=newest_first)
    assert slots.enter()
    order: list[int] = []
    for number in range(4):
        assert slots.join(Waiter(lambda number=number: order.append(number)))  # type: ignore[misc]
    for _ in range(4):
        slots.leave()
    assert order == expected
    assert slots.in_flight == 1


def test_who_comes_later_does_not_overtake() -> None:
    slots = Slots(1, 1)
    slots.enter()
    slots.join(Waiter(lambda: None))
    slots.leave()
    assert not slots.enter()


def test_a_key_that_somebody_asks_about_elsewhere_stays() -> None:
    table = SlotsByKey(0, 1)
    slots = table.of(b"a")
    slots.asking += 1
    table.settle(slots)
    assert table.of(b"a") is slots
    slots.asking -= 1
    table.settle(slots)
    assert len(table) == 0


def test_a_key_that_has_begun_anew_is_not_forgotten_by_the_one_before() -> None:
    table = SlotsByKey(1, 1)
    before = table.of(b"a")
    table.settle(before)
    after = table.of(b"a")
    after.enter()
    table.settle(before)
    assert table.of(b"a") is after


# ---- when to come again


def test_nothing_known_is_a_second() -> None:
    assert Pace().retry_after(1000, 1, 0, 1e6) == SOONEST


def test_it_is_what_the_queue_ahead_takes() -> None:
    """Held 4 s each, 2 slots: one comes free every 2 s, and a newcomer behind 5 gets the sixth."""
    pace = Pace()
    for _ in range(10):
        pace.held(4.0)
    assert pace.retry_after(5, 2, 100, 50.0) == 12
    assert pace.retry_after(0, 2, 101, 50.0) == 2
    assert pace.retry_after(0, 100, 102, 50.0) == SOONEST
    assert pace.retry_after(500, 2, 103, 50.0) == LATEST


def test_it_follows_what_it_sees() -> None:
    pace = Pace()
    pace.held(0.1)
    for _ in range(60):
        pace.held(10.0)
    assert pace.retry_after(0, 1, 0, 0.0) == 10


def test_slots_that_hang_make_it_say_more_and_more() -> None:
    pace = Pace()
    pace.held(0.05)
    said = [pace.retry_after(0, 25, 7, now) for now in (100.0, 101.0, 103.0, 107.0, 500.0)]
    assert said == [1, 1, 3, 7, LATEST]
    assert pace.retry_after(0, 25, 8, 501.0) == 1, "somebody has got in"


@given(st.lists(st.floats(0, 1e6), max_size=20), st.integers(0, 10**6), st.integers(1, 10**6), st.floats(0, 1e9))
def test_it_has_bounds_and_grows_with_the_queue(held: list[float], ahead: int, limit: int, now: float) -> None:
    pace = Pace()
    for seconds in held:
        pace.held(seconds)
    first = pace.retry_after(ahead, limit, 1, now)
    assert SOONEST <= first <= pace.retry_after(ahead + 1, limit, 1, now) <= LATEST
