"""What a shared cache stores, and whom it answers (RFC 9111, 3 and 3.5): one user's page is never another's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.cache_control import RequestDirectives, ResponseDirectives, request, response
from gateway.rules.cache_key import CacheKey
from gateway.rules.freshness import BY_DEFAULT, NO_LEEWAY, Freshness, Leeway, Source, judge
from gateway.rules.http_date import render
from gateway.rules.storable import (
    DEFAULT,
    UNDERSTOOD,
    Answer,
    Asker,
    Sharing,
    Verdict,
    Why,
    may_answer,
    may_ask,
    may_keep,
    may_store,
    other_cookies,
    personal,
)

NOW = 1_800_000_000
ROUTE = Leeway(ttl=60)
OVERRIDE = Leeway(ttl=60, override=True)
YESTERDAY = [render(NOW - 86_400)]

ANYBODY = Asker()
SIGNED_IN = Asker(cookie=True)
AUTHORIZED = Asker(authorization=True)
BY_COOKIE = Sharing(key_fields=frozenset({b"cookie"}))
BY_CREDENTIAL = Sharing(key_fields=frozenset({b"authorization"}))
SHARED = Sharing(shared_between_callers=True)


def times(
    asker: Asker,
    said: ResponseDirectives,
    sharing: Sharing,
    leeway: Leeway = NO_LEEWAY,
    *,
    status: int = 200,
    modified: bool = False,
) -> Freshness:
    """As a cache does it: the route's times are not for what may be one caller's own."""
    own = personal(asker, sharing)
    lines = YESTERDAY if modified else []
    return judge(status, said, asked=NOW, received=NOW, last_modified=lines, leeway=NO_LEEWAY if own else leeway)


def verdict(
    cache_control: bytes,
    asker: Asker = ANYBODY,
    answer: Answer | None = None,
    sharing: Sharing = DEFAULT,
    leeway: Leeway = NO_LEEWAY,
) -> Verdict:
    said = response([cache_control])
    answer = (answer or Answer())._replace(said=said)
    return may_store(asker, answer, times(asker, said, sharing, leeway, status=answer.status), sharing)


@pytest.mark.parametrize(
    ("cache_control", "asker", "answer", "why"),
    [
        (b"max-age=60", ANYBODY, Answer(), None),
        (b"max-age=60", Asker(b"HEAD"), Answer(), None),
        (b"max-age=60", Asker(b"POST"), Answer(), Why.METHOD),
        (b"max-age=60", Asker(b"get"), Answer(), Why.METHOD),
        (b"max-age=60, no-store", ANYBODY, Answer(), Why.NO_STORE),
        (b"max-age=60", Asker(wanted=request([b"no-store"])), Answer(), Why.REQUEST_NO_STORE),
        (b"max-age=60, private", ANYBODY, Answer(), Why.PRIVATE),
        (b"max-age=60", ANYBODY, Answer(206), Why.PARTIAL),
        (b"max-age=60", ANYBODY, Answer(304), Why.PARTIAL),
        (b"max-age=60", ANYBODY, Answer(416), Why.PARTIAL),
        (b"max-age=60", ANYBODY, Answer(200, content_range=True), Why.PARTIAL),
        (b"max-age=60", ANYBODY, Answer(103), Why.STATUS),
        (b"max-age=60", ANYBODY, Answer(600), Why.STATUS),
        (b"max-age=60", ANYBODY, Answer(200, vary_any=True), Why.VARY),
        (b"max-age=60", ANYBODY, Answer(200, set_cookie=True), Why.SET_COOKIE),
        (b"max-age=60", ANYBODY, Answer(200, length=2**20), None),
        (b"max-age=60", ANYBODY, Answer(200, length=2**20 + 1), Why.TOO_LARGE),
        # Any final status with a time (section 3); must-understand asks for more.
        (b"max-age=60", ANYBODY, Answer(599), None),
        (b"max-age=60, must-understand", ANYBODY, Answer(599), Why.STATUS),
        (b"max-age=60, must-understand, no-store", ANYBODY, Answer(200), None),
        (b"max-age=60, must-understand, no-store", ANYBODY, Answer(599), Why.STATUS),
        # Something must allow it, and it must be of some use.
        (b"", ANYBODY, Answer(200), Why.NO_FRESHNESS),
        (b"", ANYBODY, Answer(200, validator=True), None),
        (b"", ANYBODY, Answer(503, validator=True), Why.NO_FRESHNESS),
        (b"public", ANYBODY, Answer(503, validator=True), None),
        (b"max-age=0", ANYBODY, Answer(), Why.NO_FRESHNESS),
        (b"max-age=0, stale-if-error=9", ANYBODY, Answer(), None),
        (b"max-age=60, no-cache", ANYBODY, Answer(), Why.NO_FRESHNESS),
        (b"max-age=60, no-cache", ANYBODY, Answer(validator=True), None),
        # Authorization (section 3.5).
        (b"max-age=60", AUTHORIZED, Answer(), Why.AUTHORIZATION),
        (b"max-age=60, proxy-revalidate", AUTHORIZED, Answer(), Why.AUTHORIZATION),
        (b"max-age=60, public", AUTHORIZED, Answer(), None),
        (b"max-age=60, must-revalidate", AUTHORIZED, Answer(), None),
        (b"s-maxage=60", AUTHORIZED, Answer(), None),
        # With a cookie only the origin's word counts.
        (b"max-age=60", SIGNED_IN, Answer(), None),
        (b"", SIGNED_IN, Answer(validator=True), Why.PERSONAL),
        (b"public", SIGNED_IN, Answer(validator=True), None),
    ],
)
def test_what_is_stored(cache_control: bytes, asker: Asker, answer: Answer, why: Why | None) -> None:
    assert verdict(cache_control, asker, answer).why_not is why


@pytest.mark.parametrize(
    ("cache_control", "set_cookie", "found"),
    [
        (b'max-age=60, private="X-A"', False, Verdict(None, frozenset({b"x-a"}))),
        (b'max-age=60, no-cache="set-cookie"', True, Verdict(None, frozenset({b"set-cookie"}))),
        (b'max-age=60, private="a", no-cache="b"', False, Verdict(None, frozenset({b"a", b"b"}))),
        (b'max-age=60, private="a"', True, Verdict(Why.SET_COOKIE)),
        (b'max-age=60, private="Vary"', False, Verdict(Why.PRIVATE)),
        (b'max-age=60, private="a", private', False, Verdict(Why.PRIVATE)),
        (b'max-age=60, private=""', False, Verdict(Why.PRIVATE)),
    ],
)
def test_named_fields_are_left_out(cache_control: bytes, set_cookie: bool, found: Verdict) -> None:
    assert verdict(cache_control, answer=Answer(set_cookie=set_cookie)) == found


@pytest.mark.parametrize("leeway", [ROUTE, OVERRIDE])
@pytest.mark.parametrize(
    ("asker", "sharing", "why"),
    [
        (ANYBODY, DEFAULT, None),
        (SIGNED_IN, DEFAULT, Why.PERSONAL),
        (AUTHORIZED, DEFAULT, Why.AUTHORIZATION),
        (SIGNED_IN, BY_COOKIE, None),
        (AUTHORIZED, BY_CREDENTIAL, None),
        (AUTHORIZED, BY_COOKIE, Why.AUTHORIZATION),
        (SIGNED_IN, BY_CREDENTIAL, Why.PERSONAL),
        (Asker(authorization=True, cookie=True), BY_CREDENTIAL, Why.PERSONAL),
        (Asker(authorization=True, cookie=True), SHARED, None),
    ],
)
def test_a_routes_ttl_is_not_for_one_callers_own(leeway: Leeway, asker: Asker, sharing: Sharing, why: Why) -> None:
    """Neither what a caller gets is stored by it, nor is the caller answered with what was stored by it."""
    answer = Answer(validator=True)
    assert verdict(b"", asker, answer, sharing, leeway).why_not is why
    for_anybody = times(ANYBODY, answer.said, sharing, leeway)
    assert for_anybody.source is Source.ROUTE
    assert may_answer(asker, answer.said, for_anybody, sharing) is why


@pytest.mark.parametrize(
    ("cache_control", "asker", "why"),
    [
        (b"max-age=60", ANYBODY, None),
        (b"max-age=60", SIGNED_IN, None),
        (b"max-age=60", AUTHORIZED, Why.AUTHORIZATION),
        (b"max-age=60, public", AUTHORIZED, None),
        (b"s-maxage=60", AUTHORIZED, None),
        (b"max-age=60, must-revalidate", AUTHORIZED, None),
        (b"max-age=60, public", Asker(b"DELETE"), Why.METHOD),
    ],
)
def test_whom_a_stored_response_answers(cache_control: bytes, asker: Asker, why: Why | None) -> None:
    said = response([cache_control])
    assert may_answer(asker, said, times(ANYBODY, said, DEFAULT)) is why


def test_a_guess_is_not_for_one_callers_own() -> None:
    guessed = times(ANYBODY, response([]), DEFAULT, modified=True)
    assert guessed.source is Source.GUESS
    assert may_answer(SIGNED_IN, response([]), guessed) is Why.PERSONAL
    assert may_answer(ANYBODY, response([]), guessed) is None


def test_public_does_not_make_a_routes_ttl_the_origins_word() -> None:
    said = response([b"public"])
    stored = times(ANYBODY, said, DEFAULT, ROUTE)
    assert may_answer(SIGNED_IN, said, stored) is may_answer(AUTHORIZED, said, stored) is Why.PERSONAL
    assert may_answer(SIGNED_IN, said, times(ANYBODY, said, DEFAULT, modified=True)) is None


def test_post_is_stored_where_the_route_says_so_and_only_what_came_of_it() -> None:
    sharing = Sharing(methods=frozenset({b"GET", b"POST"}))
    posted = Asker(b"POST")
    assert may_ask(posted, sharing) is None
    assert verdict(b"", posted, sharing=sharing, leeway=ROUTE).why_not is None
    assert verdict(b"max-age=60", posted, Answer(404), sharing).why_not is Why.STATUS
    assert verdict(b"max-age=60", ANYBODY, Answer(404), sharing).why_not is None


def test_set_cookie_is_stored_where_the_route_says_so() -> None:
    assert verdict(b"max-age=60", answer=Answer(set_cookie=True), sharing=Sharing(set_cookie=True)).why_not is None


@pytest.mark.parametrize(
    ("size", "complete", "length", "why"),
    [
        (5, True, 5, None),
        (5, True, None, None),
        (0, True, 0, None),
        (5, False, None, Why.INCOMPLETE),
        (5, True, 6, Why.INCOMPLETE),
        (2**20, True, None, None),
        (2**20 + 1, True, None, Why.TOO_LARGE),
    ],
)
def test_what_came_is_kept(size: int, complete: bool, length: int | None, why: Why | None) -> None:
    assert may_keep(size=size, complete=complete, length=length) is why


@pytest.mark.parametrize(
    ("lines", "held", "other"),
    [
        ([], [], False),
        ([b"session=1"], [], True),
        ([b"session=1"], [b"session"], False),
        ([b"session=1; session=2", b" session = 3 ;"], [b"session"], False),
        ([b"session=1; theme=dark"], [b"session"], True),
        ([b"session=1; theme=dark"], [b"session", b"theme"], False),
        ([b"session=1", b"theme=dark"], [b"session"], True),
        ([b"Session=1"], [b"session"], True),
        ([b"session"], [b"session"], True),
        ([b"=1"], [b"session"], True),
        ([b'session="a; b"'], [b"session"], True),
        ([b""], [b"session"], False),
        ([b""], [], True),
    ],
)
def test_a_key_with_some_cookies_is_not_one_with_all(lines: list[bytes], held: list[bytes], other: bool) -> None:
    assert other_cookies(lines, Sharing(key_cookies=frozenset(held))) is other
    assert not other_cookies(lines, Sharing(frozenset(), frozenset({b"cookie"}), key_cookies=frozenset(held)))


PAIRS = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c", b" a"]), st.sampled_from([b"", b"1", b"2"])), max_size=4
)


@given(PAIRS, PAIRS, st.frozensets(st.sampled_from([b"a", b"b"])))
def test_requests_that_are_not_personal_share_a_key_only_with_the_same_cookies(
    one: list[tuple[bytes, bytes]], two: list[tuple[bytes, bytes]], held: frozenset[bytes]
) -> None:
    """What the two rules make of a Cookie field together: nobody's page becomes another's by a cookie left out."""
    lines = [[b"; ".join(b"=".join(pair) for pair in pairs)] for pairs in (one, two)]
    recipe = CacheKey(cookies=sorted(held))
    keys = {recipe.of(b"GET", b"https", b"a", b"/", b"", lambda _, line=line: line) for line in lines}
    if len(keys) == 1 and not any(other_cookies(line, Sharing(key_cookies=held)) for line in lines):
        # Which of several of one name counts is the app's to choose; so their order does.
        jars = [sorted(((name.strip(), place), value) for place, (name, value) in enumerate(p)) for p in (one, two)]
        assert [(at[0], value) for at, value in jars[0]] == [(at[0], value) for at, value in jars[1]]


def test_the_slugs_are_few_and_short() -> None:
    """They are labels of metrics."""
    assert len(Why) < 20
    assert all(why.value.replace("-", "").isalpha() and len(why.value) <= 16 for why in Why)
    assert BY_DEFAULT < UNDERSTOOD


FLAGS = ("no_store", "no_cache", "private", "public", "must_revalidate", "proxy_revalidate", "must_understand")
SECONDS = st.none() | st.integers(0, 100)
NAMES = st.frozensets(st.sampled_from([b"set-cookie", b"vary", b"x-a"]), max_size=2)
SAID = st.builds(
    ResponseDirectives,
    max_age=SECONDS,
    s_maxage=SECONDS,
    stale_if_error=SECONDS,
    private_fields=NAMES,
    no_cache_fields=NAMES,
    **{flag: st.booleans() for flag in FLAGS},
)
ASKERS = st.builds(
    Asker,
    st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE"]),
    st.builds(RequestDirectives, no_store=st.booleans()),
    st.booleans(),
    st.booleans(),
)
ANSWERS = st.builds(
    Answer,
    st.sampled_from([200, 200, 200, 206, 304, 404, 500, 599]),
    SAID,
    set_cookie=st.booleans(),
    content_range=st.booleans(),
    vary_any=st.booleans(),
    validator=st.booleans(),
    length=st.sampled_from([None, 0, 10, 11]),
)
SHARINGS = st.builds(
    Sharing,
    st.sampled_from([frozenset({b"GET"}), frozenset({b"GET", b"POST"})]),
    st.frozensets(st.sampled_from([b"cookie", b"authorization"])),
    st.booleans(),
    st.booleans(),
    st.just(10),
    st.frozensets(st.just(b"session")),
    st.booleans(),
)
LEEWAYS = st.sampled_from([NO_LEEWAY, ROUTE, OVERRIDE, Leeway(ttl=60, negative_ttl=5, stale_if_error=99)])


@given(ASKERS, ANSWERS, SHARINGS, LEEWAYS, st.booleans())
def test_what_is_never_stored(asker: Asker, answer: Answer, sharing: Sharing, leeway: Leeway, modified: bool) -> None:
    said = answer.said
    stored = times(asker, said, sharing, leeway, status=answer.status, modified=modified)
    found = may_store(asker, answer, stored, sharing)
    if found.why_not is not None:
        return
    assert asker.method in sharing.methods
    assert not asker.wanted.no_store
    assert not said.no_store or (said.must_understand and answer.status in UNDERSTOOD)
    assert not said.private
    stripped = answer.set_cookie and sharing.strip_cookie and not sharing.set_cookie
    assert found.without == said.private_fields | said.no_cache_fields | ({b"set-cookie"} if stripped else set())
    assert answer.status not in (206, 304)
    assert not answer.vary_any
    assert not answer.content_range
    assert not answer.set_cookie or sharing.set_cookie or b"set-cookie" in found.without
    assert answer.length is None or answer.length <= sharing.max_object
    # Whoever it was stored for gets it, and so does everybody who brings nothing of their own.
    assert may_answer(asker, said, stored, sharing) is None
    assert may_answer(asker._replace(authorization=False, cookie=False), said, stored, sharing) is None


@given(ASKERS, ANSWERS, SHARINGS, LEEWAYS, st.booleans())
def test_one_callers_own_is_shared_by_the_origins_word_alone(
    asker: Asker, answer: Answer, sharing: Sharing, leeway: Leeway, modified: bool
) -> None:
    said = answer.said
    stored = times(asker, said, sharing, leeway, status=answer.status, modified=modified)
    if may_store(asker, answer, stored, sharing).why_not is None and personal(asker, sharing):
        assert said.public or said.max_age is not None or said.s_maxage is not None
        assert stored.source is not Source.ROUTE
        # Nothing of the route's: what is past its time is stale for as long as the origin said.
        assert stored.stale_if_error == (said.stale_if_error or 0) or stored.stale_if_error == 0
        if asker.authorization and b"authorization" not in sharing.key_fields:
            assert said.public or said.must_revalidate or said.s_maxage is not None
