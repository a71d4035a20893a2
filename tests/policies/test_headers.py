"""Changes of fields: how they are written, what must not change, how listener, route and security go together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.policies import headers
from gateway.policies.headers import Headers, Security
from gateway.rules import field_lines
from tests.support.exchanges import exchange

Pairs = list[tuple[bytes, bytes]]
REFUSAL = [(b"Cache-Control", b"no-store"), (b"Proxy-Status", b"gateway; error=http_request_error")]
DEFAULTS = {
    b"Content-Security-Policy": b"base-uri 'self'; object-src 'none'",
    b"X-Content-Type-Options": b"nosniff",
    b"X-Frame-Options": b"SAMEORIGIN",
    b"Referrer-Policy": b"strict-origin-when-cross-origin",
    b"Cross-Origin-Opener-Policy": b"same-origin-allow-popups",
    b"Cross-Origin-Resource-Policy": b"same-site",
    b"Permissions-Policy": (
        b"camera=(self), display-capture=(self), geolocation=(self), hid=(), microphone=(self), serial=(), usb=()"
    ),
}


def written(value: Any) -> Headers | None:
    read = headers.WAYS.read(value)
    return None if read is None else Headers.model_validate(read)


def response(listener: Any, route: Any = None, *, fields: Pairs | None = None, proto: bytes = b"http") -> Pairs:
    """What becomes of a response's fields."""
    gate = headers.gate(written(listener), Headers() if route is None else written(route))
    one = exchange()
    one.proto = proto
    if gate is not None:
        assert gate.check(one, 0.0) is None
    pieces = field_lines.of(fields or [])
    return list(field_lines.pairs(pieces if one.edit is None else one.edit(pieces)))


def request(listener: Any, route: Any = None, *, fields: Pairs | None = None) -> Pairs:
    """What becomes of a request's fields, Host left out."""
    gate = headers.gate(written(listener), Headers() if route is None else written(route))
    one = exchange(fields=fields or [])
    if gate is not None:
        assert gate.check(one, 0.0) is None
    return list(field_lines.pairs(one.head.kept))[1:]


# ---- how they are written


def test_nothing_by_default() -> None:
    assert headers.gate(Headers(), Headers()) is None
    assert headers.gate(written({}), written({"request": {}, "response": {}, "security": "false"})) is None


@pytest.mark.parametrize("way", ["request", "response"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"set": {"a b": "1"}}, "not the name of a header field"),
        ({"add": {"": "1"}}, "not the name of a header field"),
        ({"remove": ["x:"]}, "not the name of a header field"),
        ({"set": {"X-A": "1\r\nX-B: 2"}}, "one line without control characters"),
        ({"set": {"X-A": "x" * 9000}}, "at most 8192 bytes"),
        ({"set": {"X-A": "1", "x-a": "2"}}, "twice, in different case"),
        ({"add": {"X-A": "1", "x-a": "2"}}, "twice, in different case"),
        ({"set": {"X-A": "1"}, "remove": ["x-a"]}, "both set and removed"),
        ({"set": ["X-A"]}, "valid dictionary"),
        ({"remove": {"X-A": "1"}}, "valid tuple"),
        ({"sett": {"X-A": "1"}}, "Extra inputs"),
    ],
)
def test_what_is_no_change(way: str, changes: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        written({way: changes})


@pytest.mark.parametrize("how", ["set", "add", "remove"])
@pytest.mark.parametrize(
    ("way", "name"),
    [
        *(("request", name) for name in ("Host", "Expect", "X-Forwarded-For", "x_forwarded_anything", "Forwarded")),
        *(("request", name) for name in ("traceparent", "TraceState", "Content_Length", "Transfer-Encoding", "TE")),
        *(("request", name) for name in ("Connection", "Upgrade", "Keep-Alive", "Proxy-Authorization", "Trailer")),
        *(("response", name) for name in ("Content-Length", "transfer-encoding", "Connection", "Upgrade", "Trailer")),
        *(("response", name) for name in ("Retry-After", "RateLimit", "RateLimit-Policy", "Cache-Status", "Age")),
        ("response", "Proxy-Status"),
    ],
)
def test_what_cannot_be_changed(way: str, name: str, how: str) -> None:
    with pytest.raises(ValidationError, match="cannot be changed here"):
        written({way: {how: [name] if how == "remove" else {name: "1"}}})


@pytest.mark.parametrize(
    ("security", "message"),
    [
        ({"csp": ""}, "write false"),
        ({"csp": "a\nb"}, "control characters"),
        ({"hsts": "1y"}, "not a policy"),
        ({"hsts": "max-age=1; preload\r\n"}, "not a policy"),
        ({"frame": "ALLOW-FROM x"}, "not known"),
        ({"referrer": "sometimes"}, "not known"),
        ({"nosniff": "x"}, "neither true nor false"),
        ({"coep": "x"}, "Extra inputs"),
    ],
)
def test_what_is_no_security(security: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        written({"security": security})


def test_values_are_not_shown() -> None:
    section = written({"request": {"set": {"Authorization": "Bearer hunter2"}, "add": {"X-Key": "hunter2"}}})
    assert section is not None
    assert "hunter2" not in f"{section!r} {section} {section.model_dump()} {section.model_dump_json()}"
    with pytest.raises(ValidationError) as raised:
        written({"request": {"set": {"Authorization": "hunter2\n"}}})
    assert "hunter2" not in str(raised.value)


# ---- requests


SENT = [(b"x-user-id", b"1"), (b"Accept", b"*/*"), (b"X_User_Id", b"2"), (b"X-USER-ID", b"3"), (b"Cookie", b"c")]


def test_requests() -> None:
    assert request({"request": {"remove": ["X-User-Id"]}}, fields=SENT) == [(b"Accept", b"*/*"), (b"Cookie", b"c")]
    assert request({"request": {"set": {"X_user-id": " 9 "}}}, fields=SENT) == [
        (b"Accept", b"*/*"),
        (b"Cookie", b"c"),
        (b"X_user-id", b"9"),
    ]
    assert request({"request": {"add": {"X-User-Id": "9"}}}, fields=SENT) == [*SENT, (b"X-User-Id", b"9")]


def test_a_route_comes_after_the_listener() -> None:
    listener = {"request": {"set": {"X-A": "listener", "X-B": "listener"}, "remove": ["Cookie"]}}
    route = {"request": {"set": {"x-a": "route"}, "add": {"Cookie": "route"}, "remove": ["X-B"]}}
    assert request(listener, route, fields=SENT[3:]) == [
        (b"X-USER-ID", b"3"),
        (b"x-a", b"route"),
        (b"Cookie", b"route"),
    ]
    assert request(listener, "false", fields=SENT) == SENT
    assert request("false", route, fields=SENT[:1]) == [SENT[0], (b"x-a", b"route"), (b"Cookie", b"route")]


# ---- responses


def test_responses() -> None:
    changes = {"set": {"Cache-Control": "max-age=60"}, "add": {"Vary": "Origin"}, "remove": ["server"]}
    fields = [(b"Server", b"x"), (b"Vary", b"Accept"), (b"cache-control", b"private"), (b"X_Server", b"y")]
    assert response({"response": changes}, fields=fields) == [
        (b"Vary", b"Accept"),
        (b"X_Server", b"y"),
        (b"Cache-Control", b"max-age=60"),
        (b"Vary", b"Origin"),
    ]


@pytest.mark.parametrize("name", ["Cache-Control", "CDN-Cache-Control", "Surrogate-Control"])
@pytest.mark.parametrize("how", ["set", "add"])
def test_no_cache_is_told_to_keep_a_refusal(name: str, how: str) -> None:
    changes = {"response": {how: {name: "max-age=60", "X-A": "1"}}}
    assert response(changes, fields=REFUSAL) == [*REFUSAL, (b"X-A", b"1")]
    assert (name.encode(), b"max-age=60") in response(changes, fields=[(b"Cache-Control", b"no-store")])


def test_nor_can_a_refusals_no_store_be_removed() -> None:
    assert response({"response": {"remove": ["cache-control"]}}, fields=REFUSAL) == REFUSAL


# ---- security


def test_security_with_its_defaults() -> None:
    assert dict(response({"security": "true"})) == DEFAULTS
    assert dict(response({"security": {}})) == DEFAULTS
    assert response({"security": "false"}) == []


@pytest.mark.parametrize("proto", [b"https", b"HTTPS"])
def test_hsts_over_https_only(proto: bytes) -> None:
    hsts = (b"Strict-Transport-Security", b"max-age=31536000")
    assert hsts in response({"security": True}, proto=proto)
    assert hsts not in response({"security": True}, proto=b"http")
    only = {"security": dict.fromkeys(Security.model_fields, "false") | {"hsts": "max-age=1; includeSubDomains"}}
    assert response(only, proto=proto) == [(b"Strict-Transport-Security", b"max-age=1; includeSubDomains")]
    assert response(only) == []


@pytest.mark.parametrize("name", [*DEFAULTS, b"Strict-Transport-Security"])
def test_the_apps_own_stays(name: bytes) -> None:
    own = [(name.lower(), b"the app's"), (b"Content-Type", b"text/html")]
    after = response({"security": True}, fields=own, proto=b"https")
    assert after[:2] == own
    assert [field for field in after if field[0].lower() == name.lower()] == own[:1]
    assert len(after) == 1 + len(DEFAULTS) + 1


@pytest.mark.parametrize("key", Security.model_fields)
def test_each_can_be_left_out(key: str) -> None:
    whole = response({"security": True}, proto=b"https")
    less = response({"security": {key: "false"}}, proto=b"https")
    assert len(less) == len(whole) - 1
    assert set(less) < set(whole)


def test_a_routes_keys_win_over_the_listeners() -> None:
    listener = {"security": {"frame": "DENY", "csp": "default-src 'self'"}}
    after = dict(response(listener, {"security": {"csp": "default-src 'none'", "nosniff": "false"}}))
    assert after[b"Content-Security-Policy"] == b"default-src 'none'"
    assert after[b"X-Frame-Options"] == b"DENY"
    assert b"X-Content-Type-Options" not in after
    assert dict(response(listener, {"security": "true"}))[b"X-Frame-Options"] == b"DENY"
    assert response(listener, {"security": "false"}) == []
    assert response(listener, "false") == []
    assert len(response(listener, {"response": {"add": {"X-A": "1"}}})) == len(DEFAULTS) + 1
    assert dict(response("false", {"security": "true"})) == DEFAULTS


def test_removed_and_set_go_before_security() -> None:
    own = [(b"X-Frame-Options", b"ALLOWALL")]
    removed = response({"security": True, "response": {"remove": ["X-Frame-Options"]}}, fields=own)
    assert dict(removed)[b"X-Frame-Options"] == b"SAMEORIGIN"
    replaced = response({"security": True, "response": {"set": {"x-frame-options": "DENY"}}}, fields=own)
    assert [value for name, value in replaced if name.lower() == b"x-frame-options"] == [b"DENY"]


def test_refusals_get_them_too() -> None:
    assert dict(response({"security": True}, fields=REFUSAL)) == {**dict(REFUSAL), **DEFAULTS}
