"""Responses read whole and in pieces, and what each leaves of its connection."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadResponse, ConnectionBroken
from gateway.rules import field_lines
from tests.support.exchanges import exchange
from tests.upstreams.memory import Body, Peer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LIMIT = 256 * 1024


async def whole(peer: Peer) -> None:
    """Wait for the response's end. Raises UpstreamError."""
    peer.connection.final_head()
    await peer.connection.done()


# ---- any response, in any pieces


@st.composite
def responses(draw: st.DrawFn) -> dict[str, Any]:
    """A response as bytes, and what is to be found in it."""
    status = draw(st.sampled_from([200, 201, 204, 299, 304, 404, 500, 999]))
    reason = draw(st.sampled_from([b"OK", b"", b"I'm a teapot", b"\xe9"]))
    fields = draw(
        st.lists(st.sampled_from([(b"Set-Cookie", b"a=b"), (b"set-cookie", b"c"), (b"X-Empty", b"")]), max_size=4)
    )
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=30), max_size=4))
    trailers = draw(st.lists(st.sampled_from([(b"X-T", b"1"), (b"X-U", b"2")]), max_size=2))
    interim = draw(st.lists(st.sampled_from([100, 102, 103, 104, 199]), max_size=3))
    if status in (204, 304):
        framing, pieces = "none", []
    body = b"".join(pieces)
    wire = b"".join(b"HTTP/1.1 %d Wait\r\nLink: <a>\r\n\r\n" % code for code in interim)
    wire += b"HTTP/1.1 %d %b\r\n" % (status, reason) + b"".join(b"%b: %b\r\n" % field for field in fields)
    if framing == "length":
        wire += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    elif framing == "chunked":
        wire += b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces)
        wire += b"0\r\n" + b"".join(b"%b: %b\r\n" % field for field in trailers) + b"\r\n"
    else:
        wire += b"\r\n" + body
    return {
        "wire": wire,
        "status": status,
        "reason": reason,
        "fields": fields,
        "framing": framing,
        "body": body,
        "trailers": trailers if framing == "chunked" else [],
        "interim": interim,
    }


@given(responses(), st.lists(st.integers(0, 400), max_size=12), st.integers(0, 6), st.booleans())
async def test_any_response_in_any_pieces_is_the_same(
    expected: dict[str, Any], cuts: list[int], attached_at: int, again: bool
) -> None:
    wire = expected["wire"]
    places = [0, *sorted({cut % (len(wire) + 1) for cut in cuts}), len(wire)]
    peer, sink = Peer(), Body()
    if again:
        assert await peer.whole(OK) == b"ok"
        peer.connection.rest(0)
    waiter = peer.send()
    attached = False
    for number, (start, end) in enumerate(itertools.pairwise(places)):
        if end > start:
            peer.transport.deliver(wire[start:end])
        if waiter.done() and number >= attached_at and not attached:
            attached = True
            peer.connection.attach(sink)
    if expected["framing"] == "close":
        peer.transport.lose()
    await waiter
    head = peer.connection.final_head()
    if not attached:
        peer.connection.attach(sink)
    await peer.connection.done()
    assert (head.status, head.reason) == (expected["status"], expected["reason"])
    kept = [pair for pair in field_lines.pairs(head.kept) if pair[0] != b"Content-Length"]
    assert kept == expected["fields"]
    assert sink.body == expected["body"]
    assert sink.trailers == expected["trailers"]
    assert [status for status, _, _ in peer.informational] == expected["interim"]
    assert peer.connection.reusable() is (expected["framing"] != "close")


@given(responses(), st.data())
async def test_a_response_that_breaks_off_never_looks_whole(expected: dict[str, Any], data: st.DataObject) -> None:
    wire = expected["wire"]
    cut = data.draw(st.integers(0, len(wire) - 1))
    peer = Peer()
    waiter = peer.send()
    if cut:
        peer.transport.deliver(wire[:cut])
    peer.transport.lose()
    await waiter
    try:
        peer.connection.final_head()
        await peer.connection.done()
    except ConnectionBroken:
        pass
    else:
        head_end = (
            wire.rindex(b"\r\n\r\n", 0, len(wire) - len(expected["body"])) if expected["framing"] == "close" else 0
        )
        assert expected["framing"] == "close"
        assert cut >= head_end + 4
    assert not peer.connection.reusable()


# ---- what is none


BAD = {
    "no status": b"HTTP/1.1 099 No\r\n\r\n",
    "status zero": b"HTTP/1.1 000 No\r\n\r\n",
    "two digits": b"HTTP/1.1 99 No\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a later version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "version 1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "the same length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "an empty length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
    "a length beyond all": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
    "length and chunks": OK.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n") + b"\r\n0\r\n\r\n",
    "chunks and length": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n") + b"2\r\nok\r\n0\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "two codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a field without a name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
    "an interim response with a length": b"HTTP/1.1 104 Wait\r\nContent-Length: 5\r\n\r\nhello" + OK,
    "early hints with a length": b"HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\n" + OK,
    "an interim response in chunks": b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + OK,
    "an interim reason with controls": b"HTTP/1.1 103 \x01\r\n\r\n" + OK,
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("step", [0, 1])
async def test_no_response(name: str, step: int) -> None:
    """In one read, and byte by byte."""
    peer = Peer()
    waiter = peer.send()
    for at in range(0, len(BAD[name]), step or len(BAD[name])):
        peer.transport.deliver(BAD[name][at : at + (step or len(BAD[name]))])
    if not waiter.done():
        peer.transport.lose()  # what is cut short may still be waited for
    await waiter
    with pytest.raises((BadResponse, ConnectionBroken)) as failed:
        await whole(peer)
    assert not peer.connection.reusable()
    assert peer.transport.closing
    if name not in ("two digits", "another protocol"):
        assert isinstance(failed.value, BadResponse), name


@pytest.mark.parametrize(
    "piece",
    [b"X-A: " + b"a" * 1000 + b"\r\n", b"a" * 1000],
    ids=["many fields", "one field"],
)
async def test_a_head_without_end_has_an_end(piece: bytes) -> None:
    peer = Peer()
    waiter = peer.send()
    peer.transport.deliver(b"HTTP/1.1 200 OK\r\nX-First: ")
    sent = 0
    while not waiter.done():
        peer.transport.deliver(piece)
        sent += len(piece)
        assert sent <= LIMIT + len(piece)
    assert sent > LIMIT - 1000
    with pytest.raises(BadResponse):
        peer.connection.final_head()
    assert peer.transport.aborted


async def test_a_head_of_nearly_all_that_is_allowed() -> None:
    peer = Peer()
    value = b"a" * 60_000
    head = (
        b"HTTP/1.1 200 OK\r\n"
        + b"".join(b"X-%d: %b\r\n" % (n, value) for n in range(4))
        + b"Content-Length: 2\r\n\r\n"
    )
    waiter = peer.send()
    for at in range(0, len(head), 1000):
        peer.transport.deliver(head[at : at + 1000])
    peer.transport.deliver(b"ok")
    await waiter
    assert peer.connection.final_head().length == 2


async def test_interim_responses_without_end_have_an_end() -> None:
    peer = Peer()
    waiter = peer.send()
    one = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 1000 + b"\r\n\r\n"
    while not waiter.done():
        peer.transport.deliver(one)
        assert len(peer.informational) * len(one) <= LIMIT + len(one)
    assert len(peer.informational) > 200
    with pytest.raises(BadResponse):
        peer.connection.final_head()


@pytest.mark.parametrize("piece", [b"X-T: 1\r\n" * 100, b"a" * 1000], ids=["many fields", "one field"])
@pytest.mark.parametrize("attached", [True, False])
async def test_trailers_without_end_have_an_end(piece: bytes, attached: bool) -> None:
    peer = Peer()
    waiter = peer.send()
    peer.transport.deliver(CHUNKED + b"2\r\nok\r\n0\r\nX-First: ")
    await waiter
    if attached:
        peer.connection.attach(Body())
    sent = 0
    while not peer.transport.closing:
        peer.transport.deliver(piece)
        sent += len(piece)
        assert sent <= LIMIT + 2 * len(piece)
    with pytest.raises(BadResponse):
        await peer.connection.done()


async def test_chunk_extensions_without_end_have_an_end() -> None:
    peer = Peer()
    waiter = peer.send()
    peer.transport.deliver(CHUNKED + b"2;")
    await waiter
    for _ in range(300):
        if not peer.transport.closing:
            peer.transport.deliver(b"a" * 1000)
    with pytest.raises(BadResponse):
        await peer.connection.done()


async def test_a_long_body_in_chunks_is_no_head() -> None:
    """However the reads fall among the chunks."""
    peer, sink = Peer(), Body()
    waiter = peer.send()
    peer.transport.deliver(CHUNKED)
    await waiter
    peer.connection.attach(sink)
    stream = b"".join(b"%x\r\n%b\r\n" % (size, b"x" * size) for size in [1, 10, 70_000] * 20) + b"0\r\nX-T: 1\r\n\r\n"
    for at in range(0, len(stream), 262_144):
        peer.transport.deliver(stream[at : at + 262_144])
    await peer.connection.done()
    assert len(sink.body) == 70_011 * 20
    assert sink.trailers == [(b"X-T", b"1")]
    assert peer.connection.reusable()


# ---- what comes behind a response


@pytest.mark.parametrize(
    "response",
    [
        OK,
        CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ],
)
@pytest.mark.parametrize(
    "behind", [b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil", b"\0", b"HTTP/1.1 "]
)
@pytest.mark.parametrize("one_read", [True, False])
async def test_bytes_behind_a_response_reach_nobody(response: bytes, behind: bytes, one_read: bool) -> None:
    peer, sink = Peer(), Body()
    waiter = peer.send()
    peer.transport.deliver(response + behind if one_read else response)
    if not one_read:
        peer.transport.deliver(behind)
    await waiter
    assert peer.connection.final_head().status in (200, 204, 304)
    peer.connection.attach(sink)
    await peer.connection.done()
    assert sink.body in (b"ok", b"")
    assert sink.trailers in ([], [(b"X-T", b"1")])
    # An empty line between messages is what old servers send, and harmless; llhttp skips it.
    assert not peer.connection.reusable() or (one_read and behind == b"\r\n")


async def test_bytes_on_an_idle_connection_close_it() -> None:
    peer = Peer()
    await peer.whole(OK)
    peer.connection.rest(0)
    peer.transport.deliver(OK)
    assert peer.connection.closed
    await asyncio.sleep(0)
    assert peer.closed == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X-A: 1"])
async def test_a_response_to_head_has_no_body_and_leaves_the_connection_good(framing: bytes) -> None:
    peer = Peer()
    for _ in range(2):
        assert await peer.whole(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing, exchange(b"HEAD")) == b""
        assert peer.connection.reusable()
        peer.connection.rest(0)
        assert await peer.whole(OK) == b"ok"
        assert peer.connection.reusable()
        peer.connection.rest(0)


@pytest.mark.parametrize("one_read", [True, False])
async def test_a_body_behind_a_response_to_head_is_nobodys(one_read: bool) -> None:
    peer = Peer()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert await peer.whole(head + b"hello" if one_read else head, exchange(b"HEAD")) == b""
    if not one_read:
        peer.transport.deliver(b"hello")
    assert not peer.connection.reusable()


async def test_a_change_of_protocols_ends_http_on_the_connection() -> None:
    peer = Peer()
    waiter = peer.send(exchange(fields=[(b"Connection", b"upgrade"), (b"Upgrade", b"x")]))
    peer.transport.deliver(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly \xff bytes")
    await waiter
    assert peer.connection.final_head().status == 101
    assert peer.connection.reader.tunnel_early == b"early \xff bytes"
    assert not peer.transport.reading
    assert not peer.connection.reusable()
