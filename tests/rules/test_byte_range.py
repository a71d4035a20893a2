"""Ranges of bytes: RFC 9110, section 14."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import byte_range, field_lines
from gateway.rules.byte_range import Other, Part


# RFC 9110, section 14.1.2, of 10,000 bytes.
@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (b"bytes=0-499", Part(0, 499)),
        (b"bytes=500-999", Part(500, 999)),
        (b"bytes=-500", Part(9500, 9999)),
        (b"bytes=9500-", Part(9500, 9999)),
        (b"BYTES=0-0", Part(0, 0)),
        (b"bytes= 0-0 , ", Part(0, 0)),
        (b"bytes=,0-0", Part(0, 0)),
        (b"bytes=-20000", Part(0, 9999)),
        (b"bytes=9999-99999", Part(9999, 9999)),
        (b"bytes=0-%d" % 10**200, Part(0, 9999)),
        (b"bytes=000000000000000000000000000001-2", Part(1, 2)),
        (b"bytes=10000-", Other.UNSATISFIABLE),
        (b"bytes=10000-10001", Other.UNSATISFIABLE),
        (b"bytes=-0", Other.UNSATISFIABLE),
        (b"bytes=%d-" % 10**200, Other.UNSATISFIABLE),
        (b"bytes=0-0,-1", Other.WHOLE),
        (b"bytes= 0-999, 4500-5499, -1000", Other.WHOLE),
        (b"bytes=2-1", Other.WHOLE),
        (b"bytes=-", Other.WHOLE),
        (b"bytes=", Other.WHOLE),
        (b"bytes", Other.WHOLE),
        (b"bytes =0-1", Other.WHOLE),
        (b"bytes=0 -1", Other.WHOLE),
        (b"bytes=+0-1", Other.WHOLE),
        (b"bytes=--1", Other.WHOLE),
        (b"bytes=0x0-1", Other.WHOLE),
        (b"items=0-1", Other.WHOLE),
        (b"bytes=0-" + b"0" * 10_000, Other.WHOLE),
        (b"", Other.WHOLE),
    ],
)
def test_what_is_asked(value: bytes, asked: Part | Other) -> None:
    assert byte_range.read([value], 10_000) == asked


def test_no_range_and_two_lines_of_it() -> None:
    assert byte_range.read([], 10) is Other.WHOLE
    assert byte_range.read([b"bytes=0-0", b"bytes=1-1"], 10) is Other.WHOLE


def test_of_nothing() -> None:
    assert byte_range.read([b"bytes=0-"], 0) is Other.UNSATISFIABLE
    assert byte_range.read([b"bytes=-0"], 0) is Other.UNSATISFIABLE
    assert byte_range.read([b"bytes=-5"], 0) is Other.WHOLE
    assert byte_range.unsatisfiable(0) == b"bytes */0"


@given(
    st.lists(st.one_of(st.binary(), st.from_regex(rb"bytes=[0-9,\- ]*", fullmatch=True)), max_size=2), st.integers(0)
)
def test_no_bytes_are_an_error_and_parts_lie_within(values: list[bytes], length: int) -> None:
    asked = byte_range.read(values, length)
    if isinstance(asked, Part):
        assert 0 <= asked.first <= asked.last < length
        assert asked.length > 0


@given(st.binary(min_size=1, max_size=20), st.integers(0, 25), st.integers(0, 25))
def test_as_slices(content: bytes, first: int, more: int) -> None:
    expected = content[first : first + more + 1]
    asked = byte_range.read([b"bytes=%d-%d" % (first, first + more)], len(content))
    assert (content[asked.first : asked.last + 1] if isinstance(asked, Part) else b"") == expected
    asked = byte_range.read([b"bytes=-%d" % more], len(content))
    assert (content[asked.first :] if isinstance(asked, Part) else b"") == (content[-more:] if more else b"")


STORED = field_lines.of(
    [
        (b"Date", b"d"),
        (b"ETag", b'"a"'),
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"1234"),
        (b"Content-MD5", b"x"),
        (b"Last-Modified", b"l"),
        (b"Cache-Control", b"max-age=5"),
    ]
)


def test_the_fields_of_a_part() -> None:
    fields = byte_range.partial(STORED, Part(42, 1233), 1234)
    assert fields == field_lines.of(
        [
            (b"Date", b"d"),
            (b"ETag", b'"a"'),
            (b"Content-Type", b"text/plain"),
            (b"Last-Modified", b"l"),
            (b"Cache-Control", b"max-age=5"),
            (b"Content-Range", b"bytes 42-1233/1234"),
            (b"Content-Length", b"1192"),
        ]
    )
    known = byte_range.partial(STORED, Part(42, 1233), 1234, if_range=True)
    assert field_lines.names(known) == [b"date", b"etag", b"cache-control", b"content-range", b"content-length"]
