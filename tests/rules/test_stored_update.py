"""Updates and invalidation of stored responses: RFC 9111, sections 3.2, 4.3.4, 4.3.5 and 4.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import field_lines, stored_update
from gateway.rules.conditional import Validators
from gateway.rules.stored_update import HeadEffect

NOW = 1_700_000_000


def having(etag: bytes | None = None, modified: int | None = None, date: int = NOW, status: int = 200) -> Validators:
    return Validators(status, etag, b"a date" if modified is not None else None, modified, date, date)


def test_a_strong_tag_selects_all_that_have_it_and_nothing_else() -> None:
    asked = [having(b'"a"'), having(b'"b"', 5), having(b'W/"a"'), having(b'"a"')]
    assert stored_update.selected(having(b'"a"'), asked) == [0, 3]
    assert stored_update.selected(having(b'"c"', 5), asked) == []
    assert stored_update.selected(having(b'"c"'), [having(b'"a"')]) == []


def test_an_origin_that_makes_up_tags_may_be_trusted() -> None:
    assert stored_update.selected(having(b'"c"'), [having(b'"a"')], trust_the_answer=True) == [0]
    assert stored_update.selected(having(b'"c"'), [having(b'"a"'), having(b'"b"')], trust_the_answer=True) == []


def test_a_strong_date_selects_all_that_have_it() -> None:
    asked = [having(None, 5), having(None, 6), having(b'"a"', 5)]
    assert stored_update.selected(having(None, 5), asked) == [0, 2]
    assert stored_update.selected(having(None, 7), asked) == []


def test_a_weak_validator_selects_the_latest_that_has_it() -> None:
    asked = [having(b'W/"a"', date=1), having(b'"a"', date=3), having(b'W/"a"', date=2), having(b'"b"', date=4)]
    assert stored_update.selected(having(b'W/"a"'), asked) == [1]
    assert stored_update.selected(having(b'W/"c"'), asked) == []
    same_second = [having(None, 5, date=9), having(None, 5, date=8)]
    assert stored_update.selected(having(None, 5, date=5), same_second) == [0]


def test_no_validator_selects_the_only_one() -> None:
    assert stored_update.selected(having(), [having()]) == [0]
    assert stored_update.selected(having(), [having(b'"a"')]) == [0]
    assert stored_update.selected(having(), [having(), having()]) == []
    assert stored_update.selected(having(), []) == []


def fields(**values: bytes) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value) for name, value in values.items()]


def update(stored: list[tuple[bytes, bytes]], new: list[tuple[bytes, bytes]], *excepted: bytes) -> list[object]:
    after = stored_update.updated(field_lines.of(stored), field_lines.of(new), frozenset(excepted))
    return list(field_lines.pairs(after))


def test_fields_replace_those_of_their_name_in_their_place() -> None:
    stored = [(b"A", b"1"), (b"B", b"1"), (b"a", b"2"), (b"C", b"1")]
    new = [(b"D", b"1"), (b"a", b"3"), (b"A", b"4")]
    assert update(stored, new) == [(b"a", b"3"), (b"A", b"4"), (b"B", b"1"), (b"C", b"1"), (b"D", b"1")]


# The names of the cache-tests suite.
@pytest.mark.parametrize(
    "name",
    [
        b"Test-Header", b"X-Content-Foo", b"Cache-Control", b"Content-Location", b"Content-Security-Policy",
        b"Content-Type", b"Clear-Site-Data", b"Expires", b"Public-Key-Pins", b"Set-Cookie", b"X-Frame-Options",
        b"X-XSS-Protection", b"Date", b"Vary", b"Last-Modified", b"Age",
    ],
)  # fmt: skip
def test_fields_that_are_updated(name: bytes) -> None:
    assert update([(name, b"old")], [(name, b"new")]) == [(name, b"new")]
    assert update([], [(name, b"new")]) == [(name, b"new")]


@pytest.mark.parametrize("name", [b"Content-Encoding", b"Content-Length", b"Content-MD5", b"Content-Range", b"ETag"])
def test_fields_that_stay(name: bytes) -> None:
    assert update([(name, b"old")], [(name.lower(), b"new")]) == [(name, b"old")]


@pytest.mark.parametrize(
    "name",
    [
        b"Connection", b"Keep-Alive", b"Proxy-Authenticate", b"Proxy-Authentication-Info", b"Proxy-Authorization",
        b"Proxy-Connection", b"TE", b"Transfer-Encoding", b"Upgrade", b"Content-Length",
    ],
)  # fmt: skip
def test_fields_that_are_not_added(name: bytes) -> None:
    assert update([(b"X", b"1")], [(name, b"new")]) == [(b"X", b"1")]


def test_fields_that_connection_lists_and_qualified_ones_are_not_updated() -> None:
    new = [(b"Connection", b"a, close"), (b"A", b"2"), (b"B", b"2"), (b"C", b"2")]
    assert update(fields(a=b"1", b=b"1", c=b"1"), new, b"c") == [(b"a", b"1"), (b"B", b"2"), (b"c", b"1")]


def test_an_age_goes_with_the_message_that_it_came_with() -> None:
    assert update(fields(Age=b"100", X=b"1"), fields(Date=b"d")) == [(b"X", b"1"), (b"Date", b"d")]


def test_a_tag_may_come_to_one_that_had_none() -> None:
    assert update([], [(b"ETag", b'W/"a"')]) == [(b"ETag", b'W/"a"')]


@pytest.mark.parametrize(
    ("new", "length", "effect"),
    [
        (having(b'"a"', 5), 10, HeadEffect.UPDATE),
        (having(), None, HeadEffect.UPDATE),
        (having(b'"b"', 5), 10, HeadEffect.STALE),
        (having(b'"a"', 6), 10, HeadEffect.STALE),
        (having(b'"a"', 5), 11, HeadEffect.STALE),
    ],
)
def test_after_head(new: Validators, length: int | None, effect: HeadEffect) -> None:
    assert stored_update.after_head(200, new, length, having(b'"a"', 5), 10) is effect
    assert stored_update.after_head(410, new, length, having(b'"a"', 5), 10) is HeadEffect.NOTHING


def invalidated(*locations: bytes, method: bytes = b"POST", status: int = 200) -> list[tuple[bytes, bytes]]:
    return stored_update.invalidated(method, status, b"http", b"a.example", b"/x/y", b"?q", list(locations))


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"M-SEARCH", b"get"])
def test_what_an_unsafe_method_invalidates(method: bytes) -> None:
    for status in (200, 204, 303, 399):
        assert invalidated(method=method, status=status) == [(b"/x/y", b"?q")]
    for status in (101, 199, 400, 500):
        assert invalidated(method=method, status=status) == []


def test_safe_methods_invalidate_nothing() -> None:
    for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE"):
        assert invalidated(b"/z", method=method) == []


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/z", (b"/z", b"")),
        (b"z?a=1#f", (b"/x/z", b"?a=1")),
        (b"../z", (b"/z", b"")),
        (b"?r", (b"/x/y", b"?r")),
        (b"http://A.example:80/z", (b"/z", b"")),
        (b"HTTP://a.example", (b"/", b"")),
        (b"//a.example/z?", (b"/z", b"?")),
        (b"#f", None),
        (b"", None),
        (b"http://b.example/z", None),
        (b"https://a.example/z", None),
        (b"http://a.example:81/z", None),
        (b"http://user@a.example/z", None),
        (b"//b.example/z", None),
        (b"http:/z", None),
        (b"mailto:a@a.example", None),
        (b"/a b", None),
        (b"/" * 9000, None),
    ],
)
def test_locations_of_the_same_origin(location: bytes, target: tuple[bytes, bytes] | None) -> None:
    expected = [(b"/x/y", b"?q")] + ([target] if target is not None else [])
    assert invalidated(location) == expected


@given(st.lists(st.one_of(st.binary(), st.text("/.:?#a%").map(str.encode)), max_size=3))
def test_no_bytes_are_an_error(locations: list[bytes]) -> None:
    for path, query in invalidated(*locations):
        assert path.startswith(b"/")
        assert query[:1] in (b"", b"?")


lines = st.lists(
    st.tuples(st.sampled_from([b"A", b"a", b"Age", b"ETag", b"Content-Length", b"Connection"]), st.binary(max_size=3))
)


@given(lines, lines)
def test_what_an_update_leaves(stored: list[tuple[bytes, bytes]], new: list[tuple[bytes, bytes]]) -> None:
    after = update(stored, new)
    assert {pair for pair in stored if pair[0] == b"Content-Length"} <= set(after)
    assert all(pair in stored or pair in new for pair in after)
    assert update(after, new) == after  # type: ignore[arg-type]
