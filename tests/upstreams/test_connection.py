"""A connection's ends and deadlines, and who is asked to hold back when one side is slower than the other."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.errors import ConnectionBroken, HeadersTimeout, IdleTimeout, TotalTimeout, UpstreamError
from gateway.exchange import BODY_BUFFER
from tests.support.expect import assert_within
from tests.upstreams.memory import Body, Peer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
T = 0.2


async def whole(peer: Peer) -> None:
    """Wait for the response's end. Raises UpstreamError."""
    peer.connection.final_head()
    await peer.connection.done()


async def failure(peer: Peer, waiter: asyncio.Future[None]) -> tuple[type[UpstreamError], float]:
    """How the exchange fails, and after how many seconds."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(5):
            await waiter
            peer.connection.final_head()
            await peer.connection.done()
    except UpstreamError as error:
        assert peer.transport.aborted
        assert not peer.connection.reusable()
        return type(error), time.monotonic() - began
    raise AssertionError("it did not fail")


async def nothing(peer: Peer, seconds: float) -> None:
    """Nothing is ended meanwhile."""
    await asyncio.sleep(seconds)
    assert not peer.transport.closing


# ---- which deadline


@pytest.mark.parametrize("came", [b"", b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 103 Hints\r\n\r\n"])
async def test_headers(came: bytes) -> None:
    peer = Peer()
    waiter = peer.send(headers=T, idle=T / 10, total=10)
    if came:
        peer.transport.deliver(came)
    error, seconds = await failure(peer, waiter)
    assert error is HeadersTimeout
    assert_within(seconds, T)


async def test_idle() -> None:
    peer = Peer()
    waiter = peer.send(headers=T / 10, idle=T, total=10)
    peer.transport.deliver(HEAD)
    error, seconds = await failure(peer, waiter)
    assert error is IdleTimeout
    assert_within(seconds, T)


async def test_every_byte_begins_the_idle_time_anew() -> None:
    peer = Peer()
    waiter = peer.send(idle=T)
    peer.transport.deliver(HEAD)
    peer.connection.attach(Body())
    for _ in range(6):
        await nothing(peer, T / 2)
        peer.transport.deliver(b"x")
    assert (await failure(peer, waiter))[0] is IdleTimeout


@pytest.mark.parametrize("came", [b"", HEAD])
async def test_total(came: bytes) -> None:
    peer = Peer()
    waiter = peer.send(headers=10, idle=10, total=T)
    if came:
        peer.transport.deliver(came)
    error, seconds = await failure(peer, waiter)
    assert error is TotalTimeout
    assert_within(seconds, T)


async def test_total_is_not_put_off_by_bytes() -> None:
    peer = Peer()
    waiter = peer.send(idle=10, total=T)
    peer.transport.deliver(HEAD)
    peer.connection.attach(Body())
    until = time.monotonic() + 3 * T
    while not peer.transport.closing and time.monotonic() < until:
        peer.transport.deliver(b"x")
        await asyncio.sleep(0.01)
    assert (await failure(peer, waiter))[0] is TotalTimeout


async def test_a_lifted_total_cuts_nothing_but_idle_still_does() -> None:
    peer = Peer()
    waiter = peer.send(idle=3 * T, total=T)
    peer.transport.deliver(HEAD)
    peer.connection.lift_total()
    await nothing(peer, 1.5 * T)
    peer.transport.deliver(b"x")
    assert (await failure(peer, waiter))[0] is IdleTimeout


async def test_without_limits_there_is_no_timer() -> None:
    peer = Peer()
    peer.send()
    peer.transport.deliver(HEAD)
    peer.connection.attach(Body())
    assert peer.connection._timer is None


async def test_one_timer_serves_many_exchanges_and_none_outlives_the_connection() -> None:
    peer = Peer()
    for _ in range(5):
        waiter = peer.send(headers=5, idle=5, total=9)
        timer = peer.connection._timer
        peer.transport.deliver(OK)
        await waiter
        peer.connection.rest(0)
        assert peer.connection._timer is timer
    assert timer is not None
    peer.transport.lose()
    assert timer.cancelled()
    assert peer.connection._timer is None


async def test_an_old_deadline_does_not_cut_a_later_exchange() -> None:
    peer = Peer()
    waiter = peer.send(headers=T)
    peer.transport.deliver(OK)
    await waiter
    peer.connection.rest(0)
    await asyncio.sleep(T / 2)
    waiter = peer.send(headers=2 * T)
    await nothing(peer, T)
    assert (await failure(peer, waiter))[0] is HeadersTimeout


# ---- holding back


async def test_a_body_that_nobody_takes_is_held_back_and_our_pause_is_not_its_silence() -> None:
    peer = Peer()
    waiter = peer.send(headers=10, idle=T, total=10)
    peer.transport.deliver(HEAD)
    await waiter
    peer.transport.deliver(b"x" * BODY_BUFFER)
    assert peer.transport.reading
    peer.transport.deliver(b"x")
    assert not peer.transport.reading
    await nothing(peer, 2 * T)
    sink = Body()
    peer.connection.resume_reading()
    peer.connection.attach(sink)
    assert len(sink.body) == BODY_BUFFER + 1
    error, seconds = await failure(peer, waiter)
    assert error is IdleTimeout
    assert_within(seconds, T)


async def test_pausing_and_resuming_may_be_said_twice() -> None:
    peer = Peer()
    waiter = peer.send()
    peer.transport.deliver(HEAD)
    await waiter
    for _ in range(2):
        peer.connection.pause_reading()
    assert not peer.transport.reading
    for _ in range(2):
        peer.connection.resume_reading()
    assert peer.transport.reading
    peer.transport.lose()
    peer.connection.pause_reading()
    peer.connection.resume_reading()


async def test_total_runs_while_we_pause() -> None:
    peer = Peer()
    waiter = peer.send(idle=T / 3, total=T)
    peer.transport.deliver(HEAD)
    peer.connection.pause_reading()
    error, seconds = await failure(peer, waiter)
    assert error is TotalTimeout
    assert_within(seconds, T)


async def test_a_connection_that_goes_back_is_read_again() -> None:
    peer = Peer()
    waiter = peer.send()
    peer.transport.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    await waiter
    assert not peer.transport.reading
    assert peer.connection.reusable()
    peer.connection.rest(0)
    assert peer.transport.reading


# ---- the ends of a connection


@pytest.mark.parametrize("exc", [None, ConnectionResetError()])
@pytest.mark.parametrize("came", [b"", b"HTTP/1.1 2", CHUNKED, OK[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_connection_that_is_lost_too_early(came: bytes, exc: Exception | None) -> None:
    peer = Peer()
    waiter = peer.send()
    if came:
        peer.transport.deliver(came)
    assert peer.connection.answered is bool(came)
    peer.transport.lose(exc)
    await waiter
    with pytest.raises(ConnectionBroken):
        await whole(peer)
    assert peer.closed == 1


async def test_a_reset_is_no_end_of_a_body_that_ends_with_the_connection() -> None:
    for exc in (None, ConnectionResetError()):
        peer, sink = Peer(), Body()
        waiter = peer.send()
        peer.transport.deliver(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await waiter
        peer.connection.attach(sink)
        peer.transport.lose(exc)
        if exc is None:
            await peer.connection.done()
            assert sink.trailers == []
        else:
            with pytest.raises(ConnectionBroken):
                await peer.connection.done()
            assert sink.trailers is None
        assert not peer.connection.reusable()


async def test_after_a_whole_response_its_loss_is_no_error() -> None:
    peer, sink = Peer(), Body()
    waiter = peer.send()
    peer.transport.deliver(OK)
    peer.transport.lose()
    await waiter
    peer.connection.attach(sink)
    await peer.connection.done()
    assert sink.body == b"ok"
    assert not peer.connection.reusable()


async def test_an_error_is_told_to_each_who_asks() -> None:
    peer = Peer()
    waiter = peer.send()
    peer.transport.lose()
    await waiter
    for _ in range(2):
        with pytest.raises(UpstreamError):
            peer.connection.final_head()
        with pytest.raises(UpstreamError):
            await peer.connection.done()
    assert peer.connection.take() is None
