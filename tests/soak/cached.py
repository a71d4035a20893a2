"""Gigabytes of distinct objects through a cached route: what the cache takes stays within what it is allowed.

One event loop is the clients and the origin; bodies are slices of one block, so that making them costs nothing. Each
begins with its object's number, by which a client sees whether it got the right one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.memory import MIB, Watch, resident
from tests.soak.result import Result
from tests.support.config import config
from tests.support.gateway import Gateway

MAX_BYTES = 64 * MIB
ALLOWED = 1.2 * MAX_BYTES / MIB + 32  # MiB over idle
KIB = 1024
MAX_OBJECT = 1 * MIB
#: Sizes of bodies with how many of a hundred objects have them; the last is too large to be kept.
MIXED = {200: 20, 4 * KIB: 30, 40 * KIB: 25, 300 * KIB: 15, MAX_OBJECT - KIB: 8, 3 * MIB: 2}
SMALL = {200: 50, 1 * KIB: 50}
POPULAR = 40  # objects that are asked for again and again, between the others
AGAIN = 5  # one request in so many is for one of them
CLIENTS = 16
NUMBER = 16  # digits at a body's beginning
BLOCK = memoryview(os.urandom(4 * MIB))


class Origin(asyncio.Protocol):
    """Answers GET /SIZE/NUMBER."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        _, size, number = self._head.split(b" ", 2)[1].split(b"/")
        self._head = b""
        start = int(number) % MIB  # another slice for each, though not another one for all
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %b\r\n\r\n%b"
            % (size, number.zfill(NUMBER))
        )
        self._transport.write(BLOCK[start : start + int(size) - NUMBER])


@dataclass
class Tally:
    """What the clients have got so far."""

    bytes: int = 0  # of bodies of objects that were asked for once
    objects: int = 0
    answers: Counter[bytes] = field(default_factory=Counter)  # by Cache-Status, without its figures


class Client(asyncio.BufferedProtocol):
    """Asks for one object after the other until there are none left. Of a body it keeps nothing."""

    def __init__(self, objects: Iterator[tuple[int, int, bool]], tally: Tally) -> None:
        self._objects = objects
        self._tally = tally
        self._buffer = memoryview(bytearray(MIB))
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        wanted = next(self._objects, None)
        if wanted is None:
            self._transport.close()
            self.done.set_result(None)
            return
        self._size, self._number, self._distinct = wanted
        self._head = b""
        self._left = -1  # bytes of the body; no head yet
        self._transport.write(b"GET /%d/%d HTTP/1.1\r\nHost: soak.example\r\n\r\n" % (self._size, self._number))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._left >= 0:
            self._left -= nbytes
        else:
            self._head += self._buffer[:nbytes]
            head, end, body = self._head.partition(b"\r\n\r\n")
            if len(body) < NUMBER and not (end and b" 200 " not in head[:13]):
                return
            self._judge(head, body[:NUMBER])
            self._left = self._size - len(body)
        if self._left < 0:
            self._fail(f"{-self._left} bytes too many")
        elif self._left == 0:
            self._tally.objects += self._distinct
            self._tally.bytes += self._size * self._distinct
            self._ask()

    def _judge(self, head: bytes, number: bytes) -> None:
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if not head.startswith(b"HTTP/1.1 200 ") or int(fields.get(b"content-length", b"0")) != self._size:
            self._fail(f"not what was asked for: {head!r}")
        elif int(number) != self._number:
            self._fail(f"object {int(number)} instead of {self._number}")
        else:
            self._tally.answers[fields.get(b"cache-status", b"none").split(b";")[1].strip()] += 1

    def _fail(self, what: str) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(f"/{self._size}/{self._number}: {what}"))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._fail(f"closed with {self._left} bytes left: {exc!r}")


def wanted(sizes: dict[int, int], until_bytes: int) -> Iterator[tuple[int, int, bool]]:
    """Size and number of one object after the other; True where it has not been asked for before."""
    dice = random.Random(0)
    weights = list(sizes.values())
    popular = dice.choices(list(sizes), weights, k=POPULAR)
    given = 0
    for count in itertools.count():
        if given >= until_bytes:
            return
        if count % AGAIN == 0:
            number = dice.randrange(POPULAR)
            yield popular[number], number, False
        else:
            [size] = dice.choices(list(sizes), weights)
            given += size
            yield size, POPULAR + count, True


async def _pass(gateway: Gateway, sizes: dict[int, int], amount: int, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    objects = wanted(sizes, amount)
    clients = [
        (await loop.create_connection(lambda: Client(objects, tally), *gateway.ingress))[1] for _ in range(CLIENTS)
    ]
    await asyncio.gather(*(client.done for client in clients))


async def _measure(name: str, sizes: dict[int, int], amount: int, entries: int) -> list[Result]:
    """One pass through a gateway of its own."""
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", 0, backlog=1024)
    async with server:
        with tempfile.TemporaryDirectory(prefix="soak-") as directory:
            routes = [{"path": "/**", "upstream": "app", "cache": {"ttl": "1h", "max_object": "1MiB"}}]
            settings = config(
                server.sockets[0].getsockname()[:2],
                ingress={"routes": routes},
                cache={"entries": entries, "max_bytes": f"{MAX_BYTES // MIB}MiB"},
                log={"access": False},
            )
            gateway = Gateway(Path(directory), settings)
            await asyncio.to_thread(gateway.start, afresh=True)
            try:
                return await _watched(gateway, name, sizes, amount)
            finally:
                await asyncio.to_thread(gateway.stop)


async def _watched(gateway: Gateway, name: str, sizes: dict[int, int], amount: int) -> list[Result]:
    tally = Tally()
    idle = resident(gateway.pid)
    began = time.monotonic()
    with Watch(gateway.pid) as watch:
        await _pass(gateway, sizes, amount, tally)
    seconds = time.monotonic() - began
    held = await gateway.metric("gateway_cache_bytes")
    assert MAX_BYTES / 2 < held <= MAX_BYTES, f"the cache holds {held / MIB:.1f} MiB: it was not put to the test"
    assert tally.answers[b"hit"], f"no hits: {tally.answers}"
    what = f"{name}, {tally.bytes / MIB / KIB:.2g} GiB of {tally.objects:,} objects through the cache"
    return [
        Result(f"{what}: memory above idle", (watch.peak - idle) / MIB, "MiB", ALLOWED),
        Result(f"{what}: speed", tally.bytes / MIB / seconds, "MiB/s"),
        Result(f"{what}: kept at the end", held / MIB, "MiB"),
        Result(f"{what}: entries at the end", await gateway.metric("gateway_cache_entries"), ""),
        Result(f"{what}: hits", tally.answers[b"hit"] / tally.answers.total() * 100, "%"),
    ]


def through(gib: float, say: Callable[[str], None]) -> list[Result]:
    """So much of mixed sizes, and a part of it again of small ones, whose keepers could outweigh their bodies."""
    amount = int(gib * (1 << 30))
    say(f"{gib:g} GiB of mixed objects through a cache of {MAX_BYTES // MIB} MiB")
    results = asyncio.run(_measure("mixed", MIXED, amount, entries=1000))
    say(f"{gib / 400:g} GiB of small ones")
    return results + asyncio.run(_measure("small", SMALL, amount // 400, entries=1_000_000))
