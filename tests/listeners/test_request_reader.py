"""Requests read in any pieces, one behind the other; and what has no end has one."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.listeners.listener import Limits
from gateway.settings import Limits as LimitSettings
from tests.listeners.memory import INTEREST, Listening, deliver, turns

HOST = b"Host: a.example\r\n"
#: No upgrade, one that is never taken, one that is asked for and refused by the answer.
UPGRADES = [
    b"",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
]


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """A request on the wire; its method and body."""
    framing = draw(st.sampled_from(["none", "length", "chunked", "zero"]))
    upgrade = draw(st.sampled_from(UPGRADES))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3))
    body = b"".join(pieces)
    if framing == "none":
        method = draw(st.sampled_from([b"GET", b"DELETE", b"PROPFIND"]))
        return method, b"", b"%b %%b HTTP/1.1\r\n" % method + HOST + upgrade + b"\r\n"
    head = b"POST %b HTTP/1.1\r\n" + HOST + upgrade
    if framing == "zero":
        return b"POST", b"", head + b"Content-Length: 0\r\n\r\n"
    if framing == "length":
        return b"POST", body, head + b"Content-Length: %d\r\n\r\n" % len(body) + body.replace(b"%", b"%%")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"POST", body, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks.replace(b"%", b"%%") + b"0\r\n\r\n"


def pieces_of(wire: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted({cut % (len(wire) + 1) for cut in cuts}), len(wire)]
    return [wire[start:end] for start, end in itertools.pairwise(places) if end > start]


@given(st.lists(requests(), min_size=1, max_size=5), st.lists(st.integers(0, 2000), max_size=12))
async def test_any_requests_in_any_pieces_are_the_same(
    sent: list[tuple[bytes, bytes, bytes]], cuts: list[int]
) -> None:
    one = Listening()
    _, transport = one.connect()
    wire = b"".join(template % (b"/%d" % number) for number, (_, _, template) in enumerate(sent))
    for piece in pieces_of(wire, cuts):
        await deliver(transport, piece)
    await turns(60)
    assert one.echo.served == [(method, b"/%d" % number, body) for number, (method, body, _) in enumerate(sent)]
    assert one.echo.refused == []
    assert re.findall(rb"X-Answers: /(\d+)", transport.written) == [b"%d" % number for number in range(len(sent))]
    assert transport.reading
    transport.lose()
    await turns()
    assert (one.counts.now, one.echo.running, one.bugs) == (0, 0, [])


@given(st.lists(requests(), min_size=1, max_size=3), st.integers(0, 2000))
async def test_a_client_may_leave_at_any_byte(sent: list[tuple[bytes, bytes, bytes]], cut: int) -> None:
    one = Listening()
    connection, transport = one.connect()
    wire = b"".join(template % (b"/%d" % number) for number, (_, _, template) in enumerate(sent))
    await deliver(transport, wire[: cut % len(wire)])
    transport.lose()
    await turns(30)
    assert (one.counts.now, one.echo.running, one.bugs) == (0, 0, [])
    assert connection._task is None or connection._task.done()


async def refusal(one: Listening, transport: Any, piece: bytes, limit: int) -> list[int]:
    """Send it again and again until something is refused; more than `limit` bytes must not be needed."""
    sent = 0
    while not one.echo.refused:
        assert sent <= limit, "it has no end"
        await deliver(transport, piece)
        sent += len(piece)
        await turns(3)
    return one.echo.refused


CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
KIB = 1024


@pytest.mark.parametrize(
    ("start", "piece", "status"),
    [
        (b"GET /", b"a" * KIB, 414),
        (b"GET / HTTP/1.1\r\nX-A: ", b"a" * KIB, 431),
        (b"GET / HTTP/1.1\r\n", b"X-A: a\r\n" * 128, 431),
        (b"GET / HTTP/1.1\r\nX", b"a" * KIB, 431),
        (CHUNKED + b"2\r\nok\r\n0\r\nX-A: ", b"a" * KIB, 400),
        (CHUNKED + b"2\r\nok\r\n0\r\nX", b"a" * KIB, 400),
        (CHUNKED + b"2;x=", b"a" * KIB, 400),
        (CHUNKED + b'2;x="', b"a" * KIB, 400),
    ],
    ids=["target", "value", "fields", "name", "trailer's value", "trailer's name", "chunk extension", "quoted one"],
)
async def test_what_has_no_end_has_one(start: bytes, piece: bytes, status: int) -> None:
    """At the limit of a head, or one read later: what llhttp gathers, nobody sees before it is whole."""
    one = Listening()
    _, transport = one.connect()
    await deliver(transport, start)
    assert await refusal(one, transport, piece, 66 * KIB) == [status]
    assert b"Connection: close" in transport.written
    transport.lose()
    await turns()


async def test_a_body_of_many_small_chunks_is_no_head() -> None:
    one = Listening(header_size="1KiB")
    _, transport = one.connect()
    await deliver(transport, CHUNKED)
    for _ in range(1000):
        await deliver(transport, b"1\r")
        await deliver(transport, b"\nx\r\n")
    await deliver(transport, b"0\r\n\r\n")
    await turns()
    assert one.echo.served == [(b"POST", b"/", b"x" * 1000)]
    transport.lose()
    await turns()


async def test_new_limits_hold_from_the_next_request_on() -> None:
    one = Listening()
    _, transport = one.connect()
    request = b"GET /%b HTTP/1.1\r\n" % (b"a" * 2000) + HOST + b"\r\n"
    await deliver(transport, request)
    await turns()
    one.listener.reconfigure(type(one.listener.limits)(request_line=1024), one.listener.interest)  # type: ignore[call-arg]
    await deliver(transport, request)
    await turns()
    assert len(one.echo.served) == 1
    assert one.echo.refused == [414]
    transport.lose()
    await turns()


async def test_while_one_is_served_no_more_is_read_than_one_behind_it() -> None:
    go = asyncio.Event()

    async def serve(exchange: Any) -> None:
        await go.wait()
        await one.echo(exchange)

    one = Listening(serve)
    _, transport = one.connect()
    get = b"GET /%d HTTP/1.1\r\n" + HOST + b"\r\n"
    transport.deliver(get % 1)
    await turns()
    assert transport.reading
    transport.deliver(get % 2)
    assert not transport.reading
    go.set()
    await turns(20)
    assert transport.reading
    assert [path for _, path, _ in one.echo.served] == [b"/1", b"/2"]
    transport.lose()
    await turns()


async def test_the_same_bytes_are_the_same_request_again() -> None:
    one = Listening()
    _, transport = one.connect()
    for target in (b"/a", b"/a", b"/b", b"/a", b"/a"):
        await deliver(transport, b"GET %b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n" % target)
        await turns()
    assert [path for _, path, _ in one.echo.served] == [b"/a", b"/a", b"/b", b"/a", b"/a"]


async def test_what_is_known_already_is_read_anew_by_other_settings() -> None:
    one = Listening()
    _, transport = one.connect()
    request = b"GET /aaaaaaaaaa HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 10 + b"\r\n"
    for _ in range(2):
        await deliver(transport, request)
        await turns()
    assert len(one.echo.served) == 2
    one.listener.reconfigure(cast("Limits", LimitSettings(header_count=5)), INTEREST)
    await deliver(transport, request)
    await turns()
    assert one.echo.refused == [431]
    assert len(one.echo.served) == 2


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHo",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 4000 + b"\r\n\r\n",
    ],
)
async def test_what_is_more_than_one_short_request_is_read_each_time(request_: bytes) -> None:
    one = Listening()
    connection, transport = one.connect()
    transport.deliver(request_)
    await turns()
    assert connection._reader._known is None


@given(st.lists(st.sampled_from([b"/a", b"/b", b"/aa"]), max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_whole_or_in_pieces_requests_are_the_same(targets: list[bytes], split: list[bool]) -> None:
    """In two pieces nothing is remembered: both ways give the same exchanges."""

    async def play() -> None:
        one = Listening()
        _, transport = one.connect()
        for target, pieces in zip(targets, split, strict=False):
            request = b"GET %b?q HTTP/1.1\r\nHost: a\r\nCookie: x\r\n\r\n" % target
            for piece in (request[:9], request[9:]) if pieces else (request,):
                await deliver(transport, piece)
            await turns()
        assert [path for _, path, _ in one.echo.served] == targets

    asyncio.run(play())
