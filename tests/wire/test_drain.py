"""The end: SIGTERM turns readiness, waits, lets what is in flight finish, and loses nothing; SIGINT does not wait.

Ingress first, then egress; where the admin API has begun it, egress goes on until a signal.
"""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.support.client import Client, chunked, fetch
from tests.support.config import config
from tests.support.expect import assert_within
from tests.support.gateway import Gateway, until
from tests.support.message import Cut, Request
from tests.support.origin import Origin, ok
from tests.support.wire import Ended
from tests.wire.conftest import Start
from tests.wire.test_admin import ask
from tests.wire.test_tunnels import tunnel

DELAY = 0.8


async def test_sigterm_in_order(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": f"{int(DELAY * 1000)}ms", "timeout": "5s"})
    metrics, ingress, egress = gateway.metrics, gateway.ingress, gateway.egress
    origin.hold()
    async with await Client.connect(ingress) as client, await Client.connect(egress) as app:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        gateway.sigterm()
        told = time.monotonic()
        await gateway.event(event="draining")
        assert (await gateway.get("/readyz")).status == 503
        assert (await gateway.get("/livez")).status == 200
        origin.serve()
        response = await fetch(ingress, "GET", "/still-open")
        assert response.status == 200
        assert response.closes  # and go elsewhere
        app.ask("GET", "/provider/")
        assert (await app.response()).status == 200
        assert time.monotonic() - told < DELAY

        await until(lambda: not accepts(ingress), "ingress to stop accepting")
        assert_within(time.monotonic() - told, DELAY)
        # the request in flight still needs the app, and the app its calls out
        assert (await fetch(egress, "GET", "/provider/")).status == 200
        assert (await fetch(metrics, "GET", "/readyz", [("Connection", "close")])).status == 503
        assert gateway.alive
        upstream.send(ok(b"at last"))
        response = await client.response()
        assert (response.status, response.body, response.closes) == (200, b"at last", True)
        assert await client.wire.end() == "fin"
    assert await gateway.wait() == 0
    for address in (ingress, egress, metrics):
        assert not accepts(address)


def accepts(address: tuple[str, int]) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(address) == 0


async def test_sigint_does_not_wait(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "30s", "timeout": "5s"})
    await fetch(gateway.ingress, "GET", "/")
    started = time.monotonic()
    gateway.signal(2)
    assert await gateway.wait() == 0
    assert time.monotonic() - started < 3


async def test_sigint_ends_sigterms_delay(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "30s", "timeout": "5s"})
    gateway.sigterm()
    await gateway.event(event="draining")
    gateway.sigterm()
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200
    gateway.signal(2)
    assert await gateway.wait(5) == 0


@pytest.mark.parametrize("streaming", [False, True])
async def test_what_does_not_finish_in_time_is_cut(start: Start, origin: Origin, streaming: bool) -> None:
    gateway = await start(drain={"delay": "0s", "timeout": "500ms"})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        if streaming:
            upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            await client.wire.wait(lambda: b"half" in client.wire.received, "half of it")
        started = time.monotonic()
        gateway.sigterm()
        with pytest.raises((Cut, Ended)):
            await client.response()
        assert_within(time.monotonic() - started, 0.5)
        await upstream.gone()
    assert await gateway.wait() == 0
    assert gateway.access[-1]["error"] == "drain-timeout", "its client had not left"


async def test_a_stream_that_ends_in_time_ends_cleanly(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "0s", "timeout": "5s"})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        body = client.body(await client.response_head())
        await body.read(5)
        gateway.sigterm()
        await gateway.event(event="draining")
        upstream.send(chunked(b"last"))
        assert await body.rest() == b"last"
    assert await gateway.wait() == 0


async def test_a_tunnel_is_given_until_the_timeout(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "0s", "timeout": "600ms"})
    async with await Client.connect(gateway.ingress) as client:
        upstream, _ = await tunnel(client, origin)
        gateway.sigterm()
        await gateway.event(event="draining")
        client.send(b"still here")
        assert await upstream.wire.read(10) == b"still here"
        await client.wire.end()
        await upstream.gone()
    assert await gateway.wait() == 0


async def test_idle_connections_are_closed(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "0s", "timeout": "10s"})
    async with await Client.connect(gateway.ingress) as used, await Client.connect(gateway.ingress) as fresh:
        assert (await used.request("GET", "/")).status == 200
        started = time.monotonic()
        gateway.sigterm()
        assert await used.wire.end() == "fin"
        assert await fresh.wire.end() == "fin"
    assert await gateway.wait() == 0
    assert time.monotonic() - started < 5


async def test_no_request_is_lost_under_load(start: Start, origin: Origin) -> None:
    """Clients that go elsewhere when they are told to see every request answered, whole."""
    gateway: Gateway = await start(drain={"delay": "500ms", "timeout": "5s"})
    address = gateway.ingress
    answered = 0

    async def answer(request: Request) -> bytes:
        await asyncio.sleep(0.002)
        return ok(request.target * 10)

    async def client(number: int) -> None:
        nonlocal answered
        count = 0
        while True:
            try:
                connection = await Client.connect(address)
            except OSError:
                return  # it accepts no more
            async with connection:
                while True:
                    count += 1
                    target = f"/{number}/{count}"
                    response = await connection.request("GET", target)
                    assert response.status == 200
                    assert response.body == target.encode() * 10
                    answered += 1
                    if response.closes:
                        break

    origin.answer = answer
    clients = [asyncio.create_task(client(number)) for number in range(20)]
    await asyncio.sleep(0.3)
    gateway.sigterm()
    await asyncio.gather(*clients)
    assert await gateway.wait() == 0
    assert len(gateway.access) == answered > 100
    assert {line["status"] for line in gateway.access} == {200}


# ---- what uses egress keeps it


async def test_egress_stays_for_what_ingress_has_in_flight(start: Start, origin: Origin) -> None:
    """And its own: a call under way is answered, an idle connection closed, each when its turn has come."""
    gateway = await start(drain={"delay": "0s", "timeout": "10s"}, upstream={"pool": {"idle": "0s"}})
    origin.hold()
    async with (
        await Client.connect(gateway.ingress) as client,
        await Client.connect(gateway.egress) as app,
        await Client.connect(gateway.egress) as pooled,
        await Client.connect(gateway.egress) as streaming,
    ):
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        streaming.ask("GET", "/provider/stream")
        provider, _ = await origin.request()
        provider.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        stream = streaming.body(await streaming.response_head())
        gateway.sigterm()
        gateway.sigterm()
        await until(lambda: not accepts(gateway.ingress), "ingress to stop accepting")
        origin.serve()
        for _ in range(2):  # on the app's own connections, which nothing tells to go elsewhere yet
            for connection in (app, pooled):
                response = await connection.request("GET", "/provider/")
                assert (response.status, response.closes) == (200, False)
            await asyncio.sleep(0.6)  # longer than an idle connection lasts on a listener that drains
        origin.hold()
        app.ask("GET", "/provider/last")
        last, _ = await origin.request()
        upstream.send(ok(b"the answer"))
        assert (await client.response()).body == b"the answer"
        assert await pooled.wire.end() == "fin"
        assert not accepts(gateway.egress)
        last.send(ok(b"the last call"))
        response = await app.response()
        assert (response.status, response.body, response.closes) == (200, b"the last call", True)
        provider.send(chunked(b"last"))
        assert await stream.rest() == b"firstlast"
    assert await gateway.wait() == 0
    assert gateway.events[-1]["clean"]


async def test_by_the_api_egress_goes_on_until_sigterm(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "300ms", "timeout": "10s"}, upstream={"pool": {"idle": "0s"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client, await Client.connect(gateway.egress) as app:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        assert await drain(gateway, "POST") == (False, {"ingress": 1, "egress": 0})
        assert (await gateway.get("/readyz")).status == 503
        await until(lambda: not accepts(gateway.ingress), "ingress to stop accepting")
        upstream.send(ok(b"at last"))
        assert (await client.response()).body == b"at last"
        await gateway.event(event="drained")
        assert await drain(gateway) == (True, {"egress": 0})
        await asyncio.sleep(2)  # longer than a process without an egress shows that it has drained
        origin.serve()
        response = await app.request("GET", "/provider/")
        assert (response.status, response.closes) == (200, False)
        assert (await fetch(gateway.egress, "GET", "/provider/new")).status == 200
        assert (await gateway.get("/livez")).status == 200
        origin.hold()
        app.ask("GET", "/provider/last")
        last, _ = await origin.request()
        gateway.sigterm()
        told = time.monotonic()
        await until(lambda: not accepts(gateway.egress), "egress to stop accepting")
        assert time.monotonic() - told < 0.3  # without another delay
        gateway.sigterm()
        last.send(ok(b"the last call"))
        assert (await app.response()).body == b"the last call"
    assert await gateway.wait() == 0
    assert gateway.events[-1]["clean"]


@pytest.mark.parametrize("phase", ["delay", "in flight"])
async def test_sigterm_takes_a_drain_by_the_api_on_to_the_end(start: Start, origin: Origin, phase: str) -> None:
    """From where it is: the delay that has run does not run again."""
    gateway = await start(drain={"delay": "600ms", "timeout": "10s"})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        await drain(gateway, "POST")
        begun = time.monotonic()
        if phase == "in flight":
            await until(lambda: not accepts(gateway.ingress), "ingress to stop accepting")
        gateway.sigterm()
        await until(lambda: not accepts(gateway.ingress), "ingress to stop accepting")
        assert_within(time.monotonic() - begun, 0.6)
        upstream.send(ok(b"at last"))
        assert (await client.response()).body == b"at last"
    assert await gateway.wait() == 0
    assert time.monotonic() - begun < 5
    assert gateway.events[-1]["clean"]


async def test_sigint_ends_the_delay_of_a_drain_by_the_api(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "30s", "timeout": "5s"})
    await drain(gateway, "POST")
    gateway.signal(2)
    assert await gateway.wait(5) == 0


async def test_what_ingress_had_before_it_moved_is_waited_for_too(start: Start, origin: Origin) -> None:
    gateway = await start(drain={"delay": "0s", "timeout": "10s"})
    before = gateway.ingress
    origin.hold()
    async with await Client.connect(before) as client:
        client.ask("GET", "/")
        upstream, _ = await origin.request()
        gateway.write(
            config(origin.address, ingress={"bind": "127.0.0.2:0"}, drain={"delay": "0s", "timeout": "10s"})
        )
        gateway.sighup()
        await gateway.event(event="config_reloaded")
        gateway.sigterm()
        await until(lambda: not accepts(gateway.ingress), "ingress to stop accepting")
        origin.serve()
        await asyncio.sleep(0.7)  # longer than a listener waits that has nothing in flight
        assert (await fetch(gateway.egress, "GET", "/provider/")).status == 200
        upstream.send(ok(b"at last"))
        assert (await client.response()).body == b"at last"
    assert await gateway.wait() == 0
    assert gateway.events[-1]["clean"]


async def drain(gateway: Gateway, method: str = "GET") -> tuple[bool, dict[str, int]]:
    """Ask for a drain, or after it: whether ingress has drained, and what is in flight."""
    said = await ask(gateway, method, "/drain")
    assert said["phase"] == "draining"
    return said["drained"], said["in_flight"]
