"""Which connections are used again, and for how long they are kept; test_pool_model.py has it all at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.rules.response_head import Interest
from gateway.upstreams.connection import NEVER
from gateway.upstreams.pool import FRESH
from tests.support.exchanges import exchange
from tests.support.expect import assert_within
from tests.upstreams.pooled import OK, pooled, turns

# ---- reuse


async def test_the_connection_used_last_is_used_next() -> None:
    async with pooled() as one:
        first, second = await one.connected(), await one.connected()
        one.finish(first)
        one.finish(second)
        assert await one.obtain() is second
        assert await one.obtain() is first
        one.states(busy=2)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        OK + b"x",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_what_cannot_be_used_again_is_closed(response: bytes) -> None:
    async with pooled() as one:
        connection = await one.connected()
        if response:
            one.dials.transports[connection].deliver(response)
        one.pool.give_back(connection, time.monotonic())
        await turns()
        assert one.dials.transports[connection].lost
        one.states()


async def test_states_count_each_connection_once() -> None:
    async with pooled(connections=2, queue=5) as one:
        one.states()
        task = one.request()
        await turns()
        one.states(connecting=1)
        one.dials.pending[0].set_result("ok")
        connection = await task
        one.states(busy=1)
        one.finish(connection)
        one.states(idle=1)
        assert await one.obtain() is connection
        await one.connected()
        waiting = one.request()
        await turns()
        one.states(busy=2, waiting=1)
        one.finish(connection)
        await turns()
        one.states(busy=2)
        assert await waiting is connection


# ---- age


async def test_what_may_not_be_sent_twice_takes_no_connection_that_may_be_stale() -> None:
    async with pooled(connections=2) as one:
        first = await one.connected()
        one.finish(first)
        since = first.idle_since
        assert one.pool.take(since + FRESH + 0.1, repeatable=False) is None
        one.states(idle=1)
        assert one.pool.take(since + FRESH - 0.1, repeatable=False) is first
        one.pool.give_back(first, since)
        assert one.pool.take(since + FRESH + 0.1) is first, "what may be sent again may try"
        await one.connected()
        one.pool.give_back(first, since)
        assert one.pool.take(since + FRESH + 0.1, repeatable=False) is first, "there is no room for another"


async def test_an_upstream_that_says_how_long_it_keeps_connections_is_believed() -> None:
    async with pooled() as one:
        first = await one.connected()
        response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=60\r\n\r\nok"
        one.dials.transports[first].deliver(response)
        one.pool.give_back(first, time.monotonic())
        assert one.pool.take(first.idle_since + FRESH + 0.1, repeatable=False) is first


@pytest.mark.parametrize(
    ("hint", "used", "fresh"), [(b"5", 3.9, 4.1), (b"2", 0.9, 1.1), (b"1", 0.4, 0.6), (b"600", 14.9, 15.1)]
)
async def test_an_upstreams_own_idle_limit_is_kept_with_a_margin(hint: bytes, used: float, fresh: float) -> None:
    """Its word or our own limit, whichever is shorter: it must not close while our request is on its way."""
    async with pooled(idle=15.0) as one:
        for after, reused in [(used, True), (fresh, False)]:
            connection = await one.connected()
            one.finish(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=%b\r\n\r\n" % hint)
            taken = one.pool.take(connection.idle_since + after)
            assert (taken is connection) is reused
            if taken is not None:
                taken.abort()
                await turns()


async def test_a_limit_of_zero_means_that_it_keeps_none() -> None:
    async with pooled() as one:
        connection = await one.connected()
        one.finish(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=0\r\n\r\n")
        assert one.pool.take(connection.idle_since) is None


async def test_an_idle_connection_is_closed_in_time_without_being_asked_for() -> None:
    async with pooled(idle=0.2) as one:
        connection = await one.connected()
        one.finish(connection)
        began = time.monotonic()
        async with asyncio.timeout(5):
            while one.pool.states()["idle"]:
                await asyncio.sleep(0.005)
        assert_within(time.monotonic() - began, 0.2)
        await turns()
        assert one.dials.transports[connection].lost


async def test_idle_zero_keeps_none() -> None:
    async with pooled(idle=0.0) as one:
        connection = await one.connected()
        one.finish(connection)
        await asyncio.sleep(0.02)
        one.states()


async def test_an_old_connection_serves_no_further_request() -> None:
    async with pooled(lifetime=10.0, idle=100.0) as one:
        connection = await one.connected()
        one.finish(connection)
        assert one.pool.take(connection.expires - 0.1) is connection
        connection.send(b"", 0, exchange(), NEVER, NEVER, NEVER)
        one.dials.transports[connection].deliver(OK)
        one.pool.give_back(connection, connection.expires + 0.1)
        await turns()
        one.states()
    async with pooled(lifetime=None) as one:
        assert (await one.connected()).expires == NEVER


async def test_idle_connections_to_an_address_that_the_name_left_are_closed() -> None:
    async with pooled(idle=0.4) as one:
        connections = [await one.connected() for _ in range(2)]
        one.dials.resolver.current = "10.0.0.2"
        connections.append(await one.connected())
        for connection in connections:
            one.finish(connection)
        one.pool._sweep()
        await turns()
        one.states(idle=1)
        assert [one.dials.transports[connection].lost for connection in connections] == [True, True, False]


# ---- the end


async def test_retiring_closes_what_is_idle_and_the_rest_as_it_comes_back() -> None:
    async with pooled() as one:
        idle, busy = await one.connected(), await one.connected()
        one.finish(idle)
        one.pool.retire()
        await turns()
        assert one.dials.transports[idle].lost
        one.states(busy=1)
        one.finish(busy)
        await turns()
        assert one.dials.transports[busy].lost
        one.states()
        late = await one.connected()  # what was on its way to it is served still
        one.finish(late)
        await turns()
        one.states()
        assert one.pool._sweeper is None


async def test_closing_ends_the_busy_ones_too() -> None:
    async with pooled() as one:
        idle, busy = await one.connected(), await one.connected()
        one.finish(idle)
        await one.pool.close()
        await turns()
        assert one.dials.transports[idle].lost
        assert one.dials.transports[busy].aborted
        one.states()


async def test_new_connections_have_the_newest_interest() -> None:
    async with pooled() as one:
        one.pool.reconfigure(one.pool.limits, Interest("X-Request-ID"))
        connection = await one.connected()
        one.dials.transports[connection].deliver(OK.replace(b"\r\n\r\n", b"\r\nX-Request-ID: theirs\r\n\r\n"))
        assert b"X-Request-ID" not in connection.final_head().kept
