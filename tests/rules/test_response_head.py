"""An upstream's response head: where its body ends, and whether another may follow on the connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import field_lines, hop_by_hop, response_head
from gateway.rules.response_head import Interest, Malformed, ResponseHead
from tests.support.exchanges import sorted_fields

INTEREST = Interest("X-Correlation-ID")
STATUSES = st.one_of(st.integers(100, 999), st.sampled_from([100, 101, 103, 200, 204, 205, 206, 304, 502]))


def read(
    status: int = 200,
    *fields: tuple[bytes, bytes],
    reason: bytes = b"OK",
    version: str = "1.1",
    to_head: bool = False,
) -> ResponseHead:
    kept, noted = sorted_fields(fields, INTEREST)  # type: ignore[arg-type]
    return response_head.read(status, reason, version, kept, noted, to_head=to_head)


def kept(head: ResponseHead) -> list[tuple[bytes, bytes]]:
    return list(field_lines.pairs(head.kept))


LENGTH, CHUNKED = (b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")


@given(STATUSES, st.sampled_from([None, LENGTH, CHUNKED]), st.booleans(), st.booleans())
def test_where_the_body_ends(status: int, framing: tuple[bytes, bytes] | None, old: bool, to_head: bool) -> None:
    """RFC 9112, section 6.3, rule by rule."""
    if old and framing is CHUNKED:
        return
    head = read(status, *([framing] if framing else []), version="1.0" if old else "1.1", to_head=to_head)
    if to_head or status < 200 or status in (204, 304):
        expected = (False, False)
    elif framing is not None:
        expected = (True, False)
    else:
        expected = (True, True)
    assert (head.has_body, head.until_close) == expected
    assert head.chunked is (framing is CHUNKED)
    assert head.length == (5 if framing is LENGTH else None)
    assert not (head.until_close and head.keep_alive)


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("1.1", None, True),
        ("1.1", b"close", False),
        ("1.1", b"x, Close", False),
        ("1.1", b"keep-alive", True),
        ("1.1", b"keep-alive, close", False),
        ("1.0", None, False),
        ("1.0", b"Keep-Alive", True),
        ("1.0", b"close", False),
        ("1.0", b"keep-alive, close", False),
    ],
)
def test_keep_alive(version: str, connection: bytes | None, expected: bool) -> None:
    fields = [] if connection is None else [(b"Connection", connection)]
    assert read(200, LENGTH, *fields, version=version).keep_alive is expected


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_after_a_change_of_protocols_there_is_no_next_response(version: str) -> None:
    assert not read(101, (b"Connection", b"keep-alive, upgrade"), version=version).keep_alive


def test_no_end_but_the_connections_cannot_be_kept_alive_by_words() -> None:
    for version in ("1.0", "1.1"):
        head = read(200, (b"Connection", b"keep-alive"), version=version)
        assert head.until_close
        assert not head.keep_alive


@pytest.mark.parametrize("status", [101, 204])
def test_no_length_where_none_may_be(status: int) -> None:
    """RFC 9110, section 8.6."""
    assert kept(read(status, (b"Content-Length", b"0"), (b"X-A", b"1"))) == [(b"X-A", b"1")]


def test_an_informational_response_loses_what_its_connection_field_names() -> None:
    """RFC 9110, section 7.6.1."""
    fields = [(b"Link", b"</a>"), (b"X-Hop", b"1"), (b"Connection", b"x-hop"), (b"Content-Length", b"0")]
    pieces, noted = sorted_fields(fields, INTEREST)  # type: ignore[arg-type]
    assert list(field_lines.pairs(response_head.informational(b"", pieces, noted))) == [(b"Link", b"</a>")]


@pytest.mark.parametrize("status", [0, 1, 99])
def test_no_status(status: int) -> None:
    with pytest.raises(Malformed):
        read(status)


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0"])
def test_no_version(version: str) -> None:
    with pytest.raises(Malformed):
        read(version=version)


@pytest.mark.parametrize("reason", [b"O\x01K", b"\x7f", b"OK\r\nX-A: 1", b"\n", b"\x00"])
def test_no_reason(reason: bytes) -> None:
    with pytest.raises(Malformed):
        read(reason=reason)
    with pytest.raises(Malformed):
        response_head.informational(reason, [], {})


@pytest.mark.parametrize("reason", [b"", b"OK", b" ", b"I'm a teapot", b"\t\xe9\xff"])
def test_any_other_reason_stays(reason: bytes) -> None:
    assert read(reason=reason).reason == reason


@pytest.mark.parametrize(
    "codings", [[b"gzip"], [b"gzip, chunked"], [b"identity"], [b""], [b"chunked", b"chunked"], [b"\x0cchunked"]]
)
def test_other_codings_are_refused(codings: list[bytes]) -> None:
    with pytest.raises(Malformed):
        read(200, *((b"Transfer-Encoding", coding) for coding in codings))


def test_http_1_0_has_no_codings() -> None:
    with pytest.raises(Malformed):
        read(200, CHUNKED, version="1.0")


def test_which_fields_pass() -> None:
    fields = [
        (b"Set-Cookie", b"a"), (b"set-cookie", b"b"), LENGTH, (b"Content-Type", b"text/plain"), (b"ETag", b'"x"'),
        (b"Proxy-Authenticate", b"Basic"), (b"Trailer", b"X-A"), (b"Date", b"now"),
    ]  # fmt: skip
    stop = [
        (b"Connection", b"keep-alive, x-gone, set-cookie, content-length"), (b"Keep-Alive", b"timeout=5"),
        (b"Upgrade", b"h2c"), (b"Proxy-Connection", b"close"), (b"X-Gone", b"1"), (b"X-Correlation-ID", b"theirs"),
    ]  # fmt: skip
    assert kept(read(200, *stop, *fields)) == fields


def test_204_has_no_length_and_304_may() -> None:
    assert kept(read(204, LENGTH)) == []
    assert kept(read(304, LENGTH)) == [LENGTH]
    assert kept(read(200, LENGTH, to_head=True)) == [LENGTH]


def test_informational_fields_pass_unless_they_announce_a_body() -> None:
    link = (b"Link", b"</a>")
    for fields, expected in [([link], [link]), ([link, (b"Content-Length", b"0")], [link]), ([], [])]:
        pieces, noted = sorted_fields(fields, INTEREST)  # type: ignore[arg-type]
        assert list(field_lines.pairs(response_head.informational(b"", pieces, noted))) == expected
    for field in (LENGTH, CHUNKED):
        with pytest.raises(Malformed):
            response_head.informational(b"", *sorted_fields([field], INTEREST))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"timeout=5", 5.0),
        (b"max=100, timeout = 15", 15.0),
        (b"timeout=0", 0.0),
        (b"timeout=5.5", 5.0),
        (b"timeout=99999999999999999999", 999999.0),
        (b"timeout=-1", None),
        (b"timeout=", None),
        (b"xtimeout=5", None),
        (b"", None),
    ],
)
def test_how_long_it_says_it_keeps_an_idle_connection(value: bytes, expected: float | None) -> None:
    assert read(200, LENGTH, (b"Keep-Alive", value)).idle_limit == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (b"text/event-stream", True),
        (b"Text/Event-Stream; charset=utf-8", True),
        (b"text/plain", False),
        (b"application/json", False),
        (None, False),
    ],
)
def test_event_streams_are_endless(kind: bytes | None, expected: bool) -> None:
    assert read(200, *([(b"Content-Type", kind)] if kind is not None else [])).endless is expected


def test_lines() -> None:
    assert response_head.status_line(299, b"Fine By Me") == b"HTTP/1.1 299 Fine By Me\r\n"
    assert response_head.status_line(200, b"") == b"HTTP/1.1 200 \r\n"
    assert response_head.connection_line(keep_alive=True, http10=False) == b""
    assert response_head.connection_line(keep_alive=True, http10=True) == b"Connection: keep-alive\r\n"
    assert response_head.connection_line(keep_alive=False, http10=False) == b"Connection: close\r\n"
    assert response_head.connection_line(keep_alive=False, http10=True) == b"Connection: close\r\n"
    assert response_head.chunked_line() == b"Transfer-Encoding: chunked\r\n"


@given(
    st.lists(
        st.tuples(st.sampled_from([b"X-A", b"Set-Cookie", b"content_length", b"Grpc-Status", b"TE"]), st.just(b"1"))
    )
)
def test_trailers_that_may_pass_do_in_order(trailers: list[tuple[bytes, bytes]]) -> None:
    allowed = [pair for pair in trailers if hop_by_hop.trailer_allowed(pair[0].lower())]
    assert response_head.trailer_lines(trailers) == b"".join(b"%b: %b\r\n" % pair for pair in allowed)
    assert {name for name, _ in allowed} <= {b"X-A", b"Grpc-Status"}
