"""Dictionaries of structured fields: RFC 8941's examples, and that one mistake undoes all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.structured_dictionary import parse


@pytest.mark.parametrize(
    ("lines", "members"),
    [
        ([b'en="Applepie", da=:w4ZibGV0w6ZydGU=:'], {b"en": b"Applepie", b"da": None}),
        ([b"a=?0, b, c; foo=bar"], {b"a": False, b"b": True, b"c": True}),
        ([b"rating=1.5, feelings=(joy sadness)"], {b"rating": 1.5, b"feelings": None}),
        ([b"a=(1 2), b=3, c=4;aa=bb, d=(5 6);valid"], {b"a": None, b"b": 3, b"c": 4, b"d": None}),
        ([b"foo=1, bar=2"], {b"foo": 1, b"bar": 2}),
        ([b"foo=1", b"bar=2"], {b"foo": 1, b"bar": 2}),
        ([b"a=1,b=2 ,\tc=-3"], {b"a": 1, b"b": 2, b"c": -3}),
        ([b"a=1, a=2"], {b"a": 2}),
        ([b'a="x\\"y\\\\", *b=tok/en:x'], {b"a": b'x"y\\', b"*b": b"tok/en:x"}),
        ([b"a=( ), b=( 1  2;x )"], {b"a": None, b"b": None}),
        ([b""], {}),
        ([b"  "], {}),
        ([], {}),
    ],
)
def test_a_dictionary(lines: list[bytes], members: dict[bytes, object]) -> None:
    found = parse(lines)
    assert found == members
    assert [type(value) for value in found.values()] == [type(value) for value in members.values()]


@pytest.mark.parametrize(
    "text",
    [
        b"A=1", b"a=1,", b",a=1", b"a=1,,b=2", b"a =1", b"a= 1", b"a=", b"a=1 b=2", b'a="x', b'a="\\x"', b"a=1.",
        b"a=1.2345", b"a=1234567890123456", b"a=?2", b"a=-", b"1=a", b"a=\xff", b'a="\xff"', b"a=(1", b"a=(1(2))",
        b"a;", b"a;B", b"a ;b", b"max-age=10\x00", b"a=(1\t2)", b"a='1'", b"a=3600a", b"a=(1 2)x",
    ],
)  # fmt: skip
def test_no_dictionary(text: bytes) -> None:
    assert parse([text]) is None
    assert parse([b"good=1", text, b"too=2"]) is None


@given(st.lists(st.binary(max_size=60) | st.text('ab=?01-.:"\\ ,;()*', max_size=60).map(str.encode), max_size=3))
def test_no_bytes_raise(lines: list[bytes]) -> None:
    members = parse(lines)
    assert members is None or all(name and name == name.lower() for name in members)
