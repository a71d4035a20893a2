"""One cookie out of many: what stands round it, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import cookies

NAMES = st.text("abcdefgh-_.", min_size=1, max_size=8).map(str.encode)
VALUES = st.text("abcXYZ0189=!#%&/+-", min_size=1, max_size=12).map(str.encode)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([b"a=1; sid=x; b=2"], b"x"),
        ([b"sid=x"], b"x"),
        ([b"sid=x;sid=y"], b"x"),
        ([b"a=1", b"b=2;\tsid=x "], b"x"),
        ([b"sid=a=b=="], b"a=b=="),
        ([b'sid="x"'], b'"x"'),
        ([b"xsid=1; sid2=2; SID=3"], None),
        ([b"a=sid=1"], None),
        ([b"sid=; sid=y"], None),
        ([b"sid"], None),
        ([b""], None),
        ([], None),
    ],
)
def test_the_first_of_that_name(fields: list[bytes], found: bytes | None) -> None:
    assert cookies.value(fields, b"sid") == found


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=8))
def test_each_is_found_as_it_was_written(pairs: list[tuple[bytes, bytes]]) -> None:
    field = b"; ".join(name + b"=" + value for name, value in pairs)
    for name, _ in pairs:
        assert cookies.value([field], name) == next(value for other, value in pairs if other == name)


@given(st.lists(st.binary(max_size=200), max_size=3), st.binary(min_size=1, max_size=10))
def test_no_field_is_too_odd_to_be_read(fields: list[bytes], name: bytes) -> None:
    found = cookies.value(fields, name)
    assert found is None or any(name + b"=" + found in field for field in fields)
