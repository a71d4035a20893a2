"""Vary: RFC 9111, section 4.1."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import vary
from gateway.rules.vary import Values, Variants


def fields(*pairs: tuple[bytes, bytes]) -> Values:
    def values(name: bytes) -> Sequence[bytes]:
        return [value for found, value in pairs if found.lower() == name]

    return values


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], ()),
        ([b""], ()),
        ([b"Foo"], (b"foo",)),
        ([b"Foo, bar ,\tFOO,", b"Baz"], (b"bar", b"baz", b"foo")),
        ([b"*"], None),
        ([b"*, *"], None),
        ([b"*", b"*"], None),
        ([b", *"], None),
        ([b"", b"*"], None),
        ([b"*, Foo"], None),
        ([b"Foo, *"], None),
        ([b"Foo Bar"], None),
        ([b"\xff"], None),
        ([b",".join(b"x%d" % number for number in range(33))], None),
    ],
)
def test_the_fields_nominated(values: list[bytes], found: tuple[bytes, ...] | None) -> None:
    assert vary.names(values) == found


# What the cache-tests suite calls normalisation, and what must stay apart.
@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        (b"foo", [b"1, 2"], [b"1", b"2"], True),
        (b"foo", [b"1,2"], [b" 1, 2 "], True),
        (b"foo", [b"1,,2,"], [b"1 ,\t, 2 ,"], True),
        (b"foo", [b"1,2"], [b"2,1"], False),
        (b"foo", [b"1 2"], [b"12"], False),
        (b"foo", [b"a"], [b"A"], False),
        (b"foo", [], [b""], False),
        (b"foo", [b'"1, 2"'], [b'"1,2"'], False),
        (b"cookie", [b"a=1, 2"], [b"a=1,2"], False),
        (b"cookie", [b"a=1", b"b=2"], [b"a=1; b=2"], True),
        (b"user-agent", [b"(KHTML, like)"], [b"(KHTML,like)"], False),
        (b"accept-language", [b"en, de"], [b"eN, De"], True),
        (b"accept-language", [b"en, de"], [b" en ,   de"], True),
        (b"accept-language", [b"fr;q=0.5, de"], [b"de;q=1.0,fr;q=0.50"], True),
        (b"accept-language", [b"en, de"], [b"de, en"], False),  # the first one wins with many a server
        (b"accept-language", [b"en;q=0.5"], [b"en;q=0.6"], False),
        (b"accept-language", [b"en;q=2"], [b"en"], False),
        (b"accept-encoding", [b"gzip, br"], [b"BR,x-gzip;q=1"], True),
        (b"accept-encoding", [b"gzip, br;q=0"], [b"gzip"], False),
        (b"accept-encoding", [b"gzip, br;q=0.5"], [b"br;q=0.500 , gzip"], True),
        (b"accept-encoding", [b"gzip;q=0, gzip"], [b"gzip, gzip;q=0"], False),
        (b"accept-encoding", [b""], [], False),
        (b"accept-encoding", [b""], [b"identity"], False),
        (b"accept-encoding", [b"gzip;x=1"], [b"gzip"], False),
    ],
)
def test_which_fields_match(name: bytes, one: list[bytes], other: list[bytes], same: bool) -> None:
    assert (vary.normal(name, one) == vary.normal(name, other)) == same


names = st.sampled_from([b"a", b"b", b"accept-encoding", b"accept-language", b"cookie"])
requests = st.dictionaries(names, st.lists(st.binary(max_size=5), max_size=3))


@given(st.lists(st.binary(), max_size=3), requests)
def test_no_bytes_are_an_error(values: list[bytes], request: dict[bytes, list[bytes]]) -> None:
    nominated = vary.names(values)
    assert nominated is None or list(nominated) == sorted(set(nominated))
    vary.secondary((b"a", b"accept-encoding", b"accept-language", b"cookie"), lambda name: request.get(name, []))


@given(requests, requests, st.lists(names, unique=True))
def test_keys_are_equal_just_when_every_nominated_field_is(
    one: dict[bytes, list[bytes]], other: dict[bytes, list[bytes]], nominated: list[bytes]
) -> None:
    key = tuple(sorted(nominated))
    same = all(vary.normal(name, one.get(name, [])) == vary.normal(name, other.get(name, [])) for name in key)
    assert (
        vary.secondary(key, lambda name: one.get(name, [])) == vary.secondary(key, lambda name: other.get(name, []))
    ) == same


def test_a_long_key_is_digested() -> None:
    long = vary.secondary((b"foo",), fields((b"Foo", b"x" * 1000)))
    assert len(long) == 33
    assert long != vary.secondary((b"foo",), fields((b"Foo", b"x" * 1001)))


def foo(value: bytes) -> Values:
    return fields((b"Foo", value))


def test_variants_are_found_by_the_request() -> None:
    variants: Variants[str] = Variants()
    assert variants.find(foo(b"1")) is None
    assert variants.put((b"foo",), foo(b"1"), "one") == []
    assert variants.put((b"foo",), foo(b"2"), "two") == []
    assert [variants.find(foo(value)) for value in (b"1", b"2", b"3")] == ["one", "two", None]
    assert variants.find(fields()) is None
    assert variants.put((b"foo",), foo(b"1"), "new") == ["one"]
    assert variants.find(foo(b"1")) == "new"
    assert len(variants) == 2


def test_one_with_a_vary_goes_before_one_without_and_the_latest_before_others() -> None:
    variants: Variants[str] = Variants()
    variants.put((b"foo",), foo(b"1"), "foo")
    variants.put((), foo(b"1"), "any")
    assert variants.find(foo(b"1")) == "foo"
    assert variants.find(foo(b"2")) == "any"
    variants.put((b"bar", b"foo"), foo(b"1"), "both")
    assert variants.find(foo(b"1")) == "both"
    assert variants.remove(variants.all()[-1])
    assert variants.find(foo(b"1")) == "foo"
    assert not variants.remove("both")


def test_what_would_be_replaced_and_the_latest_names() -> None:
    variants: Variants[str] = Variants()
    assert (variants.get((), fields()), variants.latest()) == (None, ())
    variants.put((), fields(), "any")
    variants.put((b"foo",), foo(b"1"), "one")
    variants.put((b"bar",), foo(b"1"), "bar")
    assert [variants.get((b"foo",), foo(value)) for value in (b"1", b"2")] == ["one", None]
    assert variants.latest() == (b"bar",)
    assert variants.all()[-1] == "bar"
    variants.put((b"foo",), foo(b"1"), "new")
    assert variants.latest() == (b"foo",)
    assert variants.remove("new")
    assert variants.latest() == (b"bar",)


def test_variants_are_bounded_and_the_unused_go_first() -> None:
    variants: Variants[int] = Variants(3)
    for number in range(3):
        variants.put((b"foo",), foo(b"%d" % number), number)
    assert variants.find(foo(b"0")) == 0
    assert variants.put((b"foo",), foo(b"3"), 3) == [1]
    assert sorted(variants.all()) == [0, 2, 3]


def test_different_vary_fields_are_bounded() -> None:
    variants: Variants[int] = Variants()
    gone = [variants.put((b"f%d" % number,), fields(), number) for number in range(10)]
    assert gone[:8] == [[]] * 8
    assert gone[8:] == [[0], [1]]


actions = st.tuples(st.sampled_from([(), (b"foo",), (b"bar",), (b"bar", b"foo")]), st.sampled_from(b"123"))


@given(st.lists(actions, max_size=30), st.integers(1, 5))
def test_nothing_is_lost_and_nothing_kept_twice(stored: list[tuple[tuple[bytes, ...], int]], most: int) -> None:
    variants: Variants[int] = Variants(most)
    alive: set[int] = set()
    for number, (nominated, value) in enumerate(stored):
        alive.add(number)
        alive -= set(variants.put(nominated, foo(bytes([value])), number))
        assert variants.find(foo(bytes([value]))) is not None
        assert sorted(variants.all()) == sorted(alive)
        assert len(variants) <= most
