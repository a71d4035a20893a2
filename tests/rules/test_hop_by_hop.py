"""Fields that end at this hop, and nominations that are not obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import hop_by_hop


def test_the_names_of_rfc_9110_and_no_end_to_end_field() -> None:
    assert {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    } <= hop_by_hop.NAMES
    assert not {b"trailer", b"proxy-authenticate", b"content-length", b"host"} & hop_by_hop.NAMES
    assert all(name == name.lower() for name in hop_by_hop.NAMES)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [b"keep-alive"],
        [b"Close"],
        [b"close, TE"],
        [b"Upgrade, HTTP2-Settings"],
        [b" , ,"],
        [b"Keep-Alive", b"close"],
    ],
)
def test_the_usual_options_nominate_nothing_more(values: list[bytes]) -> None:
    assert hop_by_hop.listed(values) == frozenset()


def test_nominated_fields_are_named_in_lower_case_across_all_connection_fields() -> None:
    assert hop_by_hop.listed([b"X-Internal ,\tFoo", b"close,BAR"]) == {b"x-internal", b"foo", b"bar"}


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"Content-Length",
        b"Content-Type",
        b"Authorization",
        b"Cookie",
        b"Set-Cookie",
        b"X-Forwarded-For",
        b"X-Forwarded-Proto",
        b"X-Forwarded-Host",
        b"X-FORWARDED-ANYTHING",
        b"Forwarded",
        b"X-Correlation-ID",
        b"traceparent",
        b"Cache-Control",
        b"Expect",
        b"Trailer",
    ],
)
def test_what_must_reach_the_other_end_cannot_be_nominated(name: bytes) -> None:
    assert hop_by_hop.listed([b"close, " + name + b", X-Hop"]) == {b"x-hop"}


def test_the_correlation_field_is_the_configured_one() -> None:
    assert hop_by_hop.listed([b"X-Request-Id, X-Other"], b"x-request-id") == {b"x-other"}


def test_what_is_no_name_nominates_nothing() -> None:
    assert hop_by_hop.listed([b'x y, "q", a:b, \xff, fine']) == {b"fine"}


def test_an_endless_list_is_not_worked_through() -> None:
    names = [b"x%d" % n for n in range(20_000)]
    assert len(hop_by_hop.listed([b",".join(names)])) <= 256
    assert hop_by_hop.listed([b",".join(names[:128])]) == frozenset(names[:128])


def test_options_are_what_connection_says_beside_what_it_nominates() -> None:
    assert hop_by_hop.options([b"Close, X-Hop"]) == ({b"close", b"x-hop"}, {b"x-hop"})
    assert hop_by_hop.options([b"keep-alive", b"Upgrade , HOST"]) == ({b"keep-alive", b"upgrade", b"host"}, set())
    padded = b"close," + b" " * 100 + b"x-hop"  # too long to be remembered
    assert hop_by_hop.options([padded]) == ({b"close", b"x-hop"}, {b"x-hop"})


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_whatever_comes_names_come_out_and_none_that_is_protected(values: list[bytes]) -> None:
    for name in hop_by_hop.listed(values):
        assert name
        assert name == name.lower().strip()
        assert name not in hop_by_hop.NAMES
        assert name not in {b"host", b"content-length", b"authorization", b"cookie"}


@pytest.mark.parametrize(
    "name",
    [
        b"transfer-encoding",
        b"content-length",
        b"host",
        b"trailer",
        b"te",
        b"connection",
        b"content-type",
        b"content-encoding",
        b"content-range",
        b"authorization",
        b"www-authenticate",
        b"set-cookie",
        b"cookie",
        b"cache-control",
        b"expires",
        b"location",
        b"vary",
        b"if-none-match",
        b"range",
        b"expect",
        b"max-forwards",
        b"x-forwarded-for",
        b"x_forwarded_for",
        b"forwarded",
    ],
)
def test_fields_that_change_how_a_message_is_read_are_no_trailers(name: bytes) -> None:
    assert not hop_by_hop.trailer_allowed(name)


@pytest.mark.parametrize(
    "name", [b"etag", b"digest", b"content-digest", b"server-timing", b"x-checksum", b"grpc-status", b"expires-soon"]
)
def test_other_fields_are(name: bytes) -> None:
    assert hop_by_hop.trailer_allowed(name)
