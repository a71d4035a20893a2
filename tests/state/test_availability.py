from __future__ import annotations

from gateway.state.availability import Availability


class Watched(Availability):
    """With a clock that is moved, and all that it told."""

    def __init__(self, failures: int = 3, reset: float = 60.0) -> None:
        self.now = 1000.0
        self.told: list[tuple[bool, str]] = []
        super().__init__(failures, reset, lambda up, why: self.told.append((up, why)), lambda: self.now)


def test_it_is_up_only_once_it_has_been_seen() -> None:
    one = Watched()
    assert not one.up
    one.started("")
    assert one.up
    assert one.told == []


def test_not_there_at_the_start_is_told_and_tried_again() -> None:
    one = Watched()
    one.started("ConnectionError")
    assert not one.up
    assert one.told == [(False, "ConnectionError")]
    assert one.wait == 60
    assert one.admit() is None


def test_failures_in_a_row_open_it_and_are_told_once() -> None:
    one = Watched()
    one.started("")
    one.failed(2, "timeout")
    one.succeeded()
    one.failed(2, "timeout")
    assert one.up
    one.failed(64, "ConnectionError")
    assert not one.up
    one.failed(64, "timeout")
    one.succeeded()
    assert not one.up
    assert one.told == [(False, "ConnectionError")]


def test_only_a_probe_closes_it_after_its_time() -> None:
    one = Watched()
    one.started("")
    one.failed(3, "timeout")
    one.now += 59.9
    assert one.admit() is None
    one.now += 0.1
    assert one.wait == 0
    probe = one.admit()
    assert probe is not None
    assert not one.up, "no request tries for it"
    one.probed(probe, "ReadOnlyError")
    assert not one.up
    assert one.why == "ReadOnlyError"
    assert one.wait == 60
    one.now += 60
    probe = one.admit()
    assert probe is not None
    one.probed(probe, "")
    assert one.up
    assert one.told == [(False, "timeout"), (True, "ReadOnlyError")]


def test_nothing_counts_from_before() -> None:
    one = Watched()
    one.started("")
    one.failed(3, "timeout")
    one.now += 60
    probe = one.admit()
    assert probe is not None
    one.probed(probe, "")
    one.failed(2, "timeout")
    assert one.up
    one.failed(1, "timeout")
    assert not one.up


def test_one_probe_at_a_time() -> None:
    one = Watched()
    one.started("")
    one.failed(3, "timeout")
    one.now += 60
    assert one.admit() is not None
    assert one.admit() is None
