"""Responses as their clients get them: framing by the client's version, trailers, pauses, breaks, our own replies."""

from __future__ import annotations

import asyncio
import re
from email.utils import parsedate_to_datetime

import pytest

from gateway.errors import ConnectionBroken, NoRoute
from gateway.exchange import Exchange, Reply
from gateway.upstreams import relay
from tests.support.exchanges import Taker, exchange
from tests.upstreams.memory import Peer

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n"


def taker(one: Exchange) -> Taker:
    assert isinstance(one.client_side, Taker)
    return one.client_side


async def respond(one: Exchange, *pieces: bytes, end: str = "") -> bytes:
    """Have it answered with these reads and this end, the first before anybody is attached; what its client got."""
    one.stamp = b"X-Correlation-ID: 7\r\n"
    peer = Peer()
    waiter = peer.send(one)
    peer.transport.deliver(pieces[0])
    if end and len(pieces) == 1:
        peer.transport.lose()
    await waiter
    task = asyncio.create_task(relay.respond(one, peer.connection.final_head(), peer.connection))
    await asyncio.sleep(0)
    for piece in pieces[1:]:
        peer.transport.deliver(piece)
    if end and len(pieces) > 1:
        peer.transport.lose()
    await task
    assert taker(one).source is None
    return bytes(taker(one).written)


def split(got: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = got.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


@pytest.mark.parametrize("pieces", [[SIZED], [SIZED[:-1], b"k"], [SIZED[:-2], b"o", b"k"]])
async def test_a_sized_body(pieces: list[bytes]) -> None:
    one = exchange()
    lines, body = split(await respond(one, *pieces))
    assert lines == [b"HTTP/1.1 200 OK", b"Content-Length: 2", b"X-Correlation-ID: 7"]
    assert body == b"ok"
    assert (one.status, one.bytes_out, one.responded, one.keep_alive) == (200, 2, True, True)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"2\r\nok\r\n3\r\n...\r\n0\r\n\r\n"],
        [b"2\r\nok\r\n", b"3\r\n...\r\n0\r\n\r\n"],
        [b"2\r\nok\r\n3\r\n...\r\n0", b"\r\n\r\n"],
    ],
)
async def test_chunks_to_a_new_client_and_to_an_old_one(pieces: list[bytes]) -> None:
    one = exchange()
    lines, body = split(await respond(one, CHUNKED + pieces[0], *pieces[1:]))
    assert b"Transfer-Encoding: chunked" in lines
    assert re.sub(rb"[0-9a-f]+\r\n", b"", body).replace(b"\r\n", b"") == b"ok..."
    assert body.endswith(b"\r\n0\r\n\r\n")
    assert one.bytes_out == 5
    old = exchange(version="1.0", fields=[(b"Connection", b"keep-alive")])
    lines, body = split(await respond(old, CHUNKED + pieces[0], *pieces[1:]))
    assert lines == [b"HTTP/1.1 200 OK", b"X-Correlation-ID: 7", b"Connection: close"]
    assert body == b"ok..."
    assert old.until_close
    assert not old.keep_alive


@pytest.mark.parametrize("pieces", [[b"ok"], [b"o", b"k"], [b"", b"ok"]])
async def test_a_body_that_ends_with_the_connection_is_chunked_for_a_client_that_stays(pieces: list[bytes]) -> None:
    one = exchange()
    lines, body = split(await respond(one, CLOSING + pieces[0], *pieces[1:], end="fin"))
    assert b"Transfer-Encoding: chunked" in lines
    assert body.endswith(b"0\r\n\r\n")
    assert one.bytes_out == 2
    assert one.keep_alive


@pytest.mark.parametrize("pieces", [[b"ok"], [b"o", b"k"]])
async def test_over_tls_its_end_is_the_clients_to_judge(pieces: list[bytes]) -> None:
    """A torn one looks the same, so no chunk may say that all is well."""
    one = exchange()
    peer = Peer()
    peer.connection.over_tls = True
    waiter = peer.send(one)
    peer.transport.deliver(CLOSING + pieces[0])
    await waiter
    task = asyncio.create_task(relay.respond(one, peer.connection.final_head(), peer.connection))
    await asyncio.sleep(0)
    for piece in pieces[1:]:
        peer.transport.deliver(piece)
    peer.transport.lose()
    await task
    lines, body = split(bytes(taker(one).written))
    assert b"Connection: close" in lines
    assert body == b"ok"
    assert not one.keep_alive


@pytest.mark.parametrize("response", [CHUNKED + b"0\r\n\r\n", CHUNKED + b"0\r\nX-T: 1\r\n\r\n"])
async def test_an_empty_body_in_chunks(response: bytes) -> None:
    _, body = split(await respond(exchange(), response))
    assert body == response.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "pieces", [[b"2\r\nok\r\n0\r\nX-T: 1\r\nSet-Cookie: no\r\n\r\n"], [b"2\r\nok\r\n0\r\nX-T: 1\r\n", b"\r\n"]]
)
async def test_trailers_pass_where_there_is_a_place_for_them(pieces: list[bytes]) -> None:
    _, body = split(await respond(exchange(), CHUNKED + pieces[0], *pieces[1:]))
    assert body == b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"
    _, body = split(await respond(exchange(version="1.0"), CHUNKED + pieces[0], *pieces[1:]))
    assert body == b"ok"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_no_body_no_framing(status: bytes) -> None:
    one = exchange()
    lines, body = split(await respond(one, b"HTTP/1.1 %b\r\nETag: x\r\n\r\n" % status))
    assert (lines[1:], body) == ([b"ETag: x", b"X-Correlation-ID: 7"], b"")
    assert one.keep_alive
    assert one.bytes_out == 0


async def test_head_has_the_length_of_what_it_stands_for() -> None:
    lines, body = split(await respond(exchange(b"HEAD"), SIZED[:-2]))
    assert b"Content-Length: 2" in lines
    assert body == b""


@pytest.mark.parametrize(
    ("version", "connection", "draining", "expected"),
    [
        ("1.1", None, False, None),
        ("1.1", b"close", False, b"Connection: close"),
        ("1.1", None, True, b"Connection: close"),
        ("1.0", None, False, b"Connection: close"),
        ("1.0", b"keep-alive", False, b"Connection: keep-alive"),
        ("1.0", b"keep-alive", True, b"Connection: close"),
    ],
)
async def test_what_is_said_of_the_connection(
    version: str, connection: bytes | None, draining: bool, expected: bytes | None
) -> None:
    one = exchange(version=version, fields=[] if connection is None else [(b"Connection", connection)])
    taker(one).draining = draining
    lines, _ = split(await respond(one, SIZED))
    assert [line for line in lines if line.startswith(b"Connection")] == ([expected] if expected else [])
    assert one.keep_alive is (expected != b"Connection: close")


async def test_an_answer_before_the_uploads_end_is_the_last() -> None:
    one = exchange(b"POST", fields=[(b"Content-Length", b"5")])
    lines, _ = split(await respond(one, SIZED))
    assert b"Connection: close" in lines
    assert not one.keep_alive


# ---- a slow client


async def test_a_client_that_stops_reading_stops_the_upstream() -> None:
    one = exchange()
    client = taker(one)
    peer = Peer()
    waiter = peer.send(one)
    peer.transport.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
    await waiter
    task = asyncio.create_task(relay.respond(one, peer.connection.final_head(), peer.connection))
    await asyncio.sleep(0)
    peer.transport.deliver(b"1234")
    client.pause()
    assert not peer.transport.reading
    client.resume()
    assert peer.transport.reading
    peer.transport.deliver(b"5678")
    await task
    assert client.written.endswith(b"12345678")


async def test_a_client_that_is_slow_already_is_not_flooded() -> None:
    one = exchange()
    client = taker(one)
    client.pause()
    peer = Peer()
    waiter = peer.send(one)
    peer.transport.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234")
    await waiter
    task = asyncio.create_task(relay.respond(one, peer.connection.final_head(), peer.connection))
    await asyncio.sleep(0)
    assert not peer.transport.reading
    client.resume()
    peer.transport.deliver(b"5678")
    await task


async def test_the_upstream_is_held_until_the_client_has_taken_all() -> None:
    one = exchange()
    taker(one).pause()
    task = asyncio.create_task(respond(one, SIZED))
    await asyncio.sleep(0.01)
    assert taker(one).written.endswith(b"ok")
    assert not task.done()
    taker(one).resume()
    await task


# ---- breaks


async def test_a_break_is_told_and_ends_as_no_whole_body_would() -> None:
    for version, ends in [("1.1", "closed"), ("1.0", "cut")]:
        one = exchange(version=version)
        with pytest.raises(ConnectionBroken):
            await respond(one, CHUNKED + b"2\r\nok\r\n", end="fin")
        assert taker(one).source is None
        relay.break_off(one)
        assert taker(one).end == ends
        assert not taker(one).written.endswith(b"0\r\n\r\n")
        assert not one.keep_alive


# ---- informational


async def test_informational_responses() -> None:
    hints = (103, b"Early Hints", [b"Link", b": ", b"</a>", b"\r\n"])
    for one, status, passes in [
        (exchange(), 103, True),
        (exchange(), 100, False),
        (exchange(b"POST", fields=[(b"Expect", b"100-continue")]), 100, True),
        (exchange(version="1.0"), 103, False),
        (exchange(b"POST", version="1.0", fields=[(b"Expect", b"100-continue")]), 100, False),
    ]:
        relay.informational(one, status, hints[1], hints[2])
        expected = b"HTTP/1.1 %d Early Hints\r\nLink: </a>\r\n\r\n" % status if passes else b""
        assert taker(one).written == expected


# ---- replies of our own


async def replied(one: Exchange, answer: Reply) -> tuple[list[bytes], bytes]:
    one.stamp = b"X-Correlation-ID: 7\r\n"
    relay.reply(one, answer, b"Not Found")
    return split(bytes(taker(one).written))


async def test_a_reply() -> None:
    one = exchange()
    lines, body = await replied(one, Reply(404, [(b"Content-Type", b"text/plain")], b"no"))
    assert lines[0] == b"HTTP/1.1 404 Not Found"
    assert lines[2:] == [b"Content-Type: text/plain", b"Content-Length: 2", b"X-Correlation-ID: 7"]
    name, _, date = lines[1].partition(b": ")
    assert name == b"Date"
    assert parsedate_to_datetime(date.decode()).tzinfo is not None
    assert date.endswith(b" GMT")
    assert body == b"no"
    assert (one.status, one.bytes_out, one.responded, one.keep_alive) == (404, 2, True, True)


async def test_a_reply_to_head() -> None:
    one = exchange(b"HEAD")
    lines, body = await replied(one, Reply(404, [], b"no"))
    assert b"Content-Length: 2" in lines
    assert body == b""
    assert one.bytes_out == 0


async def test_a_refusal_ends_the_connection_and_so_does_an_upload_that_is_not_read() -> None:
    refused = exchange()
    refused.refused = NoRoute()
    uploading = exchange(b"POST", fields=[(b"Content-Length", b"5")])
    for one in (refused, uploading):
        lines, _ = await replied(one, Reply(400, [], b""))
        assert b"Connection: close" in lines
        assert not one.keep_alive
