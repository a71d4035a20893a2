"""The tree of errors is the one that is drawn, and each leaf becomes one reply that gives nothing away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from gateway import errors
from gateway.errors import (
    BreakerOpen,
    CallerInFlightFull,
    GatewayError,
    InFlightFull,
    InternalError,
    MethodNotAllowed,
    NoRoute,
    PoolExhausted,
    UnsupportedMediaType,
    problem,
)

# RFC 9209, section 2.3, and the registry that it opened.
_REGISTERED = """
dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited
destination_ip_unroutable connection_refused connection_terminated connection_timeout connection_read_timeout
connection_write_timeout connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received
http_request_error http_request_denied http_response_incomplete http_response_header_section_size
http_response_header_size http_response_body_size http_response_trailer_section_size http_response_trailer_size
http_response_transfer_coding http_response_content_coding http_response_timeout http_upgrade_failed
http_protocol_error proxy_internal_response proxy_internal_error proxy_configuration_error proxy_loop_detected
"""
PROXY_ERRORS = frozenset(_REGISTERED.split())


def under(error: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield error
    for child in error.__subclasses__():
        yield from under(child)


LEAVES = [error for error in under(GatewayError) if not error.__subclasses__()]


def make(error: type[GatewayError]) -> GatewayError:
    if error is MethodNotAllowed:
        return MethodNotAllowed(("GET", "POST"))
    if error is UnsupportedMediaType:
        return UnsupportedMediaType(("application/json", "text/*"))
    if error is CallerInFlightFull:
        return CallerInFlightFull("each", 5, 7)
    return BreakerOpen("", 7) if error is BreakerOpen else error()


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn: dict[str, tuple[str, int | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([│├└─ ]*)(\w+)(?: +(?:(\d{3})|.*?(?:(\d{3}), .*)?.*))?", line)
        if match is None or match[2] not in vars(errors):
            continue
        depth = len(match[1]) // 4
        above[depth:] = [match[2]]
        drawn[match[2]] = (above[depth - 1] if depth else "Exception", int(match[3]) if match[3] else None)
    real = {error.__name__: error for error in under(GatewayError)}
    assert set(drawn) == set(real)
    for name, (parent, status) in drawn.items():
        assert real[name].__bases__[0].__name__ == parent
        assert status in (None, real[name].status), name


@pytest.mark.parametrize("error", LEAVES)
def test_every_leaf_is_one_reply(error: type[GatewayError]) -> None:
    made = make(error)
    reply = problem(made, "0af7")
    fields = dict(reply.headers)
    body = json.loads(reply.body)
    assert reply.status == body["status"] == error.status
    assert set(body) == {"type", "title", "status", "detail", "correlation_id"}
    assert body["type"] == f"urn:gateway:problem:{error.slug}"
    assert body["correlation_id"] == "0af7"
    assert body["title"]
    assert body["detail"].endswith(".")
    assert fields[b"Content-Type"] == b"application/problem+json"
    assert fields[b"Cache-Control"] == b"no-store"
    assert fields[b"Proxy-Status"] == b"gateway; error=" + error.proxy_error.encode()
    assert reply.error == error.slug
    assert len(fields) == len(reply.headers)
    assert error.proxy_error in PROXY_ERRORS


def test_slugs_tell_all_leaves_apart() -> None:
    slugs = [error.slug for error in LEAVES]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", slug) for slug in slugs)
    assert not {"success", "failure-status", "cancelled", "client-left"} & set(slugs)


@pytest.mark.parametrize("error", LEAVES)
def test_whoever_may_come_again_is_told_when(error: type[GatewayError]) -> None:
    retry_after = dict(problem(make(error), "").headers).get(b"Retry-After")
    assert (retry_after is not None) == (error.status in (429, 503))
    if retry_after is not None:
        assert int(retry_after) >= 1


def test_their_own_fields() -> None:
    assert dict(problem(MethodNotAllowed(("GET", "PUT")), "").headers)[b"Allow"] == b"GET, PUT"
    assert dict(problem(BreakerOpen("x", 42), "").headers)[b"Retry-After"] == b"42"
    assert dict(problem(PoolExhausted(), "").headers)[b"Retry-After"] == b"1"
    assert dict(problem(InFlightFull("x", 9), "").headers)[b"Retry-After"] == b"9"


def test_a_caller_is_told_of_its_cap_as_the_draft_has_it() -> None:
    """draft-ietf-httpapi-ratelimit-headers, sections 3 and 4; the name is a string as RFC 9651 writes it."""
    fields = dict(problem(CallerInFlightFull('a "b" \\c', 25, 3), "").headers)
    assert fields[b"RateLimit-Policy"] == rb'"a \"b\" \\c";q=25;qu="concurrent-requests"'
    assert fields[b"RateLimit"] == rb'"a \"b\" \\c";r=0;t=3'
    assert fields[b"Retry-After"] == b"3"


def test_what_is_said_of_a_case_takes_the_place_of_the_general() -> None:
    assert json.loads(problem(NoRoute("Nothing here."), "").body)["detail"] == "Nothing here."
    assert json.loads(problem(NoRoute(), "").body)["detail"] == "No route matches the path."


def test_a_bug_tells_nobody_what_it_was() -> None:
    error = InternalError()
    error.__cause__ = ValueError("password=hunter2")
    assert b"hunter2" not in problem(error, "").body
