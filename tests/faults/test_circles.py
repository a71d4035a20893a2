"""What a connection held is freed with it, however it ended, without the garbage collector.

That one comes by seldom (its thresholds are high, for speed), and a gateway whose clients connect anew for each
request would grow by megabytes in between, and stand still while they are looked through.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop
import yaml

from gateway import settings
from gateway.assembly import Gateway
from gateway.telemetry import access_log
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from tests.support.client import Client, head
from tests.support.config import config
from tests.support.gateway import until
from tests.support.load_origin import LoadOrigin
from tests.support.message import Cut, Request
from tests.support.origin import Origin, Upstream, ok
from tests.support.wire import Ended

TIMES = 5
Visit = Callable[[Client], Awaitable[object]]


async def plain(client: Client) -> None:
    await client.request("GET", "/")


async def upload(client: Client) -> None:
    await client.request("POST", "/", body=b"x" * 100_000)


async def leave_while_waiting(client: Client) -> None:
    client.ask("GET", "/never")
    await asyncio.sleep(0.02)


async def leave_while_uploading(client: Client) -> None:
    client.send(head("POST", "/", [("Content-Length", "100")]) + b"half")
    await asyncio.sleep(0.02)


async def nonsense(client: Client) -> None:
    assert (await client.request("GET", "/nonsense")).status == 502


async def cut(client: Client) -> None:
    with suppress(Cut, Ended):
        await client.request("POST", "/cut", body=b"x" * 1000)


async def malformed(client: Client) -> None:
    client.send(b"what\r\n\r\n")
    await client.wire.read_to_end()


async def silent(client: Client) -> None:
    pass


async def act(upstream: Upstream, request: Request) -> bool:
    await upstream.body(request).rest()
    if request.target == b"/never":
        await upstream.gone()
    elif request.target == b"/nonsense":
        upstream.send(b"nonsense\r\n\r\n")
    elif request.target == b"/cut":
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    else:
        upstream.send(ok(b"y" * 100))
        return True
    return False


@pytest.mark.parametrize(
    "visit", [plain, upload, leave_while_waiting, leave_while_uploading, nonsense, cut, malformed, silent]
)
def test_nothing_is_left(visit: Visit, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        left = runner.run(_left_by(visit, tmp_path))
    assert not left, f"after {TIMES} connections: {dict(left)}"


async def _left_by(visit: Visit, directory: Path) -> Counter[str]:
    """The gateway's objects that are still there when their connections are gone."""
    async with LoadOrigin(act) as origin, _gateway(directory, origin) as gateway:
        listener = gateway._running["ingress"].listener
        pool = gateway._forwarding._upstreams["app"].pool
        assert listener._server is not None
        address = listener._server.sockets[0].getsockname()[:2]

        async def visits(times: int) -> None:
            for _ in range(times):
                async with await Client.connect(address) as client:
                    await visit(client)
            await until(lambda: not listener.connections, "the clients' connections' end")
            await until(lambda: not pool.states()["busy"], "the requests' end")
            await origin.settle()
            await until(lambda: not pool.states()["idle"], "the upstream connections' end")
            await asyncio.sleep(2 * access_log.DELAY)  # what was called last has returned, and the lines are made

        await visits(1)  # what comes with the first stays
        gc.collect()
        gc.disable()
        try:
            before = _objects()
            await visits(TIMES)
            return _objects() - before
        finally:
            gc.enable()


def _objects() -> Counter[str]:
    """Instances of the gateway's own classes, and of the parsers that they have."""
    kinds = [type(thing) for thing in gc.get_objects()]
    return Counter(kind.__name__ for kind in kinds if str(kind.__module__).startswith(("gateway.", "httptools.")))


@asynccontextmanager
async def _gateway(directory: Path, origin: Origin) -> AsyncIterator[Gateway]:
    """A gateway in this process."""
    path = directory / "gateway.yaml"
    path.write_text(yaml.safe_dump(config(origin.address)))
    loaded = settings.load(str(path), os.environ)
    metrics = Metrics()
    with Path(os.devnull).open("w") as nowhere:
        log = Log(nowhere, fmt="json", level="info")
        lines = AccessLog(nowhere, metrics, log)
        gateway = Gateway(loaded, log, lines, metrics, Health())
        await gateway.start()
        try:
            yield gateway
        finally:
            deadline = asyncio.get_running_loop().time() + 1
            await gateway.drain_ingress(deadline)
            await gateway.end(deadline)
            lines.close()
            log.close()
