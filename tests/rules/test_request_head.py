"""A request's head: judged by section of RFC 9110 and 9112, sorted into what passes on and what stops here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import field_lines, hop_by_hop, request_head
from gateway.rules.request_head import Malformed, RequestHead
from tests.support.exchanges import EGRESS, INGRESS, read, sorted_fields

HOST = (b"Host", b"a.example")
NAMES = [
    b"Host", b"host", b"Connection", b"CONNECTION", b"Keep-Alive", b"Proxy-Connection", b"Proxy-Authorization", b"TE",
    b"Transfer-Encoding", b"Content-Length", b"Upgrade", b"HTTP2-Settings", b"Expect", b"Cookie", b"X-A", b"x-a",
    b"X-Forwarded-For", b"X_Forwarded-For", b"Forwarded", b"X-Correlation-ID", b"x_correlation_id", b"Traceparent",
    b"Authorization", b"X_A",
]  # fmt: skip
VALUES = [
    b"", b"a.example", b"close", b"keep-alive", b"Upgrade, X-A", b"x-a, cookie, content-length", b"te", b"trailers",
    b"chunked", b"0", b"5", b"websocket", b"h2c", b"100-continue",
]  # fmt: skip
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=8)


def kept(head: RequestHead) -> list[tuple[bytes, bytes]]:
    return list(field_lines.pairs(head.kept))


# ---- the whole


@given(FIELDS, st.sampled_from(["1.0", "1.1"]), st.sampled_from([b"GET", b"POST", b"OPTIONS"]), st.booleans())
def test_nothing_hop_by_hop_or_ours_passes_and_the_rest_does_in_order(
    fields: list[tuple[bytes, bytes]], version: str, method: bytes, ingress: bool
) -> None:
    interest = INGRESS if ingress else EGRESS
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    if len(lengths) > 1 or not all(value.isdigit() for value in lengths):
        return  # llhttp lets none of these through
    try:
        head = read(method, b"/", fields, version, interest)
    except Malformed:
        return
    connection = [value for name, value in fields if name.lower() == b"connection"]
    nominated = hop_by_hop.listed(connection)
    stops = hop_by_hop.NAMES | nominated
    expected = []
    for name, value in fields:
        plain = name.lower().replace(b"_", b"-")
        ours = plain in (b"x-correlation-id", b"traceparent", b"tracestate")
        ours |= ingress and plain in (b"x-forwarded-for", b"forwarded")
        ours |= not ingress and plain == b"host"
        if name.lower() not in stops and not ours:
            expected.append((name, value))
    assert kept(head) == expected


@given(FIELDS)
def test_a_head_of_nothing_but_host_reads_as_any_other(fields: list[tuple[bytes, bytes]]) -> None:
    """There is a shorter way through for these."""
    plain = [field for field in fields if field[0] in (b"X-A", b"Cookie")]
    short, long = read(fields=[HOST, *plain]), read(fields=[HOST, *plain, (b"Connection", b"")])
    for name in RequestHead.__slots__:
        if name != "noted":
            assert getattr(short, name) == getattr(long, name), name


def test_what_could_not_be_read_has_every_attribute() -> None:
    head = request_head.unreadable(b"GET")
    for name in RequestHead.__slots__:
        getattr(head, name)
    assert head.method == b"GET"
    assert not head.keep_alive
    assert head.values(b"host") == []


def test_values() -> None:
    head = read(fields=[HOST, (b"X-A", b"1"), (b"x-a", b"2"), (b"X-Forwarded-For", b"3"), (b"X-B", b"4")])
    assert head.values(b"x-a") == [b"1", b"2"]
    assert head.values(b"x-forwarded-for") == [b"3"]
    assert head.values(b"host") == [b"a.example"]
    assert head.values(b"none") == []


# ---- version, host, target


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0", "0.0"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(Malformed):
        read(version=version)


def test_host_is_needed_once_and_must_be_one() -> None:
    for fields in ([], [HOST, HOST], [HOST, (b"host", b"b.example")], [(b"Host", b"a, b")], [(b"Host", b"u@a")]):
        with pytest.raises(Malformed):
            read(fields=fields)
    assert read(fields=[], version="1.0").host == b""
    assert read(fields=[(b"Host", b"")]).host == b""
    assert read(fields=[(b"hOST", b"a:80")]).host == b"a:80"
    for fields in ([HOST, HOST], [(b"Host", b"a, b")]):
        with pytest.raises(Malformed):
            read(fields=fields, version="1.0")


def test_an_absolute_targets_authority_takes_hosts_place() -> None:
    head = read(target=b"http://b.example:81/x", fields=[HOST])
    assert (head.host, head.authority, head.path) == (b"b.example:81", b"b.example:81", b"/x")
    with pytest.raises(Malformed):
        read(target=b"http://b.example/x", fields=[])
    assert read(target=b"http://b.example/x", fields=[], version="1.0").host == b"b.example"


def test_targets_of_no_form_are_refused() -> None:
    for target in (b"", b"x", b"*", b"/#", b"http://"):
        with pytest.raises(Malformed):
            read(target=target)


def test_the_words_of_a_refusal_are_ours() -> None:
    with pytest.raises(Malformed) as refused:
        read(target=b"secret-token", fields=[(b"Host", b"se,cret")])
    assert "secret" not in str(refused.value)


# ---- framing


def test_lengths() -> None:
    assert read(fields=[HOST]).length is None
    assert read(fields=[HOST, (b"Content-Length", b"0")]).length == 0
    head = read(b"POST", fields=[HOST, (b"content-length", b"5")])
    assert (head.length, head.chunked) == (5, False)
    assert (b"content-length", b"5") in kept(head)


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b" chunked "])
def test_chunked_is_taken_and_announced_anew(coding: bytes) -> None:
    head = read(b"POST", fields=[HOST, (b"Transfer-Encoding", coding)])
    assert (head.length, head.chunked) == (None, True)
    assert kept(head) == [HOST]


@pytest.mark.parametrize(
    "codings",
    [
        [b"gzip"], [b"gzip, chunked"], [b"chunked, chunked"], [b"chunked, gzip"], [b"identity"], [b""],
        [b"chunked", b"chunked"], [b"gzip", b"chunked"], [b"\x0bchunked"], [b"xchunked"], [b"chunked;a=b"],
    ],
)  # fmt: skip
def test_other_codings_are_refused(codings: list[bytes]) -> None:
    with pytest.raises(Malformed):
        read(b"POST", fields=[HOST, *((b"Transfer-Encoding", coding) for coding in codings)])


def test_http_1_0_has_no_codings() -> None:
    with pytest.raises(Malformed):
        read(b"POST", fields=[HOST, (b"Transfer-Encoding", b"chunked")], version="1.0")


# ---- the connection


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("1.1", None, True),
        ("1.1", b"close", False),
        ("1.1", b"Close", False),
        ("1.1", b"keep-alive", True),
        ("1.1", b"x , CLOSE,keep-alive", False),
        ("1.1", b"closed", True),
        ("1.0", None, False),
        ("1.0", b"keep-alive", True),
        ("1.0", b"Keep-Alive, x", True),
        ("1.0", b"keep-alive, close", False),
        ("1.0", b"upgrade", False),
    ],
)
def test_keep_alive(version: str, connection: bytes | None, expected: bool) -> None:
    fields = [] if connection is None else [(b"Connection", connection)]
    assert read(fields=[HOST, *fields], version=version).keep_alive is expected


def test_options_in_several_fields_count_together() -> None:
    head = read(fields=[HOST, (b"Connection", b"x-a"), (b"X-A", b"1"), (b"connection", b"close")])
    assert not head.keep_alive
    assert kept(head) == [HOST]


UPGRADE = [HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]


def test_an_upgrade_is_asked_for_by_both_fields() -> None:
    assert read(fields=UPGRADE).upgrade == b"websocket"
    assert (
        read(fields=[HOST, (b"Connection", b"keep-alive, upgrade"), (b"Upgrade", b"a"), (b"Upgrade", b"b")]).upgrade
        == b"a, b"
    )
    assert read(fields=[HOST, (b"Upgrade", b"websocket")]).upgrade == b""
    assert read(fields=[HOST, (b"Connection", b"Upgrade")]).upgrade == b""
    assert read(fields=[HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"")]).upgrade == b""
    assert read(fields=UPGRADE, version="1.0").upgrade == b""


@pytest.mark.parametrize("protocol", [b"h2c", b"H2C", b"websocket, h2c"])
def test_h2c_is_never_tunnelled(protocol: bytes) -> None:
    fields = [HOST, (b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", protocol), (b"HTTP2-Settings", b"AAM")]
    head = read(fields=fields)
    assert head.upgrade == b""
    assert kept(head) == [HOST]


def test_an_upgrade_with_a_body_is_not_taken() -> None:
    assert read(b"POST", fields=[*UPGRADE, (b"Content-Length", b"5")]).upgrade == b""
    assert read(b"POST", fields=[*UPGRADE, (b"Transfer-Encoding", b"chunked")]).upgrade == b""
    assert read(b"POST", fields=[*UPGRADE, (b"Content-Length", b"0")]).upgrade == b"websocket"


def test_connect_ends_the_connection() -> None:
    head = read(b"CONNECT", b"a.example:443", [HOST, (b"Connection", b"keep-alive")])
    assert not head.keep_alive
    assert head.authority == b"a.example:443"


def test_expect() -> None:
    expect = (b"Expect", b"100-continue")
    assert read(b"POST", fields=[HOST, expect]).expects_continue
    assert kept(read(b"POST", fields=[HOST, expect])) == [HOST, expect]
    assert not read(b"POST", fields=[HOST, expect], version="1.0").expects_continue


def test_trailers_are_wanted_only_where_the_connection_says_te() -> None:
    te = (b"TE", b"gzip;q=0.5, Trailers")
    assert read(fields=[HOST, te, (b"Connection", b"TE")]).trailers_wanted
    assert not read(fields=[HOST, te]).trailers_wanted
    assert not read(fields=[HOST, (b"TE", b"gzip"), (b"Connection", b"TE")]).trailers_wanted
    assert kept(read(fields=[HOST, te, (b"Connection", b"TE")])) == [HOST]


def test_a_nominated_field_goes_but_not_what_the_message_needs() -> None:
    connection = (b"Connection", b"X-A, host, content-length, authorization, x-correlation-id")
    fields = [HOST, connection, (b"x-a", b"1"), (b"Content-Length", b"5"), (b"Authorization", b"Basic eA==")]
    head = read(b"POST", fields=fields)
    assert kept(head) == [HOST, fields[3], fields[4]]
    assert head.length == 5


# ---- the interest


def test_ingress_keeps_to_itself_what_the_app_could_mistake_for_ours() -> None:
    for name in (b"X-Forwarded-For", b"X_FORWARDED_FOR", b"x-forwarded_proto", b"X_Forwarded_Host", b"Forwarded"):
        pieces, noted = sorted_fields([(name, b"1.2.3.4")], INGRESS)
        assert pieces == []
        assert noted == {name.lower(): [b"1.2.3.4"]}
        assert sorted_fields([(name, b"1.2.3.4")], EGRESS) == ([name, b": ", b"1.2.3.4", b"\r\n"], {})


def test_the_correlation_header_of_the_config_is_read_in_every_spelling() -> None:
    interest = request_head.Interest("X-Request-ID", ingress=True)
    for name in (b"x-request-id", b"x_request_id", b"x-request_id"):
        assert name in interest.noted
    assert b"x-correlation-id" not in interest.noted
    assert interest.passed_on == {b"host", b"content-length", b"expect"}


def test_a_name_of_many_dashes_is_no_explosion() -> None:
    interest = request_head.Interest("-".join("abcdefghijklmnopqrstuvwxyz"), ingress=True)
    assert len(interest.noted) < 200
    assert b"_".join(bytes([letter]) for letter in b"abcdefghijklmnopqrstuvwxyz") in interest.noted
