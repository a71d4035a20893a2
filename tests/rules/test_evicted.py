"""The sketch of evicted keys: never less than was noted, rarely more, and no larger than it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.evicted import SIZE, Evicted

#: Few hashes, whose parts are shared in every way, beside any others.
HASHES = st.one_of(
    st.builds(lambda a, b, c, d: a | b << 15 | c << 30 | d << 45, *(st.integers(0, 2) for _ in range(4))),
    st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(st.tuples(HASHES, st.integers(0, 2**63 - 1)), max_size=100), st.lists(HASHES))
def test_says_at_least_what_was_noted_and_at_most_the_largest(
    notes: list[tuple[int, int]], others: list[int]
) -> None:
    sketch = Evicted()
    largest: dict[int, int] = {}
    for hashed, value in notes:
        sketch.note(hashed, value)
        largest[hashed] = max(value, largest.get(hashed, 0))
    for hashed, value in largest.items():
        assert sketch.value(hashed) >= value
    for hashed in [*largest, *others]:
        assert sketch.value(hashed) <= max(largest.values(), default=0)


def test_ten_thousand_keys_are_rarely_taken_for_others() -> None:
    sketch = Evicted()
    for number in range(10_000):
        sketch.note(_mixed(number), 1)
    taken = sum(sketch.value(_mixed(number)) for number in range(10_000, 20_000))
    assert taken < 100  # 48 are to be expected


def _mixed(number: int) -> int:
    """A hash that is the same on every run (the finalizer of splitmix64)."""
    mixed = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return mixed ^ mixed >> 31


def test_takes_nothing_until_needed_and_a_mebibyte_then() -> None:
    sketch = Evicted()
    assert sketch.value(12345) == 0
    assert sketch._rows is None
    sketch.note(12345, 7)
    assert sketch.value(12345) == 7
    assert sum(row.itemsize * len(row) for row in sketch._rows or []) == SIZE == 2**20
    sketch.clear()
    assert sketch.value(12345) == 0
