"""A full pool: who waits, for how long, in which order, and what becomes of those who leave at the wrong moment."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.errors import ConnectFailed, PoolExhausted
from gateway.settings.upstream import Pool as PoolSettings
from gateway.upstreams.connection import NEVER
from tests.support.expect import assert_within
from tests.upstreams.memory import INTEREST
from tests.upstreams.pooled import Task, pooled, turns

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
        await one.connected()
        waiting = [one.request() for _ in range(3)]
        await turns()
        one.pool.reconfigure(PoolSettings(connections=3, wait=5.0), INTEREST)
        await turns()
        one.states(busy=1, connecting=2, waiting=1)
        one.pool.reconfigure(PoolSettings(connections=9, wait=5.0), INTEREST)
        await turns()
        one.states(busy=1, connecting=3)
        for dial in one.dials.pending:
            dial.set_result("ok")
        await asyncio.gather(*waiting)


async def test_a_narrower_one_takes_nothing_away() -> None:
    async with pooled(connections=2, wait=5.0) as one:
        first, second = await one.connected(), await one.connected()
        waiting = one.request()
        await turns()
        one.pool.reconfigure(PoolSettings(connections=1, wait=5.0), INTEREST)
        first.abort()
        await turns()
        assert not waiting.done()
        one.finish(second)
        assert await waiting is second


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
