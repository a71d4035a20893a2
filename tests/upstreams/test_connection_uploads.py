"""Uploads: in which framing they go out, whose time runs meanwhile, and what an early answer leaves."""

from __future__ import annotations

import pytest

from gateway.errors import HeadersTimeout, IdleTimeout
from gateway.exchange import Exchange
from tests.support.exchanges import Uploading, exchange
from tests.support.expect import assert_within
from tests.upstreams.memory import Peer
from tests.upstreams.test_connection import HEAD, OK, T, failure, nothing


def upload(framing: bytes = b"Transfer-Encoding: chunked") -> tuple[Exchange, Uploading]:
    name, _, value = framing.partition(b": ")
    one = exchange(b"POST", fields=[(name, value)])
    assert isinstance(one.body.source, Uploading)
    return one, one.body.source


# ---- what is sent


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        (b"Transfer-Encoding: chunked", b"head\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"),
        (b"Content-Length: 19", b"head\r\n\r\nabc0123456789abcdef"),
    ],
)
async def test_uploads_in_their_framing(framing: bytes, expected: bytes) -> None:
    peer = Peer()
    one, _ = upload(framing)
    one.body.feed(b"abc")
    peer.send(one)
    one.body.feed(b"0123456789abcdef")
    one.body.finish()
    assert peer.transport.written == expected


async def test_an_upload_to_a_connection_that_is_gone_goes_nowhere() -> None:
    peer = Peer()
    one, source = upload()
    waiter = peer.send(one)
    peer.transport.lose()
    one.body.feed(b"abc")
    one.body.finish()
    await waiter
    assert peer.transport.written == b"head\r\n\r\n"
    assert not source.paused


async def test_an_early_answer_to_an_unfinished_upload_ends_the_connection() -> None:
    peer = Peer()
    one, _ = upload()
    waiter = peer.send(one)
    peer.transport.deliver(OK)
    await waiter
    assert not peer.connection.reusable()
    one.body.finish()
    assert peer.connection.reusable()


async def test_an_upload_that_lies_unsent_ends_it_too() -> None:
    """What the next request brought would be held back by nobody: its taker is blocked already."""
    peer = Peer()
    one, _ = upload()
    waiter = peer.send(one)
    peer.transport.block()
    one.body.finish()
    peer.transport.deliver(OK)
    await waiter
    assert not peer.connection.reusable()
    peer.transport.unblock()
    assert peer.connection.reusable()


# ---- uploads and time


async def test_headers_counts_from_the_uploads_last_byte() -> None:
    peer = Peer()
    one, _ = upload()
    waiter = peer.send(one, headers=T, idle=T)
    for _ in range(4):
        await nothing(peer, T / 2)
        one.body.feed(b"x")
    one.body.finish()
    error, seconds = await failure(peer, waiter)
    assert error is HeadersTimeout
    assert_within(seconds, T)


async def test_an_upstream_that_stops_taking_an_upload_is_idle() -> None:
    peer = Peer()
    one, source = upload()
    waiter = peer.send(one, headers=10, idle=T)
    peer.transport.block()
    assert source.paused
    error, seconds = await failure(peer, waiter)
    assert error is IdleTimeout
    assert_within(seconds, T)


async def test_one_that_takes_it_in_time_is_not() -> None:
    peer = Peer()
    one, source = upload()
    waiter = peer.send(one, headers=10, idle=T)
    for _ in range(4):
        peer.transport.block()
        await nothing(peer, T / 2)
        peer.transport.unblock()
        assert not source.paused
    await nothing(peer, 1.5 * T)  # now it is the client's turn
    one.body.finish()
    peer.transport.deliver(OK)
    await waiter
    assert peer.connection.final_head().status == 200


async def test_an_upstream_that_answers_early_may_wait_for_the_upload() -> None:
    peer = Peer()
    one, _ = upload()
    waiter = peer.send(one, headers=10, idle=T)
    peer.transport.deliver(HEAD)
    for _ in range(4):
        await nothing(peer, T / 2)
        one.body.feed(b"x")
    one.body.finish()
    error, seconds = await failure(peer, waiter)
    assert error is IdleTimeout
    assert_within(seconds, T)


async def test_but_not_while_it_takes_none_of_it() -> None:
    peer = Peer()
    one, _ = upload()
    waiter = peer.send(one, headers=10, idle=T)
    peer.transport.deliver(HEAD)
    peer.transport.block()
    error, seconds = await failure(peer, waiter)
    assert error is IdleTimeout
    assert_within(seconds, T)


async def test_who_asks_for_leave_to_send_waits_for_the_upstream() -> None:
    """RFC 9110, section 10.1.1: the client sends nothing, so it is the upstream's time that runs."""
    peer = Peer()
    one = exchange(b"POST", fields=[(b"Content-Length", b"5"), (b"Expect", b"100-continue")])
    waiter = peer.send(one, headers=T)
    error, seconds = await failure(peer, waiter)
    assert error is HeadersTimeout
    assert_within(seconds, T)


async def test_once_it_has_leave_its_own_time_runs() -> None:
    for leave in (True, False):
        peer = Peer()
        one = exchange(b"POST", fields=[(b"Content-Length", b"5"), (b"Expect", b"100-continue")])
        waiter = peer.send(one, headers=T)
        if leave:
            peer.transport.deliver(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:  # it does not wait for it
            one.body.feed(b"h")
        await nothing(peer, 2 * T)
        one.body.finish()
        peer.transport.deliver(OK)
        await waiter
