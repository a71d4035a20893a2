from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache import codec
from gateway.cache.codec import COMPRESSED, ENTRY, IDENTITY, NAMES, Garbage, Record
from gateway.cache.entry import Entry
from tests.cache.entries import entries, entry, same

EPOCH, STAMP = b"epoch..1", b"stamp..2"
PAYLOAD = codec.encode(entry(), 7)
DATA = codec.seal(Record(ENTRY, EPOCH, STAMP, PAYLOAD))


@given(entries())
def test_a_response_comes_back_as_it_went(stored: Entry) -> None:
    data = codec.seal(Record(ENTRY, EPOCH, STAMP, codec.encode(stored, stored.version)))
    record = codec.open_record(data)
    assert (record.kind, record.epoch, record.stamp) == (ENTRY, EPOCH, STAMP)
    assert same(codec.decode(record.payload), stored)


def test_its_version_is_the_shared_one() -> None:
    assert codec.decode(codec.encode(entry(version=3), 41)).version == 41


@given(st.lists(st.lists(st.binary(max_size=10), max_size=4).map(tuple), max_size=4))
def test_names_come_back_as_they_went(lists: list[tuple[bytes, ...]]) -> None:
    assert codec.decode_names(codec.encode_names(lists)) == lists


def test_identity_lies_where_it_is_said_to() -> None:
    first, last = IDENTITY
    assert DATA[first : last + 1] == EPOCH + STAMP


@given(st.binary(max_size=200))
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(Garbage):
        codec.open_record(data)


@pytest.mark.parametrize("length", range(0, len(DATA), 7))
def test_a_cut_record_is_refused(length: int) -> None:
    with pytest.raises(Garbage):
        codec.open_record(DATA[:length])


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_record_with_one_wrong_byte_is_refused(at: int, flip: int) -> None:
    damaged = bytearray(DATA)
    damaged[at] ^= flip
    with pytest.raises(Garbage):
        codec.open_record(bytes(damaged))


def test_a_record_of_another_format_or_kind_is_refused() -> None:
    with pytest.raises(Garbage):
        codec.open_record(b"gwc\x00" + bytes(4) + DATA[8:])
    with pytest.raises(Garbage):
        codec.open_record(codec.seal(Record(b"x", EPOCH, STAMP, PAYLOAD)))
    assert {ENTRY, COMPRESSED, NAMES} == {b"e", b"z", b"n"}


@given(st.binary(max_size=200))
def test_payloads_of_nonsense_are_refused(payload: bytes) -> None:
    for read in (codec.decode, codec.decode_names):
        with pytest.raises(Garbage):
            read(payload)


def test_payloads_with_wrong_bytes_are_refused_or_are_responses() -> None:
    """As from somebody who may write there, and counts checksums: nothing but Garbage, no field of another kind."""
    numbers = random.Random(4)
    refused = 0
    for _ in range(20_000):
        payload = bytearray(PAYLOAD)
        for _ in range(numbers.randint(1, 4)):
            payload[numbers.randrange(len(payload))] = numbers.choice(b'\x00\r\n[]{},":-0123456789ntfe\\u\xff')
        try:
            found = codec.decode(bytes(payload))
        except Garbage:
            refused += 1
        else:
            assert type(found.status) is int
            assert all(type(piece) is bytes for piece in found.kept)
            assert found.head.count(b"\n") == len(found.kept) // 4 + 1
    assert 1000 < refused < 20_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"Date"', b'"Da\\n"'),
        (b'"OK"', b'"\\r"'),
        (b"200", b"20"),
        (b"200", b'"2"'),
        (b"0.5", b"nul"),
        (b"false", b"null "),
        (b'"origin"', b'"nobody"'),
        (b'"pages"', b"1234567"),
        (b'"key"', b'"\\u1234"'),
    ],
)
def test_heads_with_something_else_in_a_place_are_refused(old: bytes, new: bytes) -> None:
    assert PAYLOAD.count(old) >= 1
    head = PAYLOAD[4 : 4 + int.from_bytes(PAYLOAD[:4], "little")].replace(old, new, 1)
    with pytest.raises(Garbage):
        codec.decode(len(head).to_bytes(4, "little") + head + b"content")
