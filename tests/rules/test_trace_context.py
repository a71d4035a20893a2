"""W3C Trace Context, level 2: the cases of the W3C's own suite (w3c/trace-context, test/test.py), and more.

Its cases about the header's name and its letter case are tests of whoever finds the fields: tests/wire has them.
"""

from __future__ import annotations

import re
from string import ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.trace_context import Trace, join

RANDOM = bytes(range(1, 25))
NEW_ID = RANDOM[:16].hex()
OUR_ID = RANDOM[16:].hex()
ID = "12345678901234567890123456789012"
PARENT = b"00-12345678901234567890123456789012-1234567890123456-00"

WIRE_FORM = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")


def joined(*traceparents: bytes, state: tuple[bytes, ...] = (), sampled: bool = True) -> Trace:
    return join(list(traceparents), list(state), RANDOM, sampled)


def kept_state(*tracestates: bytes) -> bytes:
    trace = joined(PARENT, state=tracestates)
    assert trace.trace_id == ID, "a tracestate never spoils the traceparent"
    return trace.tracestate


# Beginning a trace


@pytest.mark.parametrize(("sampled", "flags"), [(True, b"03"), (False, b"02")])
def test_a_new_trace_is_random_and_sampled_as_told(sampled: bool, flags: bytes) -> None:
    trace = joined(sampled=sampled)
    assert trace == Trace(NEW_ID, f"00-{NEW_ID}-{OUR_ID}-".encode() + flags, b"")


def test_a_tracestate_without_a_traceparent_is_dropped() -> None:
    assert joined(state=(b"foo=1",)).tracestate == b""
    assert joined(state=(b"foo=1,bar=2",)).tracestate == b""


def test_ids_are_never_all_zeros() -> None:
    assert WIRE_FORM.fullmatch(join([], [], bytes(24), True).traceparent)
    assert WIRE_FORM.fullmatch(join([PARENT], [], bytes(24), True).traceparent)


# traceparent


def test_the_trace_is_kept_and_the_parent_is_ours() -> None:
    trace = joined(b"00-12345678901234567890123456789012-1234567890123456-01")
    assert trace == Trace(ID, f"00-{ID}-{OUR_ID}-01".encode(), b"")


@pytest.mark.parametrize(
    ("came", "goes"),
    [(b"00", b"00"), (b"01", b"01"), (b"02", b"02"), (b"03", b"03"), (b"04", b"00"), (b"09", b"01"), (b"ff", b"03")],
)
@pytest.mark.parametrize("sampled", [True, False])
def test_sampled_and_random_are_propagated_and_other_flags_are_zeroed(
    came: bytes, goes: bytes, sampled: bool
) -> None:
    for version in (b"00", b"cc"):
        value = version + b"-12345678901234567890123456789012-1234567890123456-" + came
        assert joined(value, sampled=sampled).traceparent == f"00-{ID}-{OUR_ID}-".encode() + goes


@pytest.mark.parametrize(
    "value",
    [
        b"cc-12345678901234567890123456789012-1234567890123456-01",
        b"01-12345678901234567890123456789012-1234567890123456-01",
        b"fe-12345678901234567890123456789012-1234567890123456-01",
        b"cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        b"cc-12345678901234567890123456789012-1234567890123456-01-",
        b"cc-12345678901234567890123456789012-1234567890123456-01-\xff\x7f",
    ],
)
def test_later_versions_are_read_by_their_first_four_fields_and_go_on_as_ours(value: bytes) -> None:
    assert joined(value).traceparent == f"00-{ID}-{OUR_ID}-01".encode()


@pytest.mark.parametrize(
    "value",
    [
        b" 00-12345678901234567890123456789012-1234567890123456-01",
        b"\t00-12345678901234567890123456789012-1234567890123456-01",
        b"00-12345678901234567890123456789012-1234567890123456-01 ",
        b"00-12345678901234567890123456789012-1234567890123456-01\t",
        b"\t 00-12345678901234567890123456789012-1234567890123456-01 \t",
    ],
)
def test_whitespace_round_the_field_is_not_part_of_it(value: bytes) -> None:
    assert joined(value).trace_id == ID


MALFORMED = {
    "empty": b"",
    "trailing, version 00": b"00-12345678901234567890123456789012-1234567890123456-01.",
    "more fields, version 00": PARENT + b"-what-the-future-will-be-like",
    "trailing dash, version 00": b"00-12345678901234567890123456789012-1234567890123456-01-",
    "later version, no dash": b"cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
    "later version, short": b"cc-12345678901234567890123456789012-1234567890123456-0",
    "version ff": b"ff-12345678901234567890123456789012-1234567890123456-01",
    "version .0": b".0-12345678901234567890123456789012-1234567890123456-01",
    "version 0.": b"0.-12345678901234567890123456789012-1234567890123456-01",
    "version 000": b"000-12345678901234567890123456789012-1234567890123456-01",
    "version 0000": b"0000-12345678901234567890123456789012-1234567890123456-01",
    "version 0": b"0-12345678901234567890123456789012-1234567890123456-01",
    "version CC": b"CC-12345678901234567890123456789012-1234567890123456-01",
    "trace-id zero": b"00-00000000000000000000000000000000-1234567890123456-01",
    "trace-id .": b"00-.2345678901234567890123456789012-1234567890123456-01",
    "trace-id . last": b"00-1234567890123456789012345678901.-1234567890123456-01",
    "trace-id long": b"00-123456789012345678901234567890123-1234567890123456-01",
    "trace-id short": b"00-1234567890123456789012345678901-1234567890123456-01",
    "trace-id upper": b"00-1234567890123456789012345678901A-1234567890123456-01",
    "parent-id zero": b"00-12345678901234567890123456789012-0000000000000000-01",
    "parent-id .": b"00-12345678901234567890123456789012-.234567890123456-01",
    "parent-id . last": b"00-12345678901234567890123456789012-123456789012345.-01",
    "parent-id long": b"00-12345678901234567890123456789012-12345678901234567-01",
    "parent-id short": b"00-12345678901234567890123456789012-123456789012345-01",
    "parent-id upper": b"00-12345678901234567890123456789012-123456789012345A-01",
    "flags .0": b"00-12345678901234567890123456789012-1234567890123456-.0",
    "flags 0.": b"00-12345678901234567890123456789012-1234567890123456-0.",
    "flags long": b"00-12345678901234567890123456789012-1234567890123456-001",
    "flags short": b"00-12345678901234567890123456789012-1234567890123456-1",
    "flags upper": b"00-12345678901234567890123456789012-1234567890123456-0A",
    "newline": b"00-12345678901234567890123456789012-1234567890123456-01\n",
    "two in one": PARENT + b"," + PARENT,
}


@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_traceparent_begins_a_new_trace_without_state(value: bytes) -> None:
    trace = joined(value, state=(b"foo=1",), sampled=False)
    assert trace == Trace(NEW_ID, f"00-{NEW_ID}-{OUR_ID}-02".encode(), b"")


def test_a_repeated_traceparent_is_malformed_even_if_both_are_equal() -> None:
    other = b"00-12345678901234567890123456789011-1234567890123456-01"
    assert joined(other, PARENT, state=(b"foo=1",)).trace_id == NEW_ID
    assert joined(PARENT, PARENT).trace_id == NEW_ID


# tracestate

KEY = ascii_lowercase + digits + "_-*/"
VALUE = "".join(map(chr, [*range(0x20, 0x2C), *range(0x2D, 0x3D), *range(0x3E, 0x7F)]))


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ((b"foo=1,bar=2",), b"foo=1,bar=2"),
        ((b"",), b""),
        ((b"foo=1", b""), b"foo=1"),
        ((b"", b"foo=1"), b"foo=1"),
        ((b" \t , ,",), b""),
        ((b"foo=1,,bar=2,",), b"foo=1,bar=2"),
        ((b"foo=1,bar=2", b"rojo=1,congo=2", b"baz=3"), b"foo=1,bar=2,rojo=1,congo=2,baz=3"),
        ((f"{KEY}={VALUE}".encode(),), f"{KEY}={VALUE}".encode()),
        ((f"{KEY}@a-z0-9_-*/={VALUE}".encode(),), f"{KEY}@a-z0-9_-*/={VALUE}".encode()),
        ((b"foo=1 \t , \t bar=2, \t baz=3",), b"foo=1,bar=2,baz=3"),
        ((b"foo=1\t \t,\t \tbar=2,\t \tbaz=3",), b"foo=1,bar=2,baz=3"),
        ((b" foo=1",), b"foo=1"),
        ((b"\tfoo=1",), b"foo=1"),
        ((b"foo=1 ",), b"foo=1"),
        ((b"foo=1\t",), b"foo=1"),
        ((b"\t foo=1 \t",), b"foo=1"),
        ((b"foo=  1  ",), b"foo=  1"),  # spaces before a value belong to it
        ((b"1foo=1",), b"1foo=1"),
        # Level 2: `@` is a character of a key like any other.
        ((b"foo@=1,bar=2",), b"foo@=1,bar=2"),
        ((b"foo@@bar=1,bar=2",), b"foo@@bar=1,bar=2"),
        ((b"foo@bar@baz=1,bar=2",), b"foo@bar@baz=1,bar=2"),
        ((b"foo=1", b"z" * 256 + b"=1"), b"foo=1," + b"z" * 256 + b"=1"),
        ((b"foo=1", b"t" * 241 + b"@" + b"v" * 14 + b"=1"), b"foo=1," + b"t" * 241 + b"@" + b"v" * 14 + b"=1"),
        ((b"foo=1", b"t" * 242 + b"@v=1"), b"foo=1," + b"t" * 242 + b"@v=1"),
        ((b"foo=1", b"t@" + b"v" * 15 + b"=1"), b"foo=1,t@" + b"v" * 15 + b"=1"),
        ((b"foo=" + b"v" * 256,), b"foo=" + b"v" * 256),
    ],
)
def test_a_well_formed_tracestate_goes_on_as_one_field(came: tuple[bytes, ...], goes: bytes) -> None:
    assert kept_state(*came) == goes


@pytest.mark.parametrize(
    "came",
    [
        (b"foo=1,foo=1",),
        (b"foo=1,foo=2",),
        (b"foo=1", b"foo=1"),
        (b"foo=1", b"foo=2"),
        (b"foo =1",),
        (b"FOO=1",),
        (b"foo.bar=1",),
        (b"@foo=1,bar=2",),
        (b"_foo=1",),
        (b"=1",),
        (b"foo",),
        (b"foo=1", b"z" * 257 + b"=1"),
        (b"foo=1", b"t" * 243 + b"@" + b"v" * 14 + b"=1"),
        (b"foo=bar=baz",),
        (b"foo=,bar=3",),
        (b"foo=a\tb",),
        (b"foo=\x7f",),
        (b"foo=\xc3\xa9",),
        (b"foo=" + b"v" * 257,),
    ],
)
def test_a_malformed_tracestate_is_dropped_whole(came: tuple[bytes, ...]) -> None:
    assert kept_state(*came) == b""


def test_thirty_two_members_pass_and_thirty_three_do_not() -> None:
    members = [b"bar%02d=%02d" % (n, n) for n in range(1, 34)]
    fields = [b",".join(members[n : n + 10]) for n in range(0, 32, 10)]
    assert kept_state(*fields[:3], b",".join(members[30:32])) == b",".join(members[:32])
    assert kept_state(*fields[:3], b",".join(members[30:33])) == b""
    assert kept_state(b",".join(members[:32]) + b",,,") == b",".join(members[:32])


def test_a_field_of_nothing_but_commas_is_not_worked_through() -> None:
    assert kept_state(b"foo=1" + b"," * 60_000) == b""


# Properties


@given(
    trace_id=st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda s: s.strip("0")),
    parent=st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda s: s.strip("0")),
    flags=st.integers(0, 255),
    random24=st.binary(min_size=24, max_size=24),
    keys=st.lists(st.from_regex(r"[a-z0-9][a-z0-9_*/@-]{0,20}", fullmatch=True), unique=True, max_size=32),
    value=st.from_regex(r"[ -+\--<>-~]{0,20}[!-+\--<>-~]", fullmatch=True),
)
def test_round_trip(trace_id: str, parent: str, flags: int, random24: bytes, keys: list[str], value: str) -> None:
    """What we send is what another participant joins: same trace, same flags, same state."""
    state = ",".join(f"{key}={value}" for key in keys).encode()
    first = join([f"00-{trace_id}-{parent}-{flags:02x}".encode()], [state], random24, True)
    assert first.trace_id == trace_id
    assert first.tracestate == state
    assert first.traceparent[-2:] == b"%02d" % (flags & 3)
    second = join([first.traceparent], [first.tracestate], RANDOM, False)
    assert (second.trace_id, second.tracestate) == (trace_id, state)
    assert second.traceparent == f"00-{trace_id}-{OUR_ID}-{flags & 3:02x}".encode()


@given(
    st.lists(st.binary(max_size=70) | st.just(PARENT), max_size=3),
    st.lists(st.binary(max_size=70) | st.sampled_from([b"a=1", b"b=2,c=3"]), max_size=3),
    st.binary(min_size=24, max_size=24),
    st.booleans(),
)
def test_whatever_comes_what_goes_is_well_formed(
    traceparents: list[bytes], tracestates: list[bytes], random24: bytes, sampled: bool
) -> None:
    trace = join(traceparents, tracestates, random24, sampled)
    assert WIRE_FORM.fullmatch(trace.traceparent)
    assert trace.traceparent[3:35].decode() == trace.trace_id
    again = join([trace.traceparent], [trace.tracestate], random24, sampled)
    assert again.tracestate == trace.tracestate
    if traceparents != [PARENT]:
        assert trace.trace_id != ID
        assert trace.tracestate == b""
