"""Freshness and age as RFC 9111, section 4.2, has them, and what may be done with a stale response."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.cache_control import ANYTHING, LONGEST, RequestDirectives, ResponseDirectives, request, response
from gateway.rules.freshness import (
    BY_DEFAULT,
    NO_LEEWAY,
    Freshness,
    Leeway,
    Source,
    Use,
    age_field,
    decide,
    decide_on_error,
    initial_age,
    judge,
)
from gateway.rules.http_date import render

NOW = 1_800_000_000
DAY = 86_400
ORIGIN, ROUTE, GUESS, NONE = Source.ORIGIN, Source.ROUTE, Source.GUESS, Source.NONE


def at(offset: int) -> list[bytes]:
    return [render(NOW + offset)]


def judged(cache_control: bytes = b"", status: int = 200, **more: Any) -> Freshness:
    times = {"asked": float(NOW), "received": float(NOW)} | more
    return judge(status, response([cache_control] if cache_control else []), **times)


@pytest.mark.parametrize(
    ("cache_control", "fields", "lifetime", "source"),
    [
        (b"max-age=3600", {}, 3600, ORIGIN),
        (b"max-age=0, s-maxage=3600", {"expires": at(-10)}, 3600, ORIGIN),
        (b"max-age=3600, s-maxage=1", {}, 1, ORIGIN),
        (b"max-age=99999999999", {}, LONGEST, ORIGIN),
        (b"max-age=bad", {"expires": at(3600)}, 0, ORIGIN),
        (b"max-age=3600", {"expires": at(-7200), "date": at(0)}, 3600, ORIGIN),
        (b"max-age=0", {"expires": at(7200), "date": at(0)}, 0, ORIGIN),
        (b"", {"expires": at(3600), "date": at(0)}, 3600, ORIGIN),
        (b"", {"expires": at(3600), "date": at(-60)}, 3660, ORIGIN),
        (b"", {"expires": at(0), "date": at(0)}, 0, ORIGIN),
        (b"", {"expires": at(300), "date": at(400)}, 0, ORIGIN),
        (b"", {"expires": at(10)}, 10, ORIGIN),
        (b"", {"expires": at(10), "date": [b"foo"]}, 10, ORIGIN),
        (b"", {"expires": [b"0"], "date": at(0), "last_modified": at(-DAY)}, 0, ORIGIN),
        (b"", {"expires": [b"Fri, 01 Jan 9999 00:00:00 GMT"]}, LONGEST, ORIGIN),
        (b"", {"expires": [*at(10), *at(500)]}, 10, ORIGIN),
        (b"", {"last_modified": at(-DAY), "date": at(0)}, DAY // 10, GUESS),
        (b"", {"last_modified": at(-DAY)}, DAY // 10, GUESS),
        (b"", {"last_modified": at(-100 * DAY)}, DAY, GUESS),
        (b"", {"last_modified": at(-100 * DAY), "longest_guess": 60}, 60, GUESS),
        (b"", {"last_modified": at(10)}, 0, NONE),
        (b"", {"last_modified": [b"yesterday"]}, 0, NONE),
        (b"", {}, 0, NONE),
        (b"public", {}, 0, NONE),
        # The route's, where the origin says nothing.
        (b"", {"leeway": Leeway(ttl=60), "last_modified": at(-DAY)}, 60, ROUTE),
        (b"public", {"leeway": Leeway(ttl=60)}, 60, ROUTE),
        (b"max-age=5", {"leeway": Leeway(ttl=60)}, 5, ORIGIN),
        (b"", {"leeway": Leeway(ttl=60), "expires": [b"0"]}, 0, ORIGIN),
        (b"no-cache", {"leeway": Leeway(ttl=60)}, 0, NONE),
        (b"max-age=5, no-cache", {"leeway": Leeway(ttl=60, override=True)}, 60, ROUTE),
        (b"s-maxage=5", {"leeway": Leeway(ttl=60, override=True), "expires": [b"0"]}, 60, ROUTE),
        (b"max-age=5", {"leeway": Leeway(override=True)}, 5, ORIGIN),
        (b"", {"status": 404, "leeway": Leeway(ttl=60)}, 0, NONE),
        (b"", {"status": 404, "leeway": Leeway(ttl=60, negative_ttl=3)}, 3, ROUTE),
        (b"max-age=9", {"status": 404, "leeway": Leeway(ttl=60, negative_ttl=3, override=True)}, 9, ORIGIN),
        (b"", {"status": 500, "leeway": Leeway(ttl=60, negative_ttl=3)}, 0, NONE),
        (b"", {"status": 302, "leeway": Leeway(ttl=60)}, 0, NONE),
        (b"public", {"status": 302, "leeway": Leeway(ttl=60)}, 60, ROUTE),
    ],
)
def test_lifetimes(cache_control: bytes, fields: dict[str, Any], lifetime: int, source: Source) -> None:
    found = judged(cache_control, **fields)
    assert (found.lifetime, found.source) == (lifetime, source)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 302, 403, 404, 405, 410, 414, 501, 502, 503, 504, 599])
def test_guesses_are_for_statuses_stored_by_default_or_public(status: int) -> None:
    guess = judged(b"", status, last_modified=at(-DAY))
    assert guess.source is (GUESS if status in BY_DEFAULT else NONE)
    assert judged(b"public", status, last_modified=at(-DAY)).source is GUESS


@pytest.mark.parametrize(
    ("lines", "age"),
    [
        ([], 0), ([b"0"], 0), ([b"30"], 30), ([b"9" * 30], LONGEST), ([b"abc"], LONGEST), ([b"-7200"], LONGEST),
        ([b"7200.0"], LONGEST), ([b"7200,0"], LONGEST), ([b"7200", b"0"], LONGEST), ([b"0", b"7200"], LONGEST),
        ([b"0, 0"], LONGEST), ([b"0;foo=111"], LONGEST), ([b""], LONGEST),
    ],
)  # fmt: skip
def test_an_age_field(lines: list[bytes], age: int) -> None:
    assert age_field(lines) == age


def test_the_arithmetic_of_section_4_2_3() -> None:
    # apparent_age by Date; corrected_age_value by Age and the delay; the larger of the two.
    assert initial_age(0, NOW - 7200, NOW, NOW) == 7200
    assert initial_age(30, NOW - 10, NOW - 2, NOW) == 32
    assert initial_age(0, NOW + 50, NOW, NOW) == 0  # the origin's clock is fast
    assert initial_age(0, None, NOW - 3, NOW) == 3
    assert initial_age(0, NOW, NOW + 0.2, NOW + 0.9) == pytest.approx(0.7)
    stored = judged(b"max-age=600", age=[b"30"], date=at(0))
    assert stored.age(NOW + 5) == 35
    assert stored.left(NOW + 5) == 565
    assert stored.age(NOW - 5) == 30  # the clock went back
    assert judged(expires=at(10), date=at(-10), age=[b"25"]).left(NOW) < 0
    assert judged(expires=at(20), date=at(10), age=[b"15"]).left(NOW) < 0


ROUTES = Leeway(stale_while_revalidate=20, stale_if_error=100, stale_if_unreachable=200)


@pytest.mark.parametrize(
    ("said", "asked", "age", "use"),
    [
        (b"max-age=60", b"", 59, Use.FRESH),
        (b"max-age=60", b"", 60, Use.VALIDATE),
        (b"max-age=60, no-cache", b"max-stale", 1, Use.VALIDATE),
        (b'max-age=60, no-cache="a"', b"", 1, Use.FRESH),
        (b"max-age=60, must-revalidate", b"", 59, Use.FRESH),
        # The request's.
        (b"max-age=60", b"no-cache", 1, Use.VALIDATE),
        (b"max-age=60", b"no-store", 1, Use.FRESH),
        (b"max-age=60", b"max-age=0", 0, Use.VALIDATE),
        (b"max-age=60", b"max-age=10", 10, Use.FRESH),
        (b"max-age=60", b"max-age=10", 11, Use.VALIDATE),
        (b"max-age=60", b"min-fresh=10", 50, Use.FRESH),
        (b"max-age=60", b"min-fresh=10", 51, Use.VALIDATE),
        (b"max-age=60", b"max-stale=10", 70, Use.STALE),
        (b"max-age=60", b"max-stale=10", 71, Use.VALIDATE),
        (b"max-age=60", b"max-stale", 10**8, Use.STALE),
        (b"max-age=60", b"max-stale, min-fresh=1", 61, Use.VALIDATE),
        (b"max-age=60, must-revalidate", b"max-stale", 61, Use.VALIDATE),
        (b"max-age=60, proxy-revalidate", b"max-stale", 61, Use.VALIDATE),
        (b"s-maxage=60", b"max-stale", 61, Use.VALIDATE),
        (b"max-age=60", b"only-if-cached", 59, Use.FRESH),
        (b"max-age=60", b"only-if-cached", 61, Use.REFUSE),
        (b"max-age=60", b"only-if-cached, max-stale", 61, Use.STALE),
        # While it is validated.
        (b"max-age=60, stale-while-revalidate=30", b"", 89, Use.STALE_REVALIDATE),
        (b"max-age=60, stale-while-revalidate=30", b"", 90, Use.VALIDATE),
        (b"max-age=60, stale-while-revalidate=30", b"max-stale=5", 66, Use.VALIDATE),
        (b"max-age=60, stale-while-revalidate=30", b"max-age=70", 71, Use.VALIDATE),
        (b"max-age=60, stale-while-revalidate=30, must-revalidate", b"", 61, Use.VALIDATE),
        (b"max-age=60, stale-while-revalidate=30, proxy-revalidate", b"", 61, Use.VALIDATE),
        (b"s-maxage=60, stale-while-revalidate=30", b"", 61, Use.STALE_REVALIDATE),
    ],
)
def test_decisions(said: bytes, asked: bytes, age: int, use: Use) -> None:
    assert decide(judged(said), request([asked] if asked else []), NOW + age) is use


@pytest.mark.parametrize(
    ("said", "leeway", "graces"),
    [
        (b"max-age=60", NO_LEEWAY, (0, 0, 0)),
        (b"max-age=60", ROUTES, (20, 100, 200)),
        (b"max-age=60, stale-while-revalidate=0, stale-if-error=5", ROUTES, (0, 5, 200)),
        (b"max-age=60, must-revalidate, stale-if-error=5", ROUTES, (0, 0, 0)),
        (b"max-age=60, proxy-revalidate", ROUTES, (0, 0, 0)),
        (b"max-age=60, no-cache", ROUTES, (0, 0, 0)),
        (b"s-maxage=60", ROUTES, (0, 0, 0)),
        (b"s-maxage=60, stale-while-revalidate=7, stale-if-error=8", ROUTES, (7, 8, 0)),
        (b"s-maxage=60, stale-if-error=8", ROUTES._replace(ttl=1, override=True), (20, 100, 200)),
        (b"must-revalidate", ROUTES._replace(ttl=1, override=True), (0, 0, 0)),
    ],
)
def test_who_allows_how_stale(said: bytes, leeway: Leeway, graces: tuple[int, int, int]) -> None:
    assert judged(said, leeway=leeway)[-3:] == graces


@pytest.mark.parametrize(
    ("said", "asked", "age", "on_answer", "unreachable"),
    [
        (b"max-age=60", b"", 159, True, True),
        (b"max-age=60", b"", 160, False, True),
        (b"max-age=60", b"", 260, False, False),
        (b"max-age=60, stale-if-error=5", b"", 64, True, True),
        (b"max-age=60, stale-if-error=5", b"", 65, False, True),
        (b"max-age=60, stale-if-error=5", b"stale-if-error=50", 100, True, True),
        (b"max-age=60, must-revalidate", b"stale-if-error=50", 61, False, False),
        (b"max-age=60, proxy-revalidate", b"", 61, False, False),
        (b"max-age=60, no-cache", b"", 1, False, False),
        (b"s-maxage=60", b"", 61, False, False),
        (b"max-age=60", b"no-cache", 1, False, False),
        (b"max-age=60", b"max-age=0", 1, False, False),
        (b"max-age=60", b"max-stale=5", 66, False, False),
        (b"max-age=60", b"min-fresh=100", 1, True, True),
    ],
)
def test_errors(said: bytes, asked: bytes, age: int, on_answer: bool, unreachable: bool) -> None:
    stored, wanted = judged(said, leeway=ROUTES), request([asked] if asked else [])
    assert decide_on_error(stored, wanted, NOW + age, unreachable=False) is on_answer
    assert decide_on_error(stored, wanted, NOW + age, unreachable=True) is unreachable


def test_a_soft_purge_makes_stale_and_no_more() -> None:
    stored = judged(b"max-age=60, stale-while-revalidate=30, stale-if-error=90")
    aged = stored.aged(NOW + 10)
    assert decide(aged, ANYTHING, NOW + 10) is Use.STALE_REVALIDATE
    assert decide(aged, ANYTHING, NOW + 50) is Use.VALIDATE
    assert decide_on_error(aged, ANYTHING, NOW + 50, unreachable=False)
    assert stored.aged(NOW + 100) == stored


SECONDS = st.none() | st.integers(0, 5) | st.integers(0, LONGEST)
TIMES = st.integers(-5, 5) | st.integers(0, 2 * LONGEST)
DATES = st.lists(
    st.integers(-10_000, 10_000).map(lambda offset: render(NOW + offset)) | st.binary(max_size=9), max_size=2
)
SAID = st.builds(
    ResponseDirectives,
    max_age=SECONDS,
    s_maxage=SECONDS,
    stale_while_revalidate=SECONDS,
    stale_if_error=SECONDS,
    no_cache=st.booleans(),
    public=st.booleans(),
    must_revalidate=st.booleans(),
    proxy_revalidate=st.booleans(),
)
WANTED = st.builds(
    RequestDirectives,
    max_age=SECONDS,
    max_stale=SECONDS,
    min_fresh=SECONDS,
    stale_if_error=SECONDS,
    no_cache=st.booleans(),
    only_if_cached=st.booleans(),
)
STORED = st.builds(
    judge,
    st.sampled_from([200, 204, 302, 404, 500]),
    SAID,
    asked=st.floats(NOW - 50, NOW + 1),
    received=st.just(float(NOW)),
    age=st.lists(st.integers(0, 99).map(lambda age: b"%d" % age) | st.binary(max_size=3), max_size=2),
    date=DATES,
    expires=DATES,
    last_modified=DATES,
    leeway=st.builds(
        Leeway,
        ttl=SECONDS,
        negative_ttl=SECONDS,
        override=st.booleans(),
        stale_while_revalidate=st.integers(0, 9),
        stale_if_error=st.integers(0, 9),
        stale_if_unreachable=st.integers(0, 9),
    ),
)


@given(STORED, TIMES, TIMES)
def test_ages_only_grow(stored: Freshness, first: int, then: int) -> None:
    early, late = sorted((NOW + first, NOW + then))
    assert 0 <= stored.lifetime <= LONGEST
    assert 0 <= stored.initial_age <= stored.age(early) <= stored.age(late)
    assert stored.left(early) >= stored.left(late)
    assert min(stored[-3:]) >= 0


@given(STORED, WANTED, TIMES)
def test_what_is_stale_is_used_only_where_somebody_allowed_it(
    stored: Freshness, wanted: RequestDirectives, when: int
) -> None:
    now = NOW + when
    use = decide(stored, wanted, now)
    assert (use is Use.REFUSE) <= wanted.only_if_cached
    assert not (use is Use.VALIDATE and wanted.only_if_cached)
    if use in (Use.FRESH, Use.STALE, Use.STALE_REVALIDATE):
        assert not stored.validate
        assert not wanted.no_cache
        assert wanted.max_age is None or stored.age(now) <= wanted.max_age
        assert (use is Use.FRESH) == (stored.left(now) > 0)
    if use is Use.STALE:
        assert not stored.firm
        assert wanted.max_stale is not None
    if use is Use.STALE_REVALIDATE:
        assert stored.stale_while_revalidate > 0


@given(STORED, WANTED, TIMES, TIMES)
def test_time_never_makes_usable_again(stored: Freshness, wanted: RequestDirectives, first: int, then: int) -> None:
    early, late = sorted((NOW + first, NOW + then))
    order = [Use.FRESH, Use.STALE_REVALIDATE, Use.STALE, Use.VALIDATE, Use.REFUSE]
    assert order.index(decide(stored, wanted, early)) <= order.index(decide(stored, wanted, late))
    for unreachable in (False, True):
        assert decide_on_error(stored, wanted, early, unreachable=unreachable) >= decide_on_error(
            stored, wanted, late, unreachable=unreachable
        )


@given(SAID.map(lambda said: said._replace(must_revalidate=True)), WANTED, st.integers(0, 10**6))
def test_must_revalidate_is_never_used_stale(said: ResponseDirectives, wanted: RequestDirectives, when: int) -> None:
    stored = judge(200, said, asked=NOW, received=NOW, leeway=ROUTES)
    if stored.left(NOW + when) <= 0:
        assert decide(stored, wanted, NOW + when) in (Use.VALIDATE, Use.REFUSE)
        assert not decide_on_error(stored, wanted, NOW + when, unreachable=True)
