"""The pool, promise by promise; test_pool_model.py has them all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gateway.errors import ConnectFailed, PoolExhausted
from gateway.rules.response_head import Interest
from gateway.settings.upstream import Pool as PoolSettings
from gateway.upstreams.connection import NEVER, UpstreamConnection
from gateway.upstreams.connector import Connector
from gateway.upstreams.pool import Pool
from tests.support.exchanges import exchange
from tests.support.expect import assert_within
from tests.upstreams.memory import INTEREST, Dials

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Task = asyncio.Task[UpstreamConnection]


class Pooled:
    """A pool whose connector connects when it is told to."""

    def __init__(self, **limits: Any) -> None:
        self.dials = Dials()
        self.pool = Pool(cast("Connector", self.dials), PoolSettings(**limits), INTEREST)

    async def obtain(self, deadline: float = NEVER, connect: float = 1.0) -> UpstreamConnection:
        """What a request does: take, or obtain; then send."""
        now = time.monotonic()
        connection = self.pool.take(now) or await self.pool.obtain(now, connect, deadline)
        connection.send(b"", time.monotonic(), exchange(), NEVER, NEVER, NEVER)
        return connection

    def request(self, deadline: float = NEVER) -> Task:
        return asyncio.get_running_loop().create_task(self.obtain(deadline))

    async def connected(self) -> UpstreamConnection:
        """A busy connection, newly opened."""
        task = self.request()
        await turns()
        self.dials.pending[-1].set_result("ok")
        return await task

    def finish(self, connection: UpstreamConnection, response: bytes = OK) -> None:
        self.dials.transports[connection].deliver(response)
        self.pool.give_back(connection, time.monotonic())

    def states(self, **expected: int) -> None:
        assert self.pool.states() == {"idle": 0, "busy": 0, "connecting": 0, "waiting": 0, **expected}


async def turns(count: int = 5) -> None:
    """Let everybody run."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def pooled(**limits: Any) -> AsyncIterator[Pooled]:
    one = Pooled(**limits)
    yield one
    await one.pool.close()
    await turns()
    one.states()


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


# ---- the bound


async def test_waiting_is_served_in_order() -> None:
    async with pooled(connections=2, wait=5.0) as one:
        busy = [await one.connected() for _ in range(2)]
        tasks = [one.request() for _ in range(5)]
        await turns()
        one.states(busy=2, waiting=5)
        served: list[Task] = []
        for _ in tasks:
            connection = busy.pop(0)
            one.finish(connection)
            done, _ = await asyncio.wait(
                [task for task in tasks if task not in served], return_when="FIRST_COMPLETED"
            )
            assert len(done) == 1
            served += done
            busy.append(connection)
        assert served == tasks


async def test_who_comes_later_does_not_overtake() -> None:
    """Not even when it asks at the very moment at which a connection comes free."""
    async with pooled(connections=1, wait=5.0) as one:
        connection = await one.connected()
        first = one.request()
        await turns()
        one.finish(connection)
        second = one.request()
        assert await first is connection
        await turns()
        assert not second.done()
        one.finish(connection)
        assert await second is connection


async def test_waiting_has_an_end() -> None:
    async with pooled(connections=1, wait=0.15) as one:
        await one.connected()
        began = time.monotonic()
        with pytest.raises(PoolExhausted):
            await one.obtain()
        assert_within(time.monotonic() - began, 0.15)
        one.states(busy=1)


async def test_the_exchanges_own_deadline_ends_the_waiting_too() -> None:
    async with pooled(connections=1, wait=30.0) as one:
        await one.connected()
        began = time.monotonic()
        with pytest.raises(PoolExhausted):
            await one.obtain(deadline=began + 0.15)
        assert_within(time.monotonic() - began, 0.15)


async def test_the_queue_has_an_end() -> None:
    async with pooled(connections=1, queue=2, wait=5.0) as one:
        connection = await one.connected()
        waiting = [one.request() for _ in range(2)]
        await turns()
        with pytest.raises(PoolExhausted):
            await one.obtain()
        one.states(busy=1, waiting=2)
        for task in waiting:
            one.finish(connection)
            assert await task is connection


async def test_no_queue_at_all() -> None:
    async with pooled(connections=1, queue=0, idle=0.01) as one:
        connection = await one.connected()
        with pytest.raises(PoolExhausted):
            await one.obtain()
        one.finish(connection)
        await asyncio.sleep(0)
        connection.idle_since -= 1  # so that it is too old now
        assert await one.connected() is not connection
        one.states(busy=1)


async def test_a_failed_connect_passes_its_place_on() -> None:
    async with pooled(connections=1, wait=5.0) as one:
        first = one.request()
        await turns()
        second = one.request()
        await turns()
        one.states(connecting=1, waiting=1)
        one.dials.pending[0].set_result("refused")
        with pytest.raises(ConnectFailed):
            await first
        await turns()
        one.states(connecting=1)
        one.dials.pending[0].set_result("ok")
        await second


async def test_a_wider_limit_helps_those_who_wait_already() -> None:
    async with pooled(connections=1, wait=5.0) as one:
        connection = await one.connected()
        waiting = [one.request() for _ in range(3)]
        await turns()
        one.pool.limits = PoolSettings(connections=3, wait=5.0)
        connection.abort()
        await turns()
        one.states(connecting=3)
        for dial in one.dials.pending:
            dial.set_result("ok")
        await asyncio.gather(*waiting)


# ---- leaving at the wrong moment


async def test_leaving_as_a_connection_is_handed_over_leaves_it_to_the_next() -> None:
    async with pooled(connections=1, wait=5.0) as one:
        connection = await one.connected()
        first, second = one.request(), one.request()
        await turns()
        one.finish(connection)
        first.cancel()
        assert await second is connection
        assert first.cancelled()
        one.states(busy=1)


async def test_or_to_the_pool_when_nobody_waits() -> None:
    async with pooled(connections=1, wait=5.0) as one:
        connection = await one.connected()
        only = one.request()
        await turns()
        one.finish(connection)
        only.cancel()
        await turns()
        one.states(idle=1)
        assert await one.obtain() is connection


async def test_leaving_as_a_place_is_handed_over_leaves_it_to_the_next() -> None:
    async with pooled(connections=1, wait=5.0) as one:
        connection = await one.connected()
        first, second = one.request(), one.request()
        await turns()
        one.dials.transports[connection].lose()
        first.cancel()
        await turns()
        one.states(connecting=1)
        one.dials.pending[0].set_result("ok")
        assert await second is not connection


async def test_time_runs_out_as_a_connection_is_handed_over() -> None:
    async with pooled(connections=1, wait=0.05) as one:
        connection = await one.connected()
        task = one.request()
        await turns()
        time.sleep(0.1)
        one.finish(connection)
        await asyncio.wait([task])
        assert task.exception() is None or isinstance(task.exception(), PoolExhausted)
        states = one.pool.states()
        assert (states["idle"], states["busy"]) in ((1, 0), (0, 1))


@pytest.mark.parametrize("how", ["lose", "speak"])
async def test_a_connection_that_breaks_on_its_way_is_not_handed_over(how: str) -> None:
    async with pooled(connections=1, wait=5.0) as one:
        connection = await one.connected()
        task = one.request()
        await turns()
        one.finish(connection)
        transport = one.dials.transports[connection]
        transport.lose() if how == "lose" else transport.deliver(b"x")
        await turns()
        assert not task.done()
        one.states(connecting=1)
        one.dials.pending[0].set_result("ok")
        assert await task is not connection


async def test_leaving_while_connecting_frees_the_place() -> None:
    async with pooled(connections=1) as one:
        task = one.request()
        await turns()
        task.cancel()
        await turns()
        one.states()


async def test_a_connection_dead_on_arrival_frees_its_place() -> None:
    async with pooled(connections=1, wait=5.0) as one:
        first = asyncio.create_task(one.pool.obtain(time.monotonic(), 1.0, NEVER))
        await turns()
        second = one.request()
        await turns()
        one.dials.pending[0].set_result("dead")
        assert (await first).closed
        await turns()
        one.states(connecting=1)
        one.dials.pending[0].set_result("ok")
        await second


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
        one.pool.interest = Interest("X-Request-ID")
        connection = await one.connected()
        one.dials.transports[connection].deliver(OK.replace(b"\r\n\r\n", b"\r\nX-Request-ID: theirs\r\n\r\n"))
        assert b"X-Request-ID" not in connection.final_head().kept
