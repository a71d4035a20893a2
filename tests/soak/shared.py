"""Gateways that share a Redis, for longer than `make test` has time: their limits, their slots, and its outages."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from tests.faults.crowding import EXACT, LEASED, OVER, cases, crowd
from tests.faults.fleet import fleet
from tests.faults.outage import GRACE, TIMEOUT, Fault, ride_out
from tests.soak.result import Result
from tests.support.client import Address, Client
from tests.support.origin import Origin
from tests.support.redis import RedisCluster, RedisServer

LIMIT = 200  # a second
SLOTS = 5
LATE = (TIMEOUT + GRACE) * 1000  # milliseconds
LEASE = 30.0  # seconds until a killed gateway's slots come back, at most
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Say = Callable[[str], None]


@asynccontextmanager
async def _counting() -> AsyncIterator[tuple[Path, Origin]]:
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        async with Origin() as origin:
            yield Path(directory), origin
        assert not origin.violations, origin.violations[:5]


async def limits(seconds: float, say: Say) -> list[Result]:
    """What passes three gateways under three times as much, by each kind of rules."""
    results = []
    for case in cases(LIMIT):
        say(f"{case.name}: three gateways, {case.rate} requests a second, {seconds:g} s")
        async with _counting() as (directory, origin):
            with RedisServer() as server:
                [passed] = await crowd(directory, origin, server, [case], seconds)
        few, many = (LEASED, LEASED) if case.leased else (EXACT, 0.0)
        name = f"{case.name}, {OVER} times the limit for {seconds:g} s"
        results += [
            Result(f"{name}: passed", passed.count, "requests"),
            Result(f"{name}: too few", passed.too_few * 100, "%", few * 100),
            Result(f"{name}: too many", passed.too_many * 100, "%", many * 100),
        ]
    return results


async def outages(seconds: float, say: Say) -> list[Result]:
    """The server, or a whole Cluster, killed and back empty, and standing still and going on."""
    results = []
    for kind in (RedisServer, RedisCluster):
        for how in ("killed", "stopped"):
            name = f"{kind.__name__} {how} for {seconds:g} s at 500 requests/s"
            say(name)
            async with _counting() as (directory, origin):
                with _servers(kind) as (url, nodes):
                    outage = await ride_out(directory, origin.address, url, _fault(how, nodes), seconds)
            struck, spared = outage.struck, outage.spared
            results += [
                Result(f"{name}: later, median of {len(struck)}", struck[len(struck) // 2] * 1000, "ms", LATE),
                Result(f"{name}: later, the latest", struck[-1] * 1000, "ms", 3 * LATE),
                Result(f"{name}: 99 of 100 when all knew", spared[len(spared) * 99 // 100] * 1000, "ms"),
            ]
    return results


@contextmanager
def _servers(kind: type[RedisServer | RedisCluster]) -> Iterator[tuple[str, list[RedisServer]]]:
    with kind() as server:
        yield server.url, [server] if isinstance(server, RedisServer) else server.nodes


def _fault(how: str, nodes: list[RedisServer]) -> Fault:
    def each(act: Callable[[RedisServer], object]) -> Callable[[], object]:
        return lambda: [act(node) for node in nodes]

    if how == "killed":
        return Fault(each(RedisServer.kill), each(RedisServer.start))
    return Fault(each(RedisServer.stop), each(RedisServer.go_on))


async def slots(say: Say) -> list[Result]:
    """A gateway is killed that holds all slots of a shared cap: how long the other one has to wait for one."""
    say("a killed gateway's slots")
    async with _counting() as (directory, origin), AsyncExitStack() as stack:
        server = stack.enter_context(RedisServer())
        origin.answer = lambda request: STREAM
        cap = {"limit": SLOTS, "shared": True}
        sections = {"upstream": {"in_flight": cap}, "state": {"redis": server.url}}
        killed, other = await stack.enter_async_context(fleet(directory, origin.address, 2, **sections))
        for _ in range(SLOTS):
            client = await stack.enter_async_context(await Client.connect(killed.ingress))
            client.ask("GET", "/")
            assert (await client.response_head()).status == 200
        await asyncio.to_thread(killed.kill)
        began = time.monotonic()
        while (status := await _status(other.ingress)) == 503:
            await asyncio.sleep(0.1)
        waited = time.monotonic() - began
        assert status == 200
    return [Result("a killed gateway's slots are back after", waited, "s", LEASE + 1)]


async def _status(address: Address) -> int:
    """Of a response that does not end."""
    async with await Client.connect(address) as client:
        client.ask("GET", "/")
        return (await client.response_head()).status
