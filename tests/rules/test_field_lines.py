"""Fields as pieces of their lines: nothing lost, nothing reordered, case kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import field_lines

NAMES = st.sampled_from([b"A", b"a", b"Set-Cookie", b"set-cookie", b"X-B"])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=6)))


@given(FIELDS)
def test_fields_come_back_as_they_were_kept(fields: list[tuple[bytes, bytes]]) -> None:
    pieces: list[bytes] = []
    for name, value in fields:
        field_lines.keep(pieces, name, value)
    assert pieces == field_lines.of(fields)
    assert list(field_lines.pairs(pieces)) == fields
    assert b"".join(pieces) == b"".join(b"%b: %b\r\n" % field for field in fields)


@given(FIELDS)
def test_names_in_lower_case_or_as_a_table_has_them(fields: list[tuple[bytes, bytes]]) -> None:
    pieces = field_lines.of(fields)
    assert field_lines.names(pieces) == [name.lower() for name, _ in fields]
    table = bytes(range(256)).replace(b"-", b"_")
    assert field_lines.names(pieces, table) == [name.replace(b"-", b"_") for name, _ in fields]


@given(FIELDS, st.sets(st.sampled_from([b"a", b"set-cookie", b"x-b", b"other"])).map(frozenset))
def test_without_leaves_the_others_in_order_and_the_list_itself_alone(
    fields: list[tuple[bytes, bytes]], names: frozenset[bytes]
) -> None:
    pieces = field_lines.of(fields)
    left = field_lines.without(pieces, names)
    assert list(field_lines.pairs(left)) == [field for field in fields if field[0].lower() not in names]
    assert pieces == field_lines.of(fields)
