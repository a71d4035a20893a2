"""Names to what bears them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.index import Index

NAMES = st.sampled_from([b"a", b"b", b"c"])


class Thing:
    """Something that is equal to itself alone."""


@given(st.lists(st.tuples(st.booleans(), NAMES, st.integers(0, 3))))
def test_it_finds_what_bears_a_name(steps: list[tuple[bool, bytes, int]]) -> None:
    things = [Thing() for _ in range(4)]
    index: Index[Thing] = Index()
    model: set[tuple[bytes, int]] = set()
    for adds, name, number in steps:
        if adds:
            index.add(name, things[number])
            model.add((name, number))
        else:
            index.remove(name, things[number])
            model.discard((name, number))
        for one in (b"a", b"b", b"c"):
            assert set(index.find(one)) == {things[number] for bears, number in model if bears == one}
        assert len(index) == len({name for name, _ in model})
    index.clear()
    assert len(index) == 0
