"""Tunnels over real sockets: all bytes both ways, each way of ending, bounded memory, and nothing left behind."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import build
from gateway.settings import Tls
from gateway.upstreams import tunnel as tunnels
from gateway.upstreams.connection import NEVER
from gateway.upstreams.tunnel import Tunnel
from tests.support.exchanges import Taker, exchange
from tests.support.expect import assert_within
from tests.support.origin import Origin
from tests.support.tls import Authority
from tests.support.wire import Wire
from tests.upstreams.rig import rigged, sockets

pytestmark = pytest.mark.both_loops
MB = 1 << 20


class Owner(asyncio.Protocol):
    """Whose transport it was; is to hear of its loss, once."""

    def __init__(self) -> None:
        self.lost: list[Exception | None] = []

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class Ends:
    """A tunnel, and the two peers that talk through it."""

    def __init__(self, client: Wire, upstream: Wire, tunnel: Tunnel, owners: list[Owner]) -> None:
        self.client = client
        self.upstream = upstream
        self.tunnel = tunnel
        self.owners = owners
        self.running: asyncio.Task[None]

    def peers(self, turned: bool) -> tuple[Wire, Wire]:
        return (self.upstream, self.client) if turned else (self.client, self.upstream)

    async def over(self, within: float = 5.0) -> float:
        began = time.monotonic()
        async with asyncio.timeout(within):
            await self.running
        await asyncio.sleep(0.01)
        assert [len(owner.lost) for owner in self.owners] == [1, 1]
        return time.monotonic() - began


@asynccontextmanager
async def joined(
    idle: float = NEVER, total: float = NEVER, early: tuple[bytes, bytes] = (b"", b"")
) -> AsyncIterator[Ends]:
    """Two socket pairs, joined in the middle."""
    loop = asyncio.get_running_loop()
    before = sockets()
    wires: list[Wire] = []
    inner: list[asyncio.Transport] = []
    owners = [Owner(), Owner()]
    for owner in owners:
        near, far = socket.socketpair()
        for sock in (near, far):
            sock.setblocking(False)
        _, wire = await loop.create_connection(Wire, sock=far)
        transport, _ = await loop.create_connection(lambda owner=owner: owner, sock=near)  # type: ignore[misc]
        transport.pause_reading()  # as both sides of an exchange are while the protocol changes
        wires.append(wire)
        inner.append(transport)
    tunnel = Tunnel((inner[0], owners[0]), (inner[1], owners[1]), idle, time.monotonic() + total)
    ends = Ends(wires[0], wires[1], tunnel, owners)
    ends.running = asyncio.create_task(tunnel.run(*early))
    await asyncio.sleep(0)
    try:
        yield ends
    finally:
        ends.running.cancel()
        await asyncio.gather(ends.running, return_exceptions=True)
        for wire in wires:
            if not wire.closed:
                wire.transport.abort()
        await asyncio.sleep(0.01)
        assert [len(owner.lost) for owner in owners] == [1, 1]
        assert sockets() <= before


TURNED = pytest.mark.parametrize("turned", [False, True], ids=["client", "upstream"])


# ---- bytes


async def test_what_came_early_comes_first() -> None:
    async with joined(early=(b"from client ", b"from upstream ")) as ends:
        ends.client.send(b"more")
        ends.upstream.send(b"more")
        assert await ends.upstream.read(16) == b"from client more"
        assert await ends.client.read(18) == b"from upstream more"
        assert (ends.tunnel.bytes_in, ends.tunnel.bytes_out) == (16, 18)


@TURNED
async def test_early_bytes_that_nobody_reads_hold_their_sender_back(turned: bool) -> None:
    early = (b"", b"x" * 2 * MB) if turned else (b"x" * 2 * MB, b"")
    async with joined(early=early) as ends:
        writer, reader = ends.peers(turned)
        reader.pause()
        sent = await writer.fill()
        assert sent < 8 * MB
        reader.resume()
        assert len(await reader.read(2 * MB + sent)) == 2 * MB + sent


async def test_a_lot_both_ways_at_once_arrives_as_it_was() -> None:
    data = random.Random(7).randbytes(3 * MB)
    async with joined() as ends:
        ends.client.send(data)
        ends.upstream.send(data[::-1])
        assert await ends.upstream.read(len(data)) == data
        assert await ends.client.read(len(data)) == data[::-1]


@TURNED
async def test_a_reader_that_stops_holds_the_writer_back_and_the_other_way_goes_on(turned: bool) -> None:
    async with joined() as ends:
        writer, reader = ends.peers(turned)
        reader.pause()
        sent = await writer.fill()
        assert sent < 8 * MB
        reader.send(b"still here")
        assert await writer.read(10) == b"still here"
        reader.resume()
        assert len(await reader.read(sent)) == sent


# ---- half-closes


@TURNED
async def test_a_half_close_is_passed_on_and_the_other_way_stays_open(turned: bool) -> None:
    async with joined() as ends:
        first, second = ends.peers(turned)
        first.send(b"x" * MB)
        first.half_close()
        assert len(await second.read_to_end()) == MB
        assert second.ended == "fin"
        second.send(b"answer")
        assert await first.read(6) == b"answer"
        assert not ends.running.done()
        second.half_close()
        await first.end()
        await ends.over()


@TURNED
async def test_the_last_bytes_get_out_to_a_slow_reader(turned: bool) -> None:
    async with joined() as ends:
        first, second = ends.peers(turned)
        second.pause()
        first.send(b"x" * 2 * MB)
        first.close()
        await asyncio.sleep(0.05)
        second.resume()
        assert len(await second.read_to_end()) == 2 * MB
        second.close()
        await ends.over()


@TURNED
async def test_a_half_open_tunnel_has_a_limit_of_its_own(turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "_LOOK", 0.02)
    monkeypatch.setattr(tunnels, "_HALF_OPEN", 0.4)
    async with joined() as ends:
        first, second = ends.peers(turned)
        first.half_close()
        await second.end()
        for _ in range(6):  # bytes the other way put it off
            second.send(b"x")
            await asyncio.sleep(0.1)
        assert not ends.running.done()
        assert_within(await ends.over(), 0.4, earliest=0)


# ---- losses


@TURNED
async def test_a_lost_side_ends_the_other(turned: bool) -> None:
    async with joined() as ends:
        first, second = ends.peers(turned)
        first.transport.abort()
        await second.end(1)
        second.close()
        await ends.over(1)


@TURNED
async def test_a_lost_side_does_not_wait_for_ever_for_the_other_to_read(
    turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnels, "_LOOK", 0.02)
    monkeypatch.setattr(tunnels, "_HALF_OPEN", 0.2)
    async with joined() as ends:
        first, second = ends.peers(turned)
        second.pause()
        await first.fill()
        await asyncio.sleep(0.05)
        first.transport.abort()
        # It is lost to the tunnel when that reads or writes again: its own reading is held back.
        (ends.tunnel._upstream if turned else ends.tunnel._client).transport.abort()
        assert_within(await ends.over(), 0.2)


@TURNED
async def test_cancelled_it_cuts_both(turned: bool) -> None:
    async with joined() as ends:
        first, _ = ends.peers(turned)
        first.send(b"x" * MB)
        await asyncio.sleep(0.01)
        ends.running.cancel()
        await ends.client.end(1)
        await ends.upstream.end(1)


# ---- time


async def test_idle() -> None:
    async with joined(idle=0.2) as ends:
        assert_within(await ends.over(), 0.2)
        await ends.client.end()
        await ends.upstream.end()


@TURNED
async def test_a_byte_either_way_is_not_idle(turned: bool) -> None:
    async with joined(idle=0.4) as ends:
        first, second = ends.peers(turned)
        for _ in range(6):
            await asyncio.sleep(0.1)
            first.send(b"x")
            await second.read(1)
        assert_within(await ends.over(), 0.4, earliest=0.7)


async def test_total_ends_a_busy_one() -> None:
    async with joined(total=0.3) as ends:
        began = time.monotonic()
        while not ends.running.done():
            assert time.monotonic() - began < 1
            if not ends.client.transport.is_closing():
                ends.client.send(b"x")
            await asyncio.sleep(0.02)
        assert_within(time.monotonic() - began, 0.3)


# ---- as part of an exchange


class Upgrading(Taker):
    """A client's side that has a transport to give up."""

    def __init__(self, transport: asyncio.Transport, owner: Owner, early: bytes) -> None:
        super().__init__()
        self._given = (transport, owner, early)

    def write(self, data: bytes) -> None:
        super().write(data)
        self._given[0].write(data)

    def into_tunnel(self) -> tuple[asyncio.Transport, asyncio.Protocol, bytes]:
        return self._given


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


@asynccontextmanager
async def upgraded(origin: Origin, **settings: Any) -> AsyncIterator[tuple[Wire, Wire, Any, Any, asyncio.Task[Any]]]:
    """An exchange that has become a tunnel: the client, the upstream, the exchange, the rig, the running forward."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    owner = Owner()
    for sock in (near, far):
        sock.setblocking(False)
    _, client = await loop.create_connection(Wire, sock=far)
    transport, _ = await loop.create_connection(lambda: owner, sock=near)
    transport.pause_reading()
    origin.hold()
    one = exchange(
        fields=[(b"Connection", b"upgrade"), (b"Upgrade", b"x")],
        client=Upgrading(transport, owner, b"early"),
    )
    async with rigged(origin.address, **settings) as rig:
        task = asyncio.create_task(rig.forward(one))
        upstream, _ = await origin.request()
        upstream.send(SWITCH + b"hello")
        await client.read(len(SWITCH) + len(b"hello"))
        assert await upstream.wire.read(5) == b"early"
        try:
            yield client, upstream.wire, one, rig, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not client.closed:
                client.transport.abort()
            await asyncio.sleep(0)


async def test_a_tunnel_counts_as_a_busy_connection_and_its_bytes_as_the_exchanges() -> None:
    async with Origin() as origin, upgraded(origin) as (client, upstream, one, rig, task):
        await rig.states(busy=1)
        client.send(b"ping")
        await upstream.read(4)
        upstream.send(b"pong!")
        await client.read(5)
        client.close()
        await upstream.end()
        upstream.close()
        assert (await task)[1] is None
        await rig.states()
        assert (one.status, one.bytes_in, one.bytes_out, one.error) == (101, 9, 10, "")
        assert not one.keep_alive
        assert rig.calls.outcomes == ["success"]


async def test_a_cancelled_exchange_cuts_its_tunnel() -> None:
    async with Origin() as origin, upgraded(origin) as (client, upstream, _, rig, task):
        task.cancel()
        await upstream.end(1)
        await client.end(1)
        await rig.states()
        assert rig.calls.outcomes == ["cancelled"]


async def test_the_response_s_deadlines_do_not_cut_a_tunnel() -> None:
    timeout = {"headers": 0.1, "idle": 0.1, "total": 0.2}
    async with Origin() as origin, upgraded(origin, timeout=timeout) as (client, upstream, *_):
        await asyncio.sleep(0.4)
        upstream.send(b"late")
        assert await client.read(4) == b"late"


async def test_a_routes_total_does() -> None:
    began = time.monotonic()
    async with Origin() as origin, upgraded(origin, on_route={"total": 0.3}) as (client, upstream, _, _, task):
        await upstream.end()
        await client.end()
        assert_within(time.monotonic() - began, 0.3)
        assert (await task)[1] is None


@TURNED
async def test_over_tls_an_end_is_an_end_without_a_word_in_the_log(
    turned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    tls = build._tls("app", Tls(ca=str(authority.file)))
    caplog.set_level(logging.DEBUG)
    async with (
        Origin(tls=authority.server("app.test")) as origin,
        upgraded(origin, tls=tls, name="app.test") as (client, upstream, _, rig, task),
    ):
        first, second = (upstream, client) if turned else (client, upstream)
        first.send(b"last words")
        assert await second.read(10) == b"last words"
        first.close()
        await second.end(2)
        second.close()
        async with asyncio.timeout(3):
            assert (await task)[1] is None
        await rig.states()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
