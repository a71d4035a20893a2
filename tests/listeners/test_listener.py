"""Listening, sweeping and draining over real sockets; what a client sees of limits and of drains is tests/wire's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.exchange import Exchange, Reply
from gateway.listeners.client_connection import ClientConnection
from gateway.upstreams import relay
from tests.listeners.memory import Listening
from tests.support.client import Address, Client, fetch


class Held:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.running += 1
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        relay.reply(exchange, Reply(200, [], b"late"), b"OK")


@asynccontextmanager
async def listening(serve: Any = None, **limits: object) -> AsyncIterator[tuple[Listening, Address]]:
    one = Listening(serve, **limits)
    address = await one.listener.start("127.0.0.1", 0)
    try:
        yield one, address
    finally:
        await one.listener.drain(asyncio.get_running_loop().time())
    assert one.counts.now == 0
    assert one.bugs == []


async def test_it_says_where_it_listens_and_serves_there() -> None:
    async with listening() as (one, address):
        assert address[0] == "127.0.0.1"
        assert address[1] > 0
        response = await fetch(address, "GET", "/x")
        assert (response.status, response.body) == (200, b"ok")
        assert one.counts.ever == 1


async def test_an_address_that_is_taken() -> None:
    async with listening() as (_, address):
        with pytest.raises(OSError, match="in use"):
            await Listening().listener.start(*address)


async def test_it_counts_who_is_there() -> None:
    async with listening() as (one, address):
        clients = [await Client.connect(address) for _ in range(3)]
        await asyncio.sleep(0.02)
        assert one.counts.now == len(one.listener.connections) == 3
        for client in clients:
            client.wire.close()
        await asyncio.sleep(0.02)
        assert one.counts.now == len(one.listener.connections) == 0


async def test_it_looks_often_enough_to_keep_its_shortest_limit() -> None:
    async with listening(keep_alive="200ms") as (_, address), await Client.connect(address) as client:
        await client.request("GET", "/")
        began = time.monotonic()
        await client.wire.end()
        assert 0.15 < time.monotonic() - began < 0.6


async def test_one_connections_trouble_does_not_end_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(keep_alive="200ms") as (one, address):
        async with await Client.connect(address), await Client.connect(address):
            await asyncio.sleep(0.02)
            broken, *_ = one.listener.connections
            check = ClientConnection.check

            def troubled(connection: ClientConnection, now: float) -> None:
                check(connection, now if connection is not broken else 1 / 0)

            monkeypatch.setattr(ClientConnection, "check", troubled)
            async with asyncio.timeout(3):
                while len(one.listener.connections) > 1:
                    await asyncio.sleep(0.01)
            assert one.listener.connections == {broken}
        assert {type(bug) for bug in one.bugs} == {ZeroDivisionError}
        one.bugs.clear()


# ---- draining


async def test_draining_with_nothing_to_do() -> None:
    one = Listening()
    address = await one.listener.start("127.0.0.1", 0)
    one.listener.stop_accepting()
    assert await one.listener.drain(asyncio.get_running_loop().time() + 5)
    with pytest.raises(OSError, match=r"refused|Connect"):
        await Client.connect(address)


async def test_draining_lets_finish_what_runs() -> None:
    held = Held()
    async with listening(held) as (one, address), await Client.connect(address) as client:
        client.ask("GET", "/")
        await client.wire.silence(0.05)
        one.listener.draining = True
        one.listener.stop_accepting()
        draining = asyncio.create_task(one.listener.drain(asyncio.get_running_loop().time() + 5))
        await client.wire.silence(0.1)
        held.go.set()
        response = await client.response()
        assert response.body == b"late"
        assert response.value("connection") == b"close"
        assert await draining


async def test_draining_has_an_end() -> None:
    held = Held()
    async with listening(held) as (one, address), await Client.connect(address) as client:
        client.ask("GET", "/")
        await client.wire.silence(0.05)
        one.listener.stop_accepting()
        began = time.monotonic()
        assert not await one.listener.drain(asyncio.get_running_loop().time() + 0.2)
        assert 0.15 < time.monotonic() - began < 0.8
        assert await client.wire.end(1)
        assert held.running == 0


async def test_an_idle_client_may_still_ask_once_and_is_told_to_go() -> None:
    async with listening() as (one, address), await Client.connect(address) as client:
        await client.request("GET", "/")
        one.listener.draining = True
        one.listener.stop_accepting()
        draining = asyncio.create_task(one.listener.drain(asyncio.get_running_loop().time() + 5))
        await asyncio.sleep(0.05)
        response = await client.request("GET", "/last")
        assert response.value("connection") == b"close"
        assert await client.wire.end() == "fin"
        assert await draining


async def test_who_had_connected_when_it_stopped_accepting_is_served() -> None:
    """The system had taken the connection, so the client has no way to know better."""
    async with listening() as (one, address):
        waiting = [await Client.connect(address) for _ in range(20)]
        one.listener.draining = True
        one.listener.stop_accepting()
        draining = asyncio.create_task(one.listener.drain(asyncio.get_running_loop().time() + 5))
        for client in waiting:
            assert (await client.request("GET", "/")).status == 200
            client.wire.close()
        assert await draining


async def test_stopping_twice_is_stopping() -> None:
    one = Listening()
    await one.listener.start("127.0.0.1", 0)
    one.listener.stop()
    one.listener.stop()
    assert await one.listener.drain(asyncio.get_running_loop().time() + 1)
