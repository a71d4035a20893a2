"""`cache:` as it is written, what holds on a route, and what the rules are told of it."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gateway.policies.cache import Cache, resolve
from gateway.rules.cache_control import SILENT, response
from gateway.rules.cache_key import CREDENTIALS, CacheKey, credential_digest
from gateway.rules.freshness import NO_LEEWAY, Leeway, judge
from gateway.rules.storable import (
    GET_AND_HEAD,
    Answer,
    Asker,
    Sharing,
    Verdict,
    Why,
    may_store,
    other_cookies,
    personal,
)
from gateway.settings import json_schema
from gateway.settings.cache_forms import Query
from gateway.settings.listener import Listener, Route
from gateway.settings.values import Address

NOW = 1_800_000_000


def read(written: Any) -> Cache:
    return Cache.model_validate(written)


def on(listener: Any, route: Any) -> Cache | None:
    """What holds on a route; `...` for a key that is not written."""
    own = {} if route is ... else {"cache": route}
    around = {} if listener is ... else {"cache": listener}
    made = Listener.model_validate(
        {"bind": Address("::1", 0), "routes": [{"path": "/", "upstream": "app", **own}], **around}
    )
    return resolve(made, made.routes[0])


# ---- as it is written


def test_defaults() -> None:
    cache = read({})
    assert cache == Cache()
    assert cache.sharing() == Sharing(GET_AND_HEAD)
    assert cache.leeway() == NO_LEEWAY
    assert (cache.body, cache.credentials, cache.fields_read, cache.tags) == (None, (), frozenset(), ())
    assert cache.max_object == 1 << 20


def test_everything() -> None:
    cache = read(
        {
            "ttl": "1h",
            "negative_ttl": "10s",
            "override": "true",
            "stale_while_revalidate": "5m",
            "stale_if_error": "1d",
            "stale_if_unreachable": "2d",
            "tags": ["models", "shop:v1"],
            "methods": ["GET", "POST"],
            "key": {"headers": "Accept-Language", "cookies": ["session", "theme"], "body": "json"},
            "shared_between_callers": "true",
            "set_cookie": "true",
            "max_object": "4MiB",
        }
    )
    assert cache.leeway() == Leeway(3600, 10, True, 300, 86_400, 172_800)
    assert cache.tags == ("models", "shop:v1")
    assert cache.body == "json"
    assert cache.fields_read == {b"accept-language", b"cookie"}
    assert cache.sharing() == Sharing(
        frozenset({b"GET", b"HEAD", b"POST"}),
        frozenset({b"accept-language"}),
        True,
        True,
        4 << 20,
        frozenset({b"session", b"theme"}),
    )


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ({"ttl": "60"}, "has no unit"),
        ({"ttl": "0"}, "out of range: 1s to 365d"),
        ({"ttl": "1500ms"}, "no whole number of seconds"),
        ({"ttl": "366d"}, "out of range"),
        ({"negative_ttl": "500ms"}, "out of range"),
        ({"stale_if_error": "false"}, "is not a duration"),
        ({"override": "yes"}, "yes"),
        ({"set_cookie": "drop"}, "drop"),
        ({"methods": []}, "at least 1"),
        ({"methods": ["HEAD"]}, "write GET, which takes HEAD too"),
        ({"methods": ["HEAD", "POST"]}, "write GET"),
        ({"methods": ["PUT"]}, "'PUT' is not known"),
        ({"methods": "get"}, "did you mean 'GET'"),
        ({"tags": ["a b"]}, "is not a tag"),
        ({"tags": "a,b"}, "is not a tag"),
        ({"tags": 'a"b'}, "is not a tag"),
        ({"tags": ""}, "is not a tag"),
        ({"tags": "x" * 129}, "is not a tag"),
        ({"key": "url"}, "dictionary"),
        ({"key": {"scheme": "true"}}, "scheme"),
        ({"key": {"host": "maybe"}}, "maybe"),
        ({"key": {"headers": "X Y"}}, "not the name of a header field"),
        ({"key": {"headers": ["Accept", "Host"]}}, "cannot be in a key"),
        ({"key": {"headers": "If-None-Match"}}, "cannot be in a key"),
        ({"key": {"headers": "Range"}}, "cannot be in a key"),
        ({"key": {"headers": "Connection"}}, "cannot be in a key"),
        ({"key": {"headers": "traceparent"}}, "cannot be in a key"),
        ({"key": {"cookies": "a=b"}}, "not the name of a cookie"),
        ({"key": {"cookies": ""}}, "not the name of a cookie"),
        ({"key": {"body": "false"}}, "is not known"),
        ({"key": {"query": "sort"}}, "did you mean 'sorted'"),
        ({"key": {"query": []}}, "a list of 1 to"),
        ({"key": {"query": ["a&b"]}}, "a parameter's name"),
        ({"key": {"query": {"without": "a"}}}, "a list of 1 to"),
        ({"key": {"query": {"with": ["a"]}}}, "the one key without"),
        ({"max_object": "0"}, "out of range"),
        ({"max_object": "2GiB"}, "out of range"),
        ({"tll": "1h"}, "tll"),
    ],
)
def test_mistakes(written: Any, hint: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read(written)
    assert hint in str(raised.value)


def test_a_routes_times_can_be_taken_back() -> None:
    cache = read({"ttl": "false", "negative_ttl": "false"})
    assert cache.leeway() == NO_LEEWAY


@pytest.mark.parametrize(
    ("written", "query"),
    [
        ("true", Query()),
        (True, Query()),
        ("sorted", Query(sorted=True)),
        ("false", Query(only=())),
        (["page", "lang"], Query(sorted=True, only=("page", "lang"))),
        ({"without": ["utm_source"]}, Query(sorted=True, without=("utm_source",))),
    ],
)
def test_the_ways_of_a_query(written: Any, query: Query) -> None:
    cache = read({"key": {"query": written}})
    assert cache.key.query == query
    assert read({"key": {"query": query.written}}) == cache


@pytest.mark.parametrize(
    ("written", "verdict"),
    [
        ("false", Verdict(Why.SET_COOKIE)),
        ("true", Verdict(None)),
        ("strip", Verdict(None, frozenset({b"set-cookie"}))),
    ],
)
def test_what_becomes_of_a_response_that_sets_a_cookie(written: str, verdict: Verdict) -> None:
    cache = read({"set_cookie": written, "ttl": "1h"})
    times = judge(200, SILENT, asked=NOW, received=NOW, leeway=cache.leeway())
    assert may_store(Asker(), Answer(set_cookie=True), times, cache.sharing()) == verdict


# ---- what holds on a route


def test_a_route_goes_by_its_listener_key_by_key() -> None:
    assert on(..., ...) is None
    assert on({}, ...) == Cache()
    assert on(..., {"ttl": "1h"}) == Cache(ttl=3600)
    assert on({"ttl": "1h", "tags": "all"}, {"ttl": "1m"}) == Cache(ttl=60, tags=("all",))
    assert on({"ttl": "1h"}, {"tags": "some"}) == Cache(ttl=3600, tags=("some",))
    assert on({"ttl": "1h"}, {"ttl": "false"}) == Cache()
    # A key is a whole.
    merged = on({"key": {"headers": "X-User"}}, {"key": {"query": "sorted"}})
    assert merged is not None
    assert merged.key.headers == ()


def test_false_is_none() -> None:
    assert on({"ttl": "1h"}, "false") is None
    assert on("false", ...) is None
    assert on("false", {}) == Cache()


# ---- what the rules are told


def asked(cache: Cache, fields: dict[bytes, list[bytes]]) -> Asker:
    cookie = other_cookies(fields.get(b"cookie", []), cache.sharing())
    return Asker(authorization=b"authorization" in fields, cookie=cookie)


def stored(cache: Cache, fields: dict[bytes, list[bytes]], cache_control: bytes = b"") -> Why | None:
    """Why an answer to a GET with these fields is not stored, if it is not."""
    asker, said = asked(cache, fields), response([cache_control] if cache_control else [])
    leeway = NO_LEEWAY if personal(asker, cache.sharing()) else cache.leeway()
    return may_store(
        asker, Answer(said=said), judge(200, said, asked=NOW, received=NOW, leeway=leeway), cache.sharing()
    ).why_not


COOKIE, SIGNED_IN = {b"cookie": [b"session=a"]}, {b"authorization": [b"Bearer a"]}
TWO_COOKIES = {b"cookie": [b"session=a; theme=dark"]}


@pytest.mark.parametrize(
    ("written", "fields", "is_stored"),
    [
        ({}, {}, True),
        ({}, COOKIE, False),
        ({}, SIGNED_IN, False),
        ({"key": {"headers": "Cookie"}}, TWO_COOKIES, True),
        ({"key": {"headers": "Cookie"}}, SIGNED_IN, False),
        ({"key": {"headers": "Authorization"}}, SIGNED_IN, True),
        ({"key": {"headers": "Authorization"}}, {**SIGNED_IN, **COOKIE}, False),
        ({"key": {"headers": ["authorization", "cookie"]}}, {**SIGNED_IN, **COOKIE}, True),
        # A key by one cookie says nothing of the others.
        ({"key": {"cookies": "session"}}, COOKIE, True),
        ({"key": {"cookies": "theme"}}, COOKIE, False),
        ({"key": {"cookies": "theme"}}, TWO_COOKIES, False),
        ({"key": {"cookies": "session"}}, TWO_COOKIES, False),
        ({"key": {"cookies": ["session", "theme"]}}, TWO_COOKIES, True),
        ({"key": {"cookies": "session"}, "shared_between_callers": "true"}, TWO_COOKIES, True),
        ({"shared_between_callers": "true"}, {**SIGNED_IN, **COOKIE}, True),
        # With the body comes the caller.
        ({"methods": ["GET", "POST"]}, {**SIGNED_IN, **COOKIE}, True),
        ({"key": {"body": "raw"}}, SIGNED_IN, True),
    ],
)
def test_for_whom_a_routes_ttl_counts(written: dict[str, Any], fields: Any, is_stored: bool) -> None:
    cache = read({"ttl": "1h", **written})
    assert stored(cache, fields) in ((None,) if is_stored else (Why.PERSONAL, Why.AUTHORIZATION))
    assert stored(cache, fields, b"private") is Why.PRIVATE
    assert stored(cache, fields, b"no-store") is Why.NO_STORE


def test_a_body_in_the_key_brings_the_callers_credential_with_it() -> None:
    for written in ({"methods": "POST"}, {"key": {"body": "raw"}}):
        cache = read(written)
        assert (cache.body, cache.credentials) == ("raw", CREDENTIALS)
        assert cache.sharing().key_fields == cache.fields_read == set(CREDENTIALS)
        assert read({**written, "shared_between_callers": "true"}).credentials == ()
    assert read({"methods": "POST"}).sharing().methods == {b"POST"}


def key(recipe: CacheKey, fields: dict[bytes, list[bytes]], query: bytes = b"") -> bytes:
    return recipe.of(b"GET", b"https", b"a", b"/", query, lambda name: fields.get(name, []))


def test_its_key_is_what_it_says() -> None:
    cache = read({"key": {"host": "false", "query": {"without": ["utm"]}, "headers": "X-User", "cookies": "session"}})
    recipe = cache.cache_key(b"route")
    made = CacheKey(
        b"route",
        host=False,
        without=[b"utm"],
        sorted_query=True,
        headers=[b"x-user"],
        cookies=[b"session"],
        terms=(False, False),
    )
    assert key(recipe, {**COOKIE, b"x-user": [b"u"]}, b"?utm=1&b=1&a=2") == key(
        made, {**COOKIE, b"x-user": [b"u"]}, b"?a=2&b=1"
    )
    assert key(recipe, COOKIE) != key(recipe, {b"cookie": [b"session=b"]})
    assert key(recipe, COOKIE) == key(recipe, TWO_COOKIES)
    assert key(read({"key": {"query": "false"}}).cache_key(), {}, b"?a") == key(
        CacheKey(only=[], sorted_query=False, terms=(False, False)), {}
    )


def test_callers_differ_by_their_credentials() -> None:
    one, two = (credential_digest(lambda name, mine=mine: mine.get(name, [])) for mine in (COOKIE, SIGNED_IN))
    assert one != two


# ---- as editors know it


@pytest.mark.parametrize(
    ("written", "fine"),
    [
        ({}, True),
        (False, True),
        ({"ttl": "1h", "key": {"query": ["a"]}}, True),
        ({"key": {"query": {"without": ["a"]}}}, True),
        ({"key": {"query": {"without": "a"}}}, False),
        ({"key": {"query": []}}, False),
        ({"methods": ["GET", "POST"], "tags": "a"}, True),
        ({"set_cookie": "strip"}, True),
        ({"set_cookie": "drop"}, False),
        ({"methods": []}, False),
        ({"methods": ["PUT"]}, False),
        ({"ttl": 60}, False),
    ],
)
def test_the_schema(written: Any, fine: bool) -> None:
    schema = {"$ref": "#/$defs/Route", "$defs": json_schema()["$defs"]}
    route = {"path": "/", "upstream": "app", "cache": written}
    assert Draft202012Validator(schema).is_valid(route) is fine
    as_text = {"path": "/", "upstream": "app", "cache": _as_text(written)}
    if fine:
        assert Route.model_validate(as_text)
    else:
        with pytest.raises(ValidationError):
            Route.model_validate(as_text)


def _as_text(written: Any) -> Any:
    """As the file's reader hands it over."""
    if isinstance(written, dict):
        return {name: _as_text(value) for name, value in written.items()}
    if isinstance(written, list):
        return [_as_text(value) for value in written]
    return str(written)


@pytest.mark.parametrize("loose", [{"shared_between_callers": True}, {"set_cookie": True}, {"set_cookie": "strip"}])
def test_what_was_kept_on_looser_terms_is_not_found_by_stricter_ones(loose: dict[str, Any]) -> None:
    """An operator who takes back what he allowed is heard at the reload, not when the last of it has expired."""
    keys = [
        Cache.model_validate(said).cache_key().of(b"GET", b"http", b"h", b"/", b"", lambda _: ())
        for said in ({}, loose)
    ]
    assert keys[0] != keys[1]
