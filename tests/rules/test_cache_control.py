"""Cache-Control as RFC 9111, section 5.2, has it read: tolerantly, and strictly wherever it is doubtful."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.cache_control import (
    ANYTHING,
    LONGEST,
    SILENT,
    RequestDirectives,
    ResponseDirectives,
    delta_seconds,
    request,
    response,
    targeted,
)

Said = ResponseDirectives
Asked = RequestDirectives


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], SILENT),
        ([b""], SILENT),
        ([b"max-age=3600"], Said(max_age=3600)),
        ([b"MaX-aGe=3600"], Said(max_age=3600)),
        ([b" public ,\tmax-age=003600 , "], Said(max_age=3600, public=True)),
        ([b",,max-age=1,,no-store"], Said(max_age=1, no_store=True)),
        ([b"No-StOrE"], Said(no_store=True)),
        ([b"no-store=foo"], Said(no_store=True)),
        ([b'no-store="foo"'], Said(no_store=True)),
        ([b"s-maxage=2, proxy-revalidate"], Said(s_maxage=2, proxy_revalidate=True)),
        (
            [b"must-understand, no-store, immutable, no-transform, must-revalidate"],
            Said(must_understand=True, no_store=True, immutable=True, no_transform=True, must_revalidate=True),
        ),
        (
            [b"max-age=600, stale-while-revalidate=30, stale-if-error=1200"],
            Said(max_age=600, stale_while_revalidate=30, stale_if_error=1200),
        ),
        # Several lines are one list (RFC 9110, section 5.3).
        ([b"max-age=5", b"private"], Said(max_age=5, private=True)),
        # Token and quoted string.
        ([b'max-age="3600"'], Said(max_age=3600)),
        ([b'max-age="36\\00"'], Said(max_age=3600)),
        # What is no number of seconds makes stale (section 4.2.1).
        ([b"max-age"], Said(max_age=0)),
        ([b"max-age="], Said(max_age=0)),
        ([b"max-age='3600'"], Said(max_age=0)),
        ([b"max-age=3600.0"], Said(max_age=0)),
        ([b"max-age=-1"], Said(max_age=0)),
        ([b"max-age=a3600"], Said(max_age=0)),
        ([b"max-age=3600a"], Said(max_age=0)),
        ([b"max-age=3600;x"], Said(max_age=0)),
        ([b"max-age =3600"], Said(max_age=0)),
        ([b"max-age= 3600"], Said(max_age=0)),
        ([b"max-age=\xb2"], Said(max_age=0)),
        # Too many seconds are many seconds (section 1.2.2).
        ([b"max-age=2147483647"], Said(max_age=2**31 - 1)),
        ([b"max-age=2147483649"], Said(max_age=LONGEST)),
        ([b"max-age=99999999999"], Said(max_age=LONGEST)),
        ([b"max-age=" + b"9" * 10_000], Said(max_age=LONGEST)),
        # The first of two counts, a bad one too.
        ([b"max-age=3600, max-age=1"], Said(max_age=3600)),
        ([b"max-age=1", b"max-age=3600"], Said(max_age=1)),
        ([b"max-age=x, max-age=3600"], Said(max_age=0)),
        # What is quoted is no directive.
        ([b'extension="max-age=3600", max-age=1'], Said(max_age=1)),
        ([b'max-age="1", extension="max-age=3600"'], Said(max_age=1)),
        ([b'a="b\\", no-store", max-age=1'], Said(max_age=1)),
        ([b'a="b, no-store", max-age=1'], Said(max_age=1)),
        # A string without an end hides nothing.
        ([b'a="b, no-store, max-age=1'], Said(no_store=True, max_age=1)),
        ([b'a="b', b'no-store"'], SILENT._replace(no_store=True)),
        # Of fields, or of all.
        ([b"private"], Said(private=True)),
        ([b'private="Set-Cookie , X-A"'], Said(private_fields=frozenset({b"set-cookie", b"x-a"}))),
        ([b"private=x-a"], Said(private_fields=frozenset({b"x-a"}))),
        ([b'no-cache="a, b"', b'no-cache="c"'], Said(no_cache_fields=frozenset({b"a", b"b", b"c"}))),
        ([b'no-cache="a", no-cache'], Said(no_cache=True, no_cache_fields=frozenset({b"a"}))),
        ([b'no-cache=""'], Said(no_cache=True)),
        ([b"no-cache="], Said(no_cache=True)),
        ([b'no-cache="a b"'], Said(no_cache=True)),
        ([b'private="a,,b"'], Said(private=True)),
        ([b'private="a'], Said(private=True)),
        # Nobody knows them.
        ([b"foobar, community=UCI, no-storeroom, xno-store, max-agee=3"], SILENT),
    ],
)
def test_responses(lines: list[bytes], said: ResponseDirectives) -> None:
    assert response(lines) == said
    assert response(lines) == said  # remembered


@pytest.mark.parametrize(
    ("lines", "pragma", "asked"),
    [
        ([], [], ANYTHING),
        ([b"no-cache"], [], Asked(no_cache=True)),
        ([b"no-cache=x"], [], Asked(no_cache=True)),
        ([b"max-age=0, no-transform"], [], Asked(max_age=0, no_transform=True)),
        ([b"max-age=soon"], [], Asked(max_age=0)),
        ([b"max-stale"], [], Asked(max_stale=LONGEST)),
        ([b"max-stale=5"], [], Asked(max_stale=5)),
        ([b"max-stale=x"], [], Asked(max_stale=0)),
        ([b"max-stale="], [], Asked(max_stale=0)),
        ([b"min-fresh=5, only-if-cached"], [], Asked(min_fresh=5, only_if_cached=True)),
        ([b"no-store", b"stale-if-error=60"], [], Asked(no_store=True, stale_if_error=60)),
        ([b"s-maxage=5, private"], [], ANYTHING),
        ([], [b"no-cache"], Asked(no_cache=True)),
        ([], [b'x="a", No-Cache'], Asked(no_cache=True)),
        ([], [b"x", b"no-cache,y"], Asked(no_cache=True)),
        ([], [b"no-cached"], ANYTHING),
        # Cache-Control, where there is one, says all (section 5.4).
        ([b"max-age=5"], [b"no-cache"], Asked(max_age=5)),
    ],
)
def test_requests(lines: list[bytes], pragma: list[bytes], asked: RequestDirectives) -> None:
    assert request(lines, pragma) == asked


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], None),
        ([b""], None),
        ([b"max-age=60"], Said(max_age=60)),
        ([b"max-age=60;x=1, no-store=?0, public"], Said(max_age=60, public=True)),
        ([b"max-age=60", b"max-age=5"], Said(max_age=5)),
        ([b"no-store"], Said(no_store=True)),
        ([b"foobar"], SILENT),
        ([b'private="a, B"'], Said(private_fields=frozenset({b"a", b"b"}))),
        ([b"no-cache=set-cookie"], Said(no_cache_fields=frozenset({b"set-cookie"}))),
        ([b"private, no-cache=(a b)"], Said(private=True, no_cache=True)),
        ([b"no-cache=5"], Said(no_cache=True)),
        ([b"max-age=99999999999"], Said(max_age=LONGEST)),
        # Well-formed, and not of a time's type: stale.
        ([b'max-age="60"'], Said(max_age=0)),
        ([b"max-age=60.0"], Said(max_age=0)),
        ([b"max-age=-60"], Said(max_age=0)),
        ([b"max-age"], Said(max_age=0)),
        # Not well-formed: as if it were not there.
        ([b"max-age=60,"], None),
        ([b"MaX-aGe=60"], None),
        ([b"max-age= 60"], None),
        ([b"max-age=60, &"], None),
    ],
)  # fmt: skip
def test_targeted(lines: list[bytes], said: ResponseDirectives | None) -> None:
    assert targeted(lines) == said


WORDS = st.sampled_from(
    [b"max-age", b"no-cache", b"private", b"=", b"=", b",", b", ", b'"', b"\\", b" ", b"0", b"77", b"x", b"\xff"]
)  # fmt: skip
LINES = st.lists(st.lists(WORDS, max_size=20).map(b"".join) | st.binary(max_size=60), max_size=3)


@given(LINES)
def test_no_bytes_raise(lines: list[bytes]) -> None:
    for said in (response(lines), targeted(lines) or SILENT):
        for seconds in (said.max_age, said.s_maxage, said.stale_while_revalidate, said.stale_if_error):
            assert seconds is None or 0 <= seconds <= LONGEST
        assert b"" not in said.private_fields | said.no_cache_fields
    asked = request(lines, lines)
    for seconds in (asked.max_age, asked.max_stale, asked.min_fresh, asked.stale_if_error):
        assert seconds is None or 0 <= seconds <= LONGEST


@given(LINES, LINES)
def test_nothing_written_beside_it_hides_no_store_on_its_own_line(before: list[bytes], after: list[bytes]) -> None:
    assert response([*before, b"no-store", *after]).no_store
    assert response([*before, b"private", *after]).private


@pytest.mark.parametrize("seconds", [0, 1, 59, LONGEST - 1, LONGEST])
def test_seconds(seconds: int) -> None:
    assert delta_seconds(b"%d" % seconds) == delta_seconds(b"000%d" % seconds) == seconds
    assert delta_seconds(b"+%d" % seconds) is delta_seconds(b"1_%d" % seconds) is None


@pytest.mark.parametrize(
    "line", [b'a="\\' * 20_000, b'a="' * 20_000, b"a=" * 20_000, b" " * 60_000, b'a="x" ' * 9_000]
)
def test_a_long_line_takes_linear_time(line: bytes) -> None:
    """It would take minutes if it did not."""
    response([line])
    targeted([line])
