"""The request that an upstream gets, line by line."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.upstreams import request_lines
from gateway.upstreams.pool import Pool
from gateway.upstreams.upstream import Upstream
from tests.support.exchanges import EGRESS, exchange
from tests.upstreams.rig import Calls

AUTH = (b"Authorization: Bearer ours\r\n",)


def upstream(
    base: bytes = b"", auth: tuple[bytes, ...] = (), credentials: frozenset[bytes] = frozenset()
) -> Upstream:
    pool = cast("Pool", None)  # no connection is made here
    return Upstream("app", b"app.example:3000", base, pool, None, Calls(), auth, credentials)


def build(one: Exchange, *, strip: bytes = b"", own_host: bool = False, **settings: Any) -> list[bytes]:
    built = request_lines.build(one, upstream(**settings), strip, own_host=own_host)
    assert built.endswith(b"\r\n\r\n")
    return built.removesuffix(b"\r\n\r\n").split(b"\r\n")


def test_as_it_came() -> None:
    fields = [(b"X-b", b"1"), (b"x-B", b"2"), (b"Cookie", b"a=b"), (b"Content-Length", b"5")]
    assert build(exchange(b"POST", b"/a//b%2fc?d=e&f", fields)) == [
        b"POST /a//b%2fc?d=e&f HTTP/1.1",
        b"Host: a.example",
        *(b"%b: %b" % field for field in fields),
    ]


def test_an_old_request_goes_out_as_a_new_one() -> None:
    assert build(exchange(version="1.0"))[0] == b"GET / HTTP/1.1"


def test_what_we_add_comes_last() -> None:
    one = exchange(fields=[(b"X-A", b"1")])
    one.added += [b"X-Correlation-ID: 7\r\n", b"X-Forwarded-For: 192.0.2.1\r\n"]
    assert build(one)[-3:] == [b"X-A: 1", b"X-Correlation-ID: 7", b"X-Forwarded-For: 192.0.2.1"]


# ---- the target


@pytest.mark.parametrize(
    ("target", "base", "strip", "expected"),
    [
        (b"/a", b"/v1", b"", b"/v1/a"),
        (b"/", b"/v1", b"", b"/v1/"),
        (b"/openai/v1/x?y", b"", b"/openai", b"/v1/x?y"),
        (b"/openai", b"", b"/openai", b"/"),
        (b"/openai?y", b"/base", b"/openai", b"/base/?y"),
        (b"/%6fpenai/x", b"", b"/openai", b"/x"),
        (b"/openai/../x", b"", b"", b"/x"),
        (b"http://b.example/a?b", b"/v1", b"", b"/v1/a?b"),
        (b"http://b.example?b", b"", b"", b"/?b"),
    ],
)
def test_targets(target: bytes, base: bytes, strip: bytes, expected: bytes) -> None:
    assert build(exchange(target=target), base=base, strip=strip)[0] == b"GET %b HTTP/1.1" % expected


def test_the_server_as_a_whole_has_no_base_path() -> None:
    assert build(exchange(b"OPTIONS", b"*"), base=b"/v1")[0] == b"OPTIONS * HTTP/1.1"


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_path_or_query_begins_another_line(path: bytes, query: bytes) -> None:
    """llhttp lets no whitespace into a target; whatever else it does let in, there is one request line."""
    path, query = (b"".join(part.split()).replace(b"#", b"").replace(b"?", b"") for part in (path, query))
    line = build(exchange(target=b"/p/" + path + b"?" + query), base=b"/v1")[0]
    assert line.startswith(b"GET /v1/")
    assert line.endswith(b"?" + query + b" HTTP/1.1")
    assert line.count(b" ") == 2


# ---- the host


def test_ingress_keeps_the_clients_host() -> None:
    assert build(exchange())[1] == b"Host: a.example"


def test_an_absolute_targets_authority_takes_its_place() -> None:
    lines = build(exchange(target=b"http://b.example:81/"))
    assert [line for line in lines if line.lower().startswith(b"host:")] == [b"Host: b.example:81"]


def test_egress_sends_the_upstreams() -> None:
    lines = build(exchange(target=b"http://b.example/", interest=EGRESS), own_host=True)
    assert [line for line in lines if line.lower().startswith(b"host:")] == [b"Host: app.example:3000"]


def test_who_names_no_host_asks_for_the_upstreams() -> None:
    one = exchange(version="1.0")
    assert build(one)[1] == b"Host: a.example"
    nameless = exchange(version="1.0")
    nameless.head.noted.pop(b"host")
    nameless.head.kept.clear()
    assert build(nameless) == [b"GET / HTTP/1.1", b"Host: app.example:3000"]


# ---- credentials


def test_our_key_takes_the_place_of_the_callers() -> None:
    fields = [(b"authorization", b"Bearer theirs"), (b"X-A", b"1"), (b"X-Api-Key", b"theirs")]
    lines = build(
        exchange(fields=fields, interest=EGRESS),
        own_host=True,
        auth=AUTH,
        credentials=frozenset({b"authorization", b"x-api-key"}),
    )
    assert lines[1:] == [b"Host: app.example:3000", b"Authorization: Bearer ours", b"X-A: 1"]


def test_without_a_key_of_ours_the_callers_passes() -> None:
    fields = [(b"Authorization", b"Bearer theirs")]
    assert build(exchange(fields=fields, interest=EGRESS), own_host=True)[2] == b"Authorization: Bearer theirs"


# ---- the framing and the connection


def test_chunks_are_announced_anew() -> None:
    lines = build(exchange(b"POST", fields=[(b"Transfer-Encoding", b"Chunked")]))
    assert lines[1:] == [b"Host: a.example", b"Transfer-Encoding: chunked"]


def test_an_upgrade_is_asked_for_anew() -> None:
    fields = [(b"Connection", b"Upgrade, X-A"), (b"Upgrade", b"websocket"), (b"X-A", b"1"), (b"X-B", b"2")]
    assert build(exchange(fields=fields))[2:] == [b"X-B: 2", b"Connection: Upgrade", b"Upgrade: websocket"]


def test_trailers_are_asked_for_anew() -> None:
    lines = build(exchange(fields=[(b"Connection", b"te"), (b"TE", b"trailers, deflate")]))
    assert lines[2:] == [b"Connection: TE", b"TE: trailers"]


@pytest.mark.parametrize("connection", [b"close", b"keep-alive", b"x"])
def test_the_clients_connection_is_its_own_affair(connection: bytes) -> None:
    assert build(exchange(fields=[(b"Connection", connection), (b"Keep-Alive", b"timeout=5")])) == build(exchange())
