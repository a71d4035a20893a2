"""Requests held for an upstream that is starting: one looks for it, all go on at once, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.errors import ConnectFailed, GatewayError, NotStarted
from gateway.rules.breaker import CLOSED, BreakerRule
from gateway.upstreams.breaker import Breaker
from gateway.upstreams.startup import AT_ONCE, Startup
from tests.support.expect import assert_within
from tests.support.gateway import until
from tests.support.late_port import LatePort
from tests.upstreams.rig import Rig, leave, rigged, start

pytestmark = pytest.mark.both_loops


class Waiting:
    """A rig whose requests wait, and what is to be seen of it."""

    def __init__(self, rig: Rig, wait: float) -> None:
        self.rig = rig
        self.told: list[str] = []
        self.bugs: list[BaseException] = []
        self.dials = self.dialling = self.most_dialling = 0
        self.startup = rig.upstream.startup = Startup(
            rig.pool, time.monotonic() + wait, self.told.append, lambda _, bug: self.bugs.append(bug)
        )
        dial = rig.connector._dial

        async def counted() -> socket.socket:
            self.dials += 1
            self.dialling += 1
            self.most_dialling = max(self.most_dialling, self.dialling)
            try:
                return await dial()
            finally:
                self.dialling -= 1

        rig.connector._dial = counted  # type: ignore[method-assign]

    async def holds(self, count: int) -> None:
        await until(lambda: self.startup.held == count, f"{count} to be held")

    async def ask(self) -> GatewayError | None:
        return (await start(self.rig)[1])[1]


@asynccontextmanager
async def waiting(port: LatePort, wait: float = 30.0, **settings: Any) -> AsyncIterator[Waiting]:
    async with rigged(port.address, **settings) as rig:
        one = Waiting(rig, wait)
        yield one
        await until(lambda: one.startup._looking is None or one.startup._looking.done(), "nobody to look any more")
        assert not one.startup.held
        assert not one.bugs


async def test_they_go_on_once_it_is_there(port: LatePort) -> None:
    async with waiting(port) as one:
        tasks = [start(one.rig)[1]]
        await one.holds(1)
        tasks += [start(one.rig, b"POST", [(b"Content-Length", b"4")], b"body")[1] for _ in range(19)]
        await one.holds(20)
        await asyncio.sleep(0.6)
        assert one.dials < 8  # those of the one that looks, not of each that waits
        async with port.open() as origin:
            for written, error in await asyncio.gather(*tasks):
                assert error is None
                assert written.startswith(b"HTTP/1.1 200")
            assert len(origin.requests) == 20
            await one.rig.pool.close()
        assert one.told == ["waiting", "up"]
        began = time.monotonic()
        assert isinstance(await one.ask(), ConnectFailed)  # it is gone, and was there before: no waiting
        assert time.monotonic() - began < 0.3


async def test_a_request_that_may_have_waited_says_so(port: LatePort) -> None:
    async with waiting(port) as one, port.open():
        exchange, task = start(one.rig)
        assert (await task)[1] is None
        assert exchange.early
        one.rig.upstream.startup = None
        exchange, task = start(one.rig)
        assert (await task)[1] is None
        assert not exchange.early


async def test_a_crowd_does_not_connect_at_once(port: LatePort) -> None:
    """All of it would run out of time to connect: the app has just come up, and takes one after the other."""
    async with waiting(port) as one:
        tasks = [start(one.rig)[1] for _ in range(200)]
        await one.holds(200)
        one.most_dialling = 0
        async with port.open() as origin:
            for _, error in await asyncio.gather(*tasks):
                assert error is None
            assert len(origin.requests) == 200
            await one.rig.pool.close()
        assert 1 < one.most_dialling <= AT_ONCE


async def test_what_comes_while_another_is_refused_is_found(port: LatePort) -> None:
    """One has been refused, another has reached the app before that is known: it is there, so both go on."""
    async with waiting(port) as one:
        dial, refused, go_on = one.rig.connector._dial, asyncio.Event(), asyncio.Event()

        async def late() -> socket.socket:
            try:
                return await dial()
            except OSError:
                refused.set()
                await go_on.wait()
                raise

        one.rig.connector._dial = late  # type: ignore[method-assign]
        task = start(one.rig)[1]
        await refused.wait()
        async with port.open():
            assert await one.ask() is None
            go_on.set()
            assert (await task)[1] is None
            await one.rig.pool.close()
        assert one.told == ["up"]


async def test_the_time_for_it_is_over(port: LatePort) -> None:
    breaker = Breaker("app", BreakerRule(failures=1, reset=30), frozenset(), lambda *_: None)
    async with waiting(port, 0.4, breaker=breaker) as one:
        began = time.monotonic()
        tasks = [start(one.rig)[1] for _ in range(3)]
        for written, error in await asyncio.gather(*tasks):
            assert isinstance(error, NotStarted)
            assert not written
        assert_within(time.monotonic() - began, 0.4)
        assert breaker.state(time.monotonic()) == CLOSED
        await until(lambda: one.told == ["waiting", "over"], "it to be told")
        began = time.monotonic()
        assert isinstance(await one.ask(), ConnectFailed)
        assert time.monotonic() - began < 0.3
        assert one.rig.calls.outcomes == ["not-started"] * 3 + ["connection-refused"]


async def test_the_requests_own_time_is_over_before(port: LatePort) -> None:
    async with waiting(port, on_route={"total": 0.3}) as one:
        began = time.monotonic()
        assert isinstance(await one.ask(), NotStarted)
        assert_within(time.monotonic() - began, 0.3)


async def test_clients_leave(port: LatePort) -> None:
    async with waiting(port) as one:
        tasks = [start(one.rig)[1] for _ in range(3)]
        await one.holds(3)
        await leave(tasks[0])  # whose request began the waiting
        async with port.open():
            for task in tasks[1:]:
                assert (await task)[1] is None


async def test_nobody_looks_for_it_when_all_have_left(port: LatePort) -> None:
    async with waiting(port) as one:
        for _ in range(2):
            tasks = [start(one.rig)[1] for _ in range(3)]
            await one.holds(3)
            for task in tasks:
                await leave(task)
            dials = one.dials
            await asyncio.sleep(0.3)
            assert one.dials == dials


async def test_what_is_there_at_once_is_not_looked_for(port: LatePort) -> None:
    async with waiting(port) as one, port.open():
        assert await one.ask() is None
        assert one.told == ["up"]
        assert one.dials == 1


async def test_calls_of_the_app_are_not_held(port: LatePort) -> None:
    async with waiting(port) as one:
        one.rig.way.waits = False
        assert isinstance(await one.ask(), ConnectFailed)
        assert one.told == []
