"""Two hundred clients ask at once for an object: how often its origin is asked, and how long they wait.

All of it is one event loop on the load's core: the origin, which takes its time and counts, and the clients. In each
round all proxies in turn meet their clients with an object that they do not have, and again when it has expired.
"""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path

from tests.bench import machine
from tests.bench.measure import say
from tests.bench.proxies import Proxy, Running

CLIENTS = 200
DELAY = 0.2  # seconds that the origin takes for an answer
FRESH = 2  # seconds that an answer is fresh
EXPIRED = FRESH + 1.5  # seconds until all say that it is not: some count whole ones, and only what lies before now
PATIENCE = 10.0  # seconds until a client that has no whole answer is counted as such
SIZE = 1024


@dataclasses.dataclass(frozen=True)
class Wave:
    """What one stampede came to. `stale`: how many got the expired object; milliseconds from the first request's."""

    requests: int
    first: float
    last: float
    stale: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        stale = f", {self.stale} stale" if self.stale else ""
        return (
            f"{self.requests} requests, {self.first:.0f} to {self.last:.0f} ms{stale} {' '.join(self.wrong)}".strip()
        )


@dataclasses.dataclass(frozen=True)
class Round:
    """One proxy in one round: with an object that it never had, and with the same one expired."""

    new: Wave
    expired: Wave

    @property
    def wrong(self) -> tuple[str, ...]:
        return self.new.wrong + self.expired.wrong


@dataclasses.dataclass
class Stampede:
    """What the table is made of: rounds by proxy, and why a proxy is not in it."""

    samples: dict[str, list[Round]]
    left_out: dict[str, str]


@dataclasses.dataclass
class Answer:
    """A client's: when, the status, and the round for which the origin wrote it."""

    at: float
    status: int
    number: int


class Origin(asyncio.Protocol):
    """A connection of the origin. What they share is the class of one run, see `origin`."""

    number = 0  # of the round, which every answer bears
    arrived = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            self._head = b""
            type(self).arrived += 1
            asyncio.get_running_loop().call_later(DELAY, self._answer, self.number)

    def _answer(self, number: int) -> None:
        head = (
            f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: text/plain\r\n"
            f"Cache-Control: max-age={FRESH}\r\nContent-Length: {SIZE}\r\n\r\n"
        )
        self._transport.write(f"{head}{number:0{SIZE}}".encode())


class Client(asyncio.Protocol):
    """A connection that asks once. `answer` is done, or failed, when its answer is whole or cannot be."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        status = int(head[9:12]) if end else 0
        if end and not self.answer.done() and (status != 200 or len(body) >= SIZE):
            number = int(body) if status == 200 and len(body) == SIZE else -1
            self.answer.set_result(Answer(time.monotonic(), status, number))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("closed"))


async def connect(port: int, count: int) -> list[Client]:
    """So many connections to a port of loopback."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Client, "127.0.0.1", port) for _ in range(count)]
    return [client for _, client in made]


async def ask(clients: list[Client], port: int, path: str) -> tuple[float, list[Answer], list[str]]:
    """All ask at once: when, their answers, and what was wrong with others."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    began = time.monotonic()
    for client in clients:
        client.transport.write(request)
    await asyncio.wait([client.answer for client in clients], timeout=PATIENCE)
    answers, wrong = [], []
    for client in clients:
        client.transport.close()
        if not client.answer.done():
            client.answer.cancel()
            wrong.append(f"no whole answer within {PATIENCE:.0f} s")
        elif error := client.answer.exception():
            wrong.append(f"no whole answer: {error}")
        else:
            answers.append(client.answer.result())
    return began, answers, wrong


async def stampede(port: int, path: str, origin: type[Origin]) -> Wave:
    """One wave of clients against one proxy."""
    clients = await connect(port, CLIENTS)
    origin.arrived = 0
    began, answers, wrong = await ask(clients, port, path)
    await asyncio.sleep(2 * DELAY)  # what is fetched behind the answers is counted, and done, too
    wrong += [f"answered {answer.status}" for answer in answers if answer.status != 200]
    wrong += ["an answer of another length" for answer in answers if answer.status == 200 and answer.number < 0]
    wrongs = tuple(f"{count} times {what}" for what, count in Counter(wrong).items())
    times = [(answer.at - began) * 1000 for answer in answers] or [PATIENCE * 1000]
    stale = sum(0 <= answer.number < origin.number for answer in answers)
    return Wave(origin.arrived, min(times), max(times), stale, wrongs)


async def one_round(number: int, ports: dict[str, int], origin: type[Origin], result: Stampede) -> None:
    """All meet their clients twice, in an order that is another in each round."""
    names = random.Random(number).sample(sorted(ports), len(ports))
    path = f"/round-{number}"
    origin.number = 2 * number
    new = {name: await stampede(ports[name], path, origin) for name in names}
    await asyncio.sleep(EXPIRED)
    origin.number += 1
    for name in names:
        expired = await stampede(ports[name], path, origin)
        result.samples[name].append(Round(new[name], expired))
        say(f"stampede {number + 1} {name:16} new: {new[name]}; expired: {expired}")


def run(proxies: list[Proxy], directory: Path, rounds: int) -> Stampede:
    """Start all that take part, measure, stop all."""
    load_core, proxy_core = machine.cores()
    taking_part = [proxy for proxy in proxies if "stampede" in proxy.tables]
    with machine.pinned(load_core):
        return asyncio.run(_run(taking_part, directory, rounds, proxy_core))


async def _run(proxies: list[Proxy], directory: Path, rounds: int, core: int) -> Stampede:
    origin = type("OneOrigin", (Origin,), {})
    server = await asyncio.get_running_loop().create_server(origin, "127.0.0.1", 0, backlog=1024)
    origin_port = server.sockets[0].getsockname()[1]
    result = Stampede({}, {})
    ports: dict[str, int] = {}
    async with server:
        with contextlib.ExitStack() as stack:
            for proxy in proxies:
                try:
                    running = await asyncio.to_thread(Running, proxy, "stampede", directory, origin_port, core)
                except RuntimeError as error:
                    result.left_out[proxy.name] = str(error)
                    say(f"stampede: {proxy.name} is left out: {error}")
                    continue
                stack.callback(running.process.stop)
                ports[proxy.name] = running.port
                result.samples[proxy.name] = []
            for number in range(rounds):
                await one_round(number, ports, origin, result)
        server.close()
    return result
