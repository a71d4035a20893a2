"""A client's connection through its phases, without a socket; tests/wire has it over sockets."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.exchange import Exchange, Reply
from gateway.listeners.client_connection import CLOSING, HEAD, IDLE, LINGERING, SERVING
from gateway.upstreams import relay
from tests.listeners.memory import Listening, turns

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n"


class Held:
    """Serves nothing until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, exchange: Exchange) -> None:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        relay.reply(exchange, Reply(200), b"OK")


async def test_the_phases_of_a_request() -> None:
    held = Held()
    one = Listening(held)
    connection, transport = one.connect()
    assert connection.phase == IDLE
    transport.deliver(GET[:10])
    assert connection.phase == HEAD
    transport.deliver(GET[10:])
    await turns()
    assert connection.phase == SERVING
    held.go.set()
    await turns()
    assert connection.phase == IDLE
    transport.deliver(GET + GET[:10])
    await turns()
    assert connection.phase == HEAD
    transport.lose()
    await turns()
    assert connection.phase == CLOSING
    assert one.counts.now == 0


async def test_the_last_response_closes() -> None:
    one = Listening()
    connection, transport = one.connect()
    transport.deliver(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    await turns()
    assert len(one.echo.served) == 1
    assert transport.written.count(b"HTTP/1.1") == 1
    assert (connection.phase, transport.lost, transport.aborted) == (CLOSING, True, False)


async def test_a_refused_request_is_answered_and_what_follows_is_read_but_not_heard() -> None:
    one = Listening()
    connection, transport = one.connect()
    transport.deliver(b"GET / HTTP/1.1\r\n\r\n" + GET)
    await turns()
    assert connection.phase == LINGERING
    assert transport.ended
    assert not transport.closing
    transport.deliver(GET * 100)
    await turns()
    assert one.echo.refused == [400]
    assert one.echo.served == []
    connection.check(time.monotonic() + one.listener.limits.linger + 0.1)
    await turns()
    assert transport.lost


async def test_a_request_behind_a_refused_one_in_the_queue_is_not_lost() -> None:
    one = Listening()
    _, transport = one.connect()
    transport.deliver(GET + GET + b"nonsense\r\n\r\n")
    await turns()
    assert len(one.echo.served) == 2
    assert one.echo.refused == [400]
    transport.lose()
    await turns()


@pytest.mark.parametrize("how", ["eof", "lost"])
async def test_leaving_ends_what_is_served(how: str) -> None:
    held = Held()
    one = Listening(held)
    connection, transport = one.connect()
    transport.deliver(GET + GET)
    await turns()
    if how == "eof":
        connection.eof_received()
    else:
        transport.lose(ConnectionResetError())
    await turns()
    assert held.cancelled == 1
    assert transport.lost
    assert one.counts.now == 0
    connection.write(b"too late")  # who sends does not know it yet
    await connection.drained()


async def test_leaving_while_we_wait_for_it_to_read() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.client_side.write(b"x" * 10)
        connection.pause_writing()
        await exchange.client_side.drained()

    one = Listening(serve)
    connection, transport = one.connect()
    transport.deliver(GET)
    await turns()
    transport.lose()
    await turns()
    assert one.counts.now == 0


async def test_a_bug_in_serving_cuts_and_is_told() -> None:
    async def serve(exchange: Exchange) -> None:
        raise ZeroDivisionError

    one = Listening(serve)
    _, transport = one.connect()
    transport.deliver(GET)
    await turns()
    assert transport.aborted
    assert [type(bug) for bug in one.bugs] == [ZeroDivisionError]
    assert one.counts.now == 0


async def test_a_body_that_cannot_be_finished_ends_its_exchange() -> None:
    one = Listening()
    _, transport = one.connect()
    transport.deliver(POST.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"2\r\nok\r\n")
    await turns()
    assert one.echo.running == 1
    transport.deliver(b"nonsense\r\n")
    await turns()
    assert one.echo.refused == [400]
    assert one.echo.left == 0
    transport.lose()
    await turns()


# ---- holding back


async def test_two_reasons_to_hold_back_are_two() -> None:
    held = Held()
    one = Listening(held)
    connection, transport = one.connect()
    transport.deliver(GET)
    await turns()
    connection.pause_reading()
    assert not transport.reading
    connection.pause_reading()
    connection.resume_reading()
    assert transport.reading
    transport.deliver(GET)
    assert not transport.reading
    connection.pause_reading()
    connection.resume_reading()
    assert not transport.reading
    held.go.set()
    await turns()
    assert transport.reading
    transport.lose()
    await turns()


async def test_a_slow_reader_holds_its_source_back() -> None:
    class Source:
        paused = 0

        def pause_reading(self) -> None:
            self.paused += 1

        def resume_reading(self) -> None:
            self.paused -= 1

    connection, transport = Listening().connect()
    connection.pause_writing()
    source = connection.source = Source()
    connection.resume_writing()
    assert source.paused == -1
    connection.pause_writing()
    assert source.paused == 0
    assert connection.write_paused
    transport.lose()


# ---- time


def later(one: Listening, key: str, share: float) -> float:
    limit: float = getattr(one.listener.limits, key)
    return time.monotonic() + limit * share


async def test_an_idle_connection_is_closed_in_time() -> None:
    one = Listening()
    connection, transport = one.connect()
    for _ in range(2):
        connection.check(later(one, "keep_alive", 0.9))
        assert not transport.closing
        transport.deliver(GET)
        await turns()
    connection.check(later(one, "keep_alive", 1.1))
    await turns()
    assert transport.lost
    assert not transport.aborted


async def test_a_slow_head_is_refused_in_time() -> None:
    one = Listening()
    connection, transport = one.connect()
    transport.deliver(GET[:5])
    connection.check(later(one, "header_timeout", 0.9))
    await turns()
    assert one.echo.refused == []
    for _ in range(2):
        connection.check(later(one, "header_timeout", 1.1))
        await turns()
    assert one.echo.refused == [408]
    transport.lose()


async def test_a_slow_body_is_refused_in_time_but_our_own_pauses_do_not_count() -> None:
    one = Listening(body_timeout="1s", body_rate="100B")
    connection, transport = one.connect()
    transport.deliver(POST.replace(b"5", b"500") + b"x" * 100)
    await turns()
    start = time.monotonic()
    connection.check(start + 0.9)
    connection.pause_reading()
    connection.resume_reading()  # from here on it is measured anew
    connection.check(start + 0.95)
    await turns()
    assert one.echo.refused == []
    connection.check(start + 1.5)
    await turns()
    assert one.echo.refused == [408]
    transport.lose()


async def test_a_body_that_keeps_its_pace_is_not() -> None:
    one = Listening(body_timeout="1s", body_rate="100B")
    connection, transport = one.connect()
    transport.deliver(POST.replace(b"5", b"500"))
    await turns()
    start = time.monotonic()
    for second in range(1, 4):
        transport.deliver(b"x" * 150)
        connection.check(start + 1.1 * second)
        await turns()
    assert one.echo.refused == []
    connection.check(start + 5)
    await turns()
    assert one.echo.refused == [408]
    transport.lose()


async def test_a_connection_that_serves_is_not_closed_for_being_idle() -> None:
    held = Held()
    one = Listening(held)
    connection, transport = one.connect()
    transport.deliver(GET)
    await turns()
    assert not connection.close_when_idle()
    connection.check(later(one, "keep_alive", 3))
    assert not transport.closing
    held.go.set()
    await turns()
    assert connection.close_when_idle()
    await turns()
    assert transport.lost


# ---- one too many


async def test_connections_over_the_limit_are_told_so_and_a_flood_is_cut() -> None:
    one = Listening(connections=2)
    kept = [one.connect() for _ in range(2)]
    over = [one.connect() for _ in range(70)]
    await turns(20)
    assert [transport.closing for _, transport in kept] == [False, False]
    assert one.counts.refused == 70
    assert one.echo.refused == [503] * 64
    for connection, transport in over:
        assert transport.aborted or connection.phase == LINGERING
        transport.lose()
    for _, transport in kept:
        transport.deliver(GET)
    await turns()
    assert len(one.echo.served) == 2
    for _, transport in kept:
        transport.lose()
    await turns()
    assert one.counts.now == 0


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::7", "2001:db8::7")],
)
async def test_what_it_serves_knows_who_asks(peer: str, expected: str) -> None:
    seen: list[Exchange] = []

    async def serve(exchange: Exchange) -> None:
        seen.append(exchange)
        relay.reply(exchange, Reply(200), b"OK")

    _, transport = Listening(serve).connect(peer)
    transport.deliver(GET)
    await turns()
    assert (seen[0].listener, seen[0].peer, seen[0].client) == ("ingress", expected, expected)
    transport.lose()
    await turns()


async def test_an_empty_line_begins_no_request() -> None:
    """RFC 9112, section 2.2: some clients send one behind a body. It is no head, and nobody is told to hurry."""
    one = Listening()
    connection, transport = one.connect()
    for data in (b"\r\n", b"\r", b"\n"):
        transport.deliver(data)
        await turns()
        assert connection.phase == IDLE
    connection.check(later(one, "header_timeout", 1.1))
    await turns()
    assert (connection.phase, transport.written) == (IDLE, b"")
    transport.deliver(b"\r\n" + GET[:10])
    assert connection.phase == HEAD
    transport.deliver(GET[10:])
    await turns()
    assert transport.written.startswith(b"HTTP/1.1 200 ")


async def test_what_comes_in_one_turn_is_served_in_its_order() -> None:
    one = Listening()
    clients = [one.connect() for _ in range(3)]
    for number, (_, transport) in enumerate(clients):
        transport.deliver(b"GET /%d HTTP/1.1\r\nHost: a\r\n" % number)
    for _, transport in clients:
        transport.deliver(b"\r\n")  # of the same turn
    assert not one.echo.served
    await turns()
    assert [path for _, path, _ in one.echo.served] == [b"/0", b"/1", b"/2"]


async def test_who_has_left_in_the_turn_in_which_he_came_is_not_served() -> None:
    one = Listening()
    gone, stays = one.connect(), one.connect()
    for _, transport in (gone, stays):
        transport.deliver(GET)
    gone[1].abort()
    await turns()
    assert len(one.echo.served) == 1
    assert stays[1].written.startswith(b"HTTP/1.1 200")


async def test_a_bug_with_one_is_nobody_elses_trouble() -> None:
    one = Listening()
    (first, lost), (_, other) = one.connect(), one.connect()
    first._reader.queue = None  # type: ignore[assignment]
    lost.deliver(GET)
    other.deliver(GET)
    await turns()
    assert one.bugs
    assert lost.aborted
    assert other.written.startswith(b"HTTP/1.1 200")
