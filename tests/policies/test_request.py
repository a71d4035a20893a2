"""Request guards: how they are written, which hold on a route, and what each of them refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.errors import ContentTooLarge, GatewayError
from gateway.exchange import Exchange
from gateway.gate import WAIT
from gateway.policies import request
from gateway.policies.request import WAYS, RequestGuards, field_count, field_size, resolve
from gateway.rules.request_head import Interest
from tests.support.exchanges import EGRESS, INGRESS, Fields, exchange, read

NONE = RequestGuards()
KEYS = [*RequestGuards.model_fields]
JSON = (b"Content-Type", b"application/json")


def refusal(one: Exchange, **guards: Any) -> GatewayError | None:
    gate = request.gate(RequestGuards.model_validate(guards), NONE)
    assert gate is not None
    verdict = gate.check(one, 0.0)
    assert verdict is not WAIT
    return verdict


def slug(one: Exchange, **guards: Any) -> str:
    error = refusal(one, **guards)
    return "" if error is None else error.slug


def post(*fields: tuple[bytes, bytes], length: int = 5) -> Exchange:
    return exchange(b"POST", fields=[(b"Content-Length", b"%d" % length), *fields])


def chunked(*fields: tuple[bytes, bytes]) -> Exchange:
    return exchange(b"POST", fields=[(b"Transfer-Encoding", b"chunked"), *fields])


# ---- how they are written


def test_there_are_none_by_default() -> None:
    assert all(value is None for _, value in NONE)
    assert request.gate(NONE, NONE) is None


def test_as_the_file_writes_them() -> None:
    written = {
        "max_body": "1MiB",
        "content_types": ["application/JSON", "text/*"],
        "required_headers": ["X-User-Id"],
        "max_headers": "50",
        "max_header_size": "8KiB",
        "max_uri": "2KiB",
    }
    guards = RequestGuards.model_validate(written)
    assert guards.max_body == 1 << 20
    assert guards.content_types == ("application/json", "text/*")
    assert guards.required_headers == ("X-User-Id",)
    assert (guards.max_headers, guards.max_header_size, guards.max_uri) == (50, 8192, 2048)
    assert RequestGuards.model_validate(dict.fromkeys(KEYS, "false")) == NONE


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"max_body": "1"}, "has no unit"),
        ({"max_uri": "0"}, "out of range"),
        ({"max_headers": "0"}, "out of range"),
        ({"max_header_size": "10B"}, "out of range"),
        ({"content_types": ["json"]}, "not a media type"),
        ({"content_types": []}, "at least 1 item"),
        ({"required_headers": ["a b"]}, "not the name of a header field"),
        ({"max_bodies": "1MiB"}, "Extra inputs"),
    ],
)
def test_what_is_no_guard(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RequestGuards.model_validate(written)


SOME = st.fixed_dictionaries(
    {},
    optional={
        **{key: st.one_of(st.none(), st.integers(64, 9999)) for key in KEYS if key.startswith("max_")},
        "content_types": st.sampled_from([None, ("a/b",), ("c/*", "*/*")]),
        "required_headers": st.sampled_from([None, ("X-A",), ("X-B", "X-C")]),
    },
)


@given(SOME, SOME)
def test_a_routes_keys_win_one_by_one(listener: dict[str, Any], route: dict[str, Any]) -> None:
    assert dict(resolve(RequestGuards(**listener), RequestGuards(**route))) == {**dict(NONE), **listener, **route}


def test_false_on_a_route_is_nothing_at_all() -> None:
    off = RequestGuards.model_validate(WAYS.read("false"))
    assert request.gate(RequestGuards(max_body=1, content_types=("a/b",)), off) is None


# ---- sizes of the head


def test_uri() -> None:
    assert slug(exchange(target=b"/123?567"), max_uri=8) == ""
    assert slug(exchange(target=b"/123?5678"), max_uri=8) == "target-too-long"
    assert slug(exchange(target=b"http://a.example/123?567"), max_uri=8) == "", "the authority is no part of it"


def test_number_of_fields() -> None:
    fields = [(b"X-A", b"1")] * 3
    assert slug(exchange(fields=fields), max_headers=4) == "", "Host is one"
    assert slug(exchange(fields=fields), max_headers=3) == "headers-too-large"


def test_size_of_fields() -> None:
    size = len(b"Host: a.example\r\nX-A: " + b"x" * 100 + b"\r\n")
    one = exchange(fields=[(b"X-A", b"x" * 100)])
    assert slug(one, max_header_size=size) == ""
    assert slug(one, max_header_size=size - 1) == "headers-too-large"


NAMES = st.sampled_from([b"X-A", b"x-a", b"Traceparent", b"X-Forwarded-For", b"Cookie", b"Expect", b"Keep-Alive"])


@given(
    st.lists(st.tuples(NAMES, st.sampled_from([b"", b"value"])), max_size=9),
    st.sampled_from(
        [INGRESS, EGRESS, Interest("X-Correlation-ID", ingress=True, also=frozenset({b"cookie", b"x-a"}))]
    ),
    st.integers(0, 300),
)
def test_each_field_counts_once_whoever_reads_it(fields: list[tuple[bytes, bytes]], by: Interest, most: int) -> None:
    fields = [(b"Host", b"a.example"), *fields]
    head = read(fields=fields, interest=by)
    size = sum(len(name) + len(value) + 4 for name, value in fields)
    assert (field_count(head, most) > most) == (len(fields) > most)
    assert (field_size(head, most) > most) == (size > most)
    assert (field_count(head, 0), field_size(head, 0)) == (len(fields), size)


# ---- fields that must be there


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ([(b"x-user-ID", b"7"), (b"X-Forwarded-For", b"::1")], True),
        ([(b"X-User-Id", b""), (b"X-User-Id", b"7"), (b"X-Forwarded-For", b"::1")], True),
        ([(b"X-User-Id", b""), (b"X-Forwarded-For", b"::1")], False),
        ([(b"X_User_Id", b"7"), (b"X-Forwarded-For", b"::1")], False),
        ([(b"X-User-Id", b"7")], False),
    ],
)
def test_required_fields(fields: Fields, passes: bool) -> None:
    error = refusal(exchange(fields=fields), required_headers=["X-User-Id", "X-Forwarded-For"])
    assert (error is None) == passes
    assert error is None or (error.slug, error.status) == ("header-missing", 400)


def test_the_missing_one_is_named_as_the_config_has_it() -> None:
    error = refusal(exchange(fields=[(b"X-A", b"1")]), required_headers=["X-A", "x-USER"])
    assert error is not None
    assert error.detail == "The header field x-USER is needed here."


# ---- the body's type


@pytest.mark.parametrize(
    ("one", "passes"),
    [
        (post(JSON), True),
        (chunked((b"content-type", b"Application/JSON; charset=utf-8")), True),
        (post((b"Content-Type", b"text/plain")), True),
        (post((b"Content-Type", b"image/png")), False),
        (post((b"Content-Type", b"application/json, text/plain")), False),
        (post(JSON, JSON), False),
        (post(), False),
        (chunked(), False),
        (exchange(), True),
        (exchange(fields=[(b"Content-Type", b"image/png")]), True),
        (post((b"Content-Type", b"image/png"), length=0), True),
    ],
)
def test_content_types(one: Exchange, passes: bool) -> None:
    error = refusal(one, content_types=["application/json", "text/*"])
    assert (error is None) == passes
    if error is not None:
        assert (error.slug, error.status) == ("unsupported-media-type", 415)
        assert error.fields() == [(b"Accept", b"application/json, text/*")]


def test_a_body_of_no_stated_type() -> None:
    assert slug(post(), content_types=["application/octet-stream"]) == ""
    assert slug(post(), content_types=["*/*"]) == ""


# ---- the body's size


@pytest.mark.parametrize(("length", "passes"), [(0, True), (5, True), (6, False), (10**18, False)])
def test_an_announced_body(length: int, passes: bool) -> None:
    error = refusal(post(length=length), max_body=5)
    assert (error is None) == passes
    assert error is None or (error.slug, error.status) == ("content-too-large", 413)


def test_no_body_at_all() -> None:
    assert slug(exchange(), max_body=0) == ""
    assert slug(post(length=1), max_body=0) == "content-too-large"


class Sink:
    """Where a body goes."""

    def __init__(self) -> None:
        self.taken = b""
        self.ended = False

    def chunk(self, data: bytes) -> None:
        self.taken += data

    def end(self, trailers: object) -> None:
        self.ended = True


@given(st.lists(st.integers(1, 9), min_size=1), st.integers(0, 40), st.integers(0, 5))
def test_a_chunked_body_goes_on_up_to_the_limit_and_no_further(pieces: list[int], limit: int, early: int) -> None:
    """`early` pieces come before the guard is asked, some before anybody takes them."""
    one = chunked()
    for size in pieces[:early]:
        one.body.feed(b"x" * size)
    verdict = refusal(one, max_body=limit)
    assert (verdict is not None) == (sum(pieces[:early]) > limit)
    if verdict is not None:
        return
    sink = Sink()
    one.body.attach(sink)
    came = sum(pieces[:early])
    for size in pieces[early:]:
        if came + size > limit:
            with pytest.raises(ContentTooLarge):
                one.body.feed(b"x" * size)
            break
        one.body.feed(b"x" * size)
        came += size
    assert len(sink.taken) == came <= limit
    assert not sink.ended


def test_what_is_wrong_first_is_said() -> None:
    one = exchange(b"POST", b"/long", [(b"Content-Length", b"9"), (b"X-A", b"1")])
    guards: dict[str, Any] = {
        "max_uri": 2, "max_headers": 2, "required_headers": ["X-B"], "content_types": ["a/b"], "max_body": 1,
    }  # fmt: skip
    said = []
    while guards:
        said.append(slug(one, **guards))
        guards.pop(next(iter(guards)))
    assert said == [
        "target-too-long",
        "headers-too-large",
        "header-missing",
        "unsupported-media-type",
        "content-too-large",
    ]
