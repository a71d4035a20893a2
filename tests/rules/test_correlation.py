"""The correlation id: kept when well-formed, else made anew."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import correlation

RANDOM = bytes(range(16))
NEW = "000102030405060708090a0b0c0d0e0f"


@pytest.mark.parametrize("value", [b"a", b"A-Z_0.9", b"-", b".", b"x" * 128, NEW.encode()])
def test_a_well_formed_id_is_kept(value: bytes) -> None:
    assert correlation.well_formed(value)
    assert correlation.choose([value], RANDOM) == value.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"x" * 129,
        b"a b",
        b"a,b",
        b"a\n",
        b"\na",
        b"a\r\nX: y",
        b"a\x00",
        b'"a"',
        b"a/b",
        b"\xc3\xa9",
        b"a;b",
        b"{a}",
    ],
)
def test_anything_else_is_replaced(value: bytes) -> None:
    assert not correlation.well_formed(value)
    assert correlation.choose([value], RANDOM) == NEW


def test_none_and_several_are_replaced() -> None:
    assert correlation.choose([], RANDOM) == NEW
    assert correlation.choose([b"a", b"b"], RANDOM) == NEW
    assert correlation.choose([b"a", b"a"], RANDOM) == NEW


@given(st.lists(st.binary(max_size=140), max_size=3), st.binary(min_size=16, max_size=16))
def test_whatever_comes_the_id_is_well_formed(values: list[bytes], random16: bytes) -> None:
    chosen = correlation.choose(values, random16)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", chosen)
    assert [chosen.encode()] == values or chosen == random16.hex()


@given(st.binary(min_size=16, max_size=16))
def test_a_new_id_is_itself_well_formed_and_tells_all_its_bytes(random16: bytes) -> None:
    made = correlation.new_id(random16)
    assert correlation.well_formed(made.encode())
    assert bytes.fromhex(made) == random16
