"""Preconditions at a cache: RFC 9110, section 13, and RFC 9111, section 4.3."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import conditional, field_lines, http_date
from gateway.rules.conditional import Validators, Values, Verdict

NOW = 1_700_000_000
OLD = b"Sat, 29 Oct 1994 19:43:31 GMT"
OLD_850 = b"Saturday, 29-Oct-94 19:43:31 GMT"
OLD_SECONDS = 783459811


def fields(*pairs: tuple[bytes, bytes]) -> Values:
    def values(name: bytes) -> Sequence[bytes]:
        return [value for found, value in pairs if found.lower() == name]

    return values


def stored(etag: bytes | None = b'"a"', modified: bytes | None = OLD, status: int = 200) -> Validators:
    pairs = [(b"Date", http_date.render(NOW))]
    if etag is not None:
        pairs.append((b"ETag", etag))
    if modified is not None:
        pairs.append((b"Last-Modified", modified))
    return conditional.validators(status, fields(*pairs), NOW)


def verdict(*pairs: tuple[bytes, bytes], of: Validators | None = None, method: bytes = b"GET") -> Verdict:
    return conditional.evaluate(method, fields(*pairs), of or stored(), NOW)


def test_without_conditions_the_whole_answers() -> None:
    assert verdict() is Verdict.WHOLE


# RFC 9110, section 8.8.3.2, weak comparison.
@pytest.mark.parametrize(
    ("listed", "etag", "matched"),
    [
        (b'W/"1"', b'W/"1"', True),
        (b'W/"1"', b'W/"2"', False),
        (b'W/"1"', b'"1"', True),
        (b'"1"', b'W/"1"', True),
        (b'"1"', b'"1"', True),
        (b'"xyzzy", "r2d2xxxx", "c3piozzzz"', b'"c3piozzzz"', True),
        (b'W/"xyzzy", W/"r2d2xxxx", W/"c3piozzzz"', b'"r2d2xxxx"', True),
        (b',, "x" ,\t"y",', b'"y"', True),
        (b'"a,b"', b'"a"', False),
        (b'"x,", "a"', b'"a"', True),
        (b"*", None, True),
        (b'"a"', None, False),
        (b'"\xfc"', b'"\xfc"', True),
        (b"abc", b"abc", True),  # an origin's own malformed tag, repeated
        (b"abc", b'"abc"', False),
        (b'"b" "a"', b'"a"', False),
        (b'junk, "a"', b'"a"', False),
        (b'"a"junk', b'"a"', False),
        (b'w/"a"', b'"a"', False),
        (b"", b'""', False),
        (b'*, "b"', b'"a"', False),
    ],
)
def test_if_none_match(listed: bytes, etag: bytes | None, matched: bool) -> None:
    expected = Verdict.NOT_MODIFIED if matched else Verdict.WHOLE
    assert verdict((b"If-None-Match", listed), of=stored(etag)) is expected


def test_if_none_match_on_several_lines() -> None:
    assert verdict((b"If-None-Match", b'"x"'), (b"If-None-Match", b'"a"')) is Verdict.NOT_MODIFIED


@pytest.mark.parametrize(
    ("since", "unmodified"),
    [
        (OLD, True),
        (OLD_850, True),
        (b"Sat, 29 Oct 1994 19:43:32 GMT", True),
        (b"Sat, 29 Oct 1994 19:43:30 GMT", False),
        (b"Sat, 29 Oct 1994 19:43:31 +0000", False),
        (b"0", False),
    ],
)
def test_if_modified_since(since: bytes, unmodified: bool) -> None:
    expected = Verdict.NOT_MODIFIED if unmodified else Verdict.WHOLE
    assert verdict((b"If-Modified-Since", since)) is expected
    assert verdict((b"If-Modified-Since", since), method=b"HEAD") is expected


def test_if_modified_since_does_not_count_beside_if_none_match_nor_twice() -> None:
    assert verdict((b"If-None-Match", b'"b"'), (b"If-Modified-Since", OLD)) is Verdict.WHOLE
    assert verdict((b"If-None-Match", b"junk"), (b"If-Modified-Since", OLD)) is Verdict.WHOLE
    early = b"Sat, 29 Oct 1990 19:43:31 GMT"
    assert verdict((b"If-None-Match", b'"a"'), (b"If-Modified-Since", early)) is Verdict.NOT_MODIFIED
    assert verdict((b"If-Modified-Since", OLD), (b"If-Modified-Since", OLD)) is Verdict.WHOLE


def test_without_last_modified_the_date_counts_and_then_when_it_came() -> None:
    undated = Validators(200, None, None, None, None, NOW)
    for of in (stored(None, None), undated):
        assert verdict((b"If-Modified-Since", http_date.render(NOW)), of=of) is Verdict.NOT_MODIFIED
        assert verdict((b"If-Modified-Since", http_date.render(NOW - 1)), of=of) is Verdict.WHOLE


def test_if_match_and_if_unmodified_since_are_the_origins() -> None:
    assert verdict((b"If-Match", b'"a"')) is Verdict.FORWARD
    assert verdict((b"If-Unmodified-Since", OLD)) is Verdict.FORWARD
    assert verdict((b"If-Unmodified-Since", b"yesterday")) is Verdict.WHOLE


def test_no_success_is_answered_as_it_stands() -> None:
    assert verdict((b"If-None-Match", b"*"), of=stored(status=404)) is Verdict.WHOLE
    assert verdict((b"If-None-Match", b'"a"'), of=stored(status=301)) is Verdict.WHOLE
    assert verdict((b"If-None-Match", b"*"), method=b"POST") is Verdict.WHOLE


@pytest.mark.parametrize(
    ("condition", "etag", "part"),
    [
        (b'"a"', b'"a"', True),
        (b'"b"', b'"a"', False),
        (b'W/"a"', b'W/"a"', False),  # strong comparison: section 8.8.3.2
        (b'W/"a"', b'"a"', False),
        (b'"a"', b'W/"a"', False),
        (OLD, b'"a"', True),
        (OLD_850, b'"a"', True),
        (b"Sat, 29 Oct 1994 19:43:32 GMT", b'"a"', False),
        (b"a", b"a", False),
        (b"", b'"a"', False),
        (b'"a', b'"a', False),
    ],
)
def test_if_range(condition: bytes, etag: bytes, part: bool) -> None:
    expected = Verdict.PART if part else Verdict.WHOLE
    assert verdict((b"Range", b"bytes=0-1"), (b"If-Range", condition), of=stored(etag)) is expected


def test_a_date_that_may_be_weak_is_no_if_range() -> None:
    same_second = stored(modified=http_date.render(NOW))
    pairs = ((b"Range", b"bytes=0-1"), (b"If-Range", http_date.render(NOW)))
    assert verdict(*pairs, of=same_second) is Verdict.WHOLE


def test_a_range_is_for_get_of_a_200_and_after_the_other_conditions() -> None:
    asked = (b"Range", b"bytes=0-1")
    assert verdict(asked) is Verdict.PART
    assert verdict(asked, method=b"HEAD") is Verdict.WHOLE
    assert verdict(asked, of=stored(status=203)) is Verdict.WHOLE
    assert verdict(asked, (b"If-None-Match", b'"a"')) is Verdict.NOT_MODIFIED
    assert verdict((b"If-Range", b'"a"')) is Verdict.WHOLE


def test_the_fields_of_a_304() -> None:
    whole = field_lines.of(
        [
            (b"Content-Type", b"text/plain"),
            (b"Content-Location", b"/a"),
            (b"Date", b"d"),
            (b"ETag", b'"a"'),
            (b"Vary", b"Accept"),
            (b"Cache-Control", b"max-age=1"),
            (b"Expires", b"e"),
            (b"Content-length", b"3"),
            (b"Last-Modified", OLD),
            (b"Access-Control-Allow-Origin", b"*"),
        ]
    )
    left = field_lines.names(conditional.not_modified(whole))
    assert left == [
        b"content-location",
        b"date",
        b"etag",
        b"vary",
        b"cache-control",
        b"expires",
        b"access-control-allow-origin",
    ]
    untagged = conditional.not_modified(field_lines.of([(b"Last-Modified", OLD), (b"Content-Type", b"a/b")]))
    assert untagged == field_lines.of([(b"Last-Modified", OLD)])


REQUEST = field_lines.of(
    [
        (b"Abc", b"123"),
        (b"If-None-Match", b'"client"'),
        (b"If-Modified-Since", b"x"),
        (b"Range", b"bytes=0-1"),
        (b"IF-RANGE", b'"client"'),
    ]
)


def test_the_caches_own_validators_take_the_place_of_the_clients() -> None:
    asked = conditional.asking(REQUEST, [stored()])
    assert asked == field_lines.of([(b"Abc", b"123"), (b"If-None-Match", b'"a"'), (b"If-Modified-Since", OLD)])
    asked = conditional.asking(REQUEST, [stored(), stored(b'W/"b"'), stored(), stored(None)])
    assert asked == field_lines.of([(b"Abc", b"123"), (b"If-None-Match", b'"a", W/"b"')])
    assert conditional.asking(REQUEST, [stored(None, b"junk")]) == conditional.unconditional(REQUEST)
    assert conditional.asking([], [stored(b"bare", None)]) == field_lines.of([(b"If-None-Match", b"bare")])
    assert not conditional.can_ask(stored(None, b"junk"))
    assert conditional.can_ask(stored(None))


def test_what_is_asked_about_is_bounded() -> None:
    many = conditional.asking([], [stored(b'"%d"' % number) for number in range(200)])
    assert many[2].count(b",") == conditional.MOST_TAGS - 1
    long = conditional.asking([], [stored(b'"%04000d"' % number) for number in range(5)])
    assert long[2].count(b",") == 0


def test_a_validator_that_comes_twice_is_none() -> None:
    twice = fields((b"ETag", b'"a"'), (b"ETag", b'"b"'), (b"Last-Modified", OLD), (b"Last-Modified", OLD))
    assert conditional.validators(200, twice, NOW) == Validators(200, None, None, None, None, NOW)
    assert stored().modified == OLD_SECONDS


@given(st.lists(st.binary(), min_size=1, max_size=3), st.one_of(st.none(), st.binary(min_size=1)))
def test_no_bytes_are_an_error(values: list[bytes], etag: bytes | None) -> None:
    of = Validators(200, etag, None, None, None, NOW)
    for name in conditional.CONDITIONS:
        pairs = [(name, value) for value in values]
        assert isinstance(verdict(*pairs, (b"range", b"bytes=0-"), of=of), Verdict)


opaque = st.text("ab,\\ W/'", max_size=4).map(lambda text: b'"%b"' % text.replace(" ", "").encode())
tag = st.builds(lambda weak, text: (b"W/" if weak else b"") + text, st.booleans(), opaque)


@given(st.lists(tag, max_size=5), tag, st.sampled_from([b",", b", ", b" ,\t", b",,"]))
def test_a_list_matches_what_is_in_it(tags: list[bytes], etag: bytes, comma: bytes) -> None:
    among = conditional.opaque(etag) in map(conditional.opaque, tags)
    assert conditional.matches([comma.join(tags)], etag) == among
