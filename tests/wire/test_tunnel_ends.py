"""How tunnels end: by either side, by a reset, by the idle timeout, by a total one; cleanly on both sides."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.client import Client, head
from tests.support.expect import assert_within
from tests.support.gateway import Gateway
from tests.support.origin import Origin
from tests.wire.conftest import Side, StartOnce
from tests.wire.test_tunnels import SWITCH, WEBSOCKET, tunnel


async def test_the_clients_end(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        upstream, _ = await tunnel(client, origin, f"{side.prefix}/")
        client.send(b"last words " * 10_000)
        client.wire.half_close()
        assert await upstream.wire.read_to_end() == b"last words " * 10_000
        assert upstream.wire.ended == "fin"
        upstream.wire.close()
        assert await client.wire.end() == "fin"


async def test_the_upstreams_end(side: Side, origin: Origin) -> None:
    async with await side.connect() as client:
        upstream, _ = await tunnel(client, origin, f"{side.prefix}/")
        upstream.send(b"last words " * 10_000)
        upstream.wire.half_close()
        assert await client.wire.read_to_end() == b"last words " * 10_000
        assert client.wire.ended == "fin"
        client.wire.close()
        assert await upstream.gone()


async def test_the_upstreams_end_in_the_same_write_as_the_switch(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("GET", "/", WEBSOCKET))
    upstream = await origin.accept()
    await upstream.head()
    upstream.send(SWITCH % b"websocket" + b"bye")
    upstream.wire.half_close()
    assert (await client.response_head()).status == 101
    assert await client.wire.read_to_end() == b"bye"


async def test_a_slow_reader_gets_all_of_it(client: Client, origin: Origin) -> None:
    upstream, _ = await tunnel(client, origin)
    client.wire.pause()
    upstream.send(b"x" * (4 << 20))
    upstream.wire.half_close()
    await asyncio.sleep(0.05)
    client.wire.resume()
    assert len(await client.wire.read_to_end(20)) == 4 << 20
    assert client.wire.ended == "fin"


async def test_the_clients_reset(client: Client, origin: Origin) -> None:
    upstream, _ = await tunnel(client, origin)
    client.wire.reset()
    assert await upstream.gone(0.5)


async def test_the_upstreams_reset(client: Client, origin: Origin) -> None:
    upstream, _ = await tunnel(client, origin)
    upstream.wire.reset()
    assert await client.wire.end(0.5)


async def test_a_client_that_leaves_before_the_switch(client: Client, origin: Origin) -> None:
    origin.hold()
    client.send(head("GET", "/", WEBSOCKET))
    upstream = await origin.accept()
    await upstream.head()
    client.wire.reset()
    assert await upstream.gone(0.5)


async def test_a_tunnel_is_in_flight_until_it_ends_and_then_has_its_line(gateway: Gateway, origin: Origin) -> None:
    before = await gateway.metric("gateway_requests_total", listener="ingress", status="101")
    async with await Client.connect(gateway.ingress) as client:
        upstream, response = await tunnel(client, origin)
        assert await gateway.metric("gateway_in_flight", scope="listener", name="ingress") == 1
        client.send(b"four")
        await upstream.wire.read(4)
    await upstream.gone()
    upstream.wire.close()
    await gateway.metric_is(0, "gateway_in_flight", scope="listener", name="ingress")
    correlation_id = response.values("x-correlation-id")[0].decode()
    line = await gateway.access_line(correlation_id=correlation_id)
    assert line["status"] == 101
    assert await gateway.metric("gateway_requests_total", listener="ingress", status="101") == before + 1


IDLE = 0.4


@pytest.fixture(scope="module")
def impatient(start_once: StartOnce) -> Gateway:
    """Tunnels may be idle for 400 ms, exchanges last as long in all; /limited sets a total of its own."""
    return start_once(
        upstream={"timeout": {"tunnel": "400ms", "idle": "200ms", "total": "400ms"}},
        ingress={
            "routes": [
                {
                    "name": "limited",
                    "path": "/limited",
                    "upstream": "app",
                    "timeout": {"total": "600ms", "tunnel": "5s"},
                },
                {"name": "all", "path": "/**", "upstream": "app"},
            ]
        },
    )


async def test_an_idle_tunnel_ends(impatient: Gateway, origin: Origin) -> None:
    async with await Client.connect(impatient.ingress) as client:
        upstream, _ = await tunnel(client, origin)
        started = time.monotonic()
        await client.wire.end()
        await upstream.gone()
    assert_within(client.wire.ended_at - started, IDLE)
    assert_within(upstream.wire.ended_at - started, IDLE)


@pytest.mark.parametrize("speaker", ["client", "upstream"])
async def test_a_busy_tunnel_lasts(impatient: Gateway, origin: Origin, speaker: str) -> None:
    """One side's bytes are enough; neither the body's idle timeout nor the upstream's total cuts it."""
    async with await Client.connect(impatient.ingress) as client:
        upstream, _ = await tunnel(client, origin)
        one, other = (client.wire, upstream.wire) if speaker == "client" else (upstream.wire, client.wire)
        until = time.monotonic() + 2.5 * IDLE
        while time.monotonic() < until:
            one.send(b"x")
            assert await other.read(1) == b"x"
            await one.silence(IDLE / 4)


async def test_a_total_timeout_of_the_route_ends_a_busy_tunnel(impatient: Gateway, origin: Origin) -> None:
    async with await Client.connect(impatient.ingress) as client:
        started = time.monotonic()
        upstream, _ = await tunnel(client, origin, "/limited")
        while not client.wire.ended and time.monotonic() < started + 3:
            upstream.send(b"x")
            await client.wire.wait(lambda: bool(client.wire.unread or client.wire.ended), "a byte or the end")
            client.wire.taken = len(client.wire.received)
        assert_within(client.wire.ended_at - started, 0.6)
        assert await upstream.gone()
