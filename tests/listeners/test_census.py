"""Each connection is counted once, by what it does."""

from __future__ import annotations

import asyncio
from time import monotonic

from gateway.exchange import Exchange, Reply
from gateway.listeners import census
from gateway.listeners.census import Seen
from gateway.listeners.client_connection import ClientConnection
from gateway.upstreams import relay
from tests.listeners.memory import Listening, turns

GET = b"GET /%b HTTP/1.1\r\nHost: a.example\r\n\r\n"


class Stages:
    """Takes each exchange as far as its path says, and leaves it there."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        stage = exchange.path
        if stage == b"/done":
            relay.reply(exchange, Reply(200), b"OK")
            return
        if stage != b"/waiting":
            exchange.upstream = "app"
        if stage == b"/answering":
            exchange.responded = True
        if stage == b"/tunnel":
            exchange.client_side.into_tunnel()
        await self.go.wait()


def numbers(seen: Seen) -> dict[str, int]:
    names = ("idle", "reading", "waiting", "busy", "tunnels", "closing")
    return {name: getattr(seen, name) for name in names if getattr(seen, name)}


async def test_each_is_counted_once(no_leaked_tasks: None) -> None:
    stages = Stages()
    one = Listening(stages, connections=500)
    assert numbers(census.look(one.listener)) == {}
    connections: list[ClientConnection] = []
    for stage in (b"waiting", b"asking", b"answering", b"tunnel", b"done", b"", b"half"):
        connection, transport = one.connect()
        connections.append(connection)
        if stage:
            transport.deliver(b"GET /" if stage == b"half" else GET % stage)
    await turns()
    seen = census.look(one.listener)
    assert numbers(seen) == {"idle": 2, "reading": 1, "waiting": 1, "busy": 2, "tunnels": 1}
    assert (seen.listener, seen.limit) == ("ingress", 500)
    states = {exchange.path: state for exchange, state in seen.exchanges}
    assert states == {b"/waiting": "waiting", b"/asking": "asking", b"/answering": "answering", b"/tunnel": "tunnel"}
    for connection in connections:
        connection.connection_lost(None)
    stages.go.set()
    await turns()
    assert numbers(census.look(one.listener)) == {}


async def test_the_longest_come_first(no_leaked_tasks: None) -> None:
    stages = Stages()
    one = Listening(stages)
    connections = []
    for age in (5, 50, 20):
        connection, transport = one.connect()
        connections.append(connection)
        transport.deliver(GET % b"asking")
        await turns()
        assert connection.exchange is not None
        connection.exchange.started -= age
    now = monotonic()
    found = census.long_running([census.look(one.listener)], now - 10)
    assert [round(now - exchange.started) for exchange, _ in found] == [50, 20]
    for connection in connections:
        connection.connection_lost(None)
    await turns()
