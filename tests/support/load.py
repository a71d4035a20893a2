"""Load: many clients at once, and every request's end counted exactly once, by what a client can tell of it.

Outcomes are short words: "200" for an answer that is whole and this request's own, "502 connection_terminated" for a
refusal of the gateway's, "cut" for a body that broke off, "no answer" and "half a head" for less than that,
"not connected" where no connection was to be had. Everything else (another's answer, bytes that are no HTTP, silence)
is not an outcome but goes to `wrong`, which must stay empty.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.support.client import Address, Client, Fields
from tests.support.expect import assert_problem
from tests.support.message import Cut, Malformed, Response
from tests.support.wire import Ended

CONNECTIONS = 200
PATIENCE = 20.0  # seconds until a client calls it silence; far above each deadline of the gateway's that is tested
NOT_CONNECTED = "not connected"


@dataclass
class Ask:
    """One request to make. The right answer to it has the status 200 and the body `expect`."""

    method: str
    target: str
    expect: bytes
    fields: Fields = ()
    body: bytes | None = None
    closes: bool = False  # the client wants no other request on this connection


@dataclass
class Done:
    """How one request ended, and from when to when it took (time.monotonic())."""

    ask: Ask
    outcome: str
    began: float
    ended: float


@dataclass
class Tally:
    """What has become of all requests."""

    done: list[Done] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def outcomes(self, *, since: float = 0.0) -> Counter[str]:
        """How many ended how, of those that began at `since` or later."""
        return Counter(done.outcome for done in self.done if done.began >= since)

    def statuses(self) -> Counter[int]:
        """How many ended with a whole answer of which status, whoever made it."""
        return Counter(int(done.outcome[:3]) for done in self.done if done.outcome[:3].isdigit())


class Load:
    """`connections` clients that ask one request after the other, each by a random generator of its own.

    plan: makes one request, from the client's generator and a name that no other request has (where no other load
    has this seed). rounds: how many each client makes; None for as many as it can until stop() is called, or the
    context left: clients end with the request they are at.
    """

    def __init__(
        self,
        address: Callable[[], Address],
        plan: Callable[[Random, str], Ask],
        *,
        connections: int = CONNECTIONS,
        rounds: int | None = None,
        seed: str = "load",
    ) -> None:
        self._address = address
        self._plan = plan
        self._connections = connections
        self._rounds = rounds
        self._seed = seed
        self._stopping = False
        self._clients: list[asyncio.Task[None]] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.tally = Tally()

    def start(self) -> Load:
        self._clients = [asyncio.create_task(self._client(number)) for number in range(self._connections)]
        return self

    async def __aenter__(self) -> Load:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> Tally:
        """Let every client finish its request; the tally."""
        self._stopping = True
        await self.ended()
        return self.tally

    async def ended(self) -> Tally:
        """Wait until every client has ended by itself; the tally."""
        await asyncio.gather(*self._clients)
        return self.tally

    async def run(self) -> Tally:
        """Start all clients and wait until each has made its rounds; the tally."""
        return await self.start().ended()

    async def more(self, count: int, within: float = 30.0) -> None:
        """Wait until `count` further requests have ended, somehow."""
        await self._reach(len(self.tally.done) + count, within)

    async def _reach(self, total: int, within: float) -> None:
        reached = asyncio.get_running_loop().create_future()
        self._waiting.append((total, reached))
        try:
            async with asyncio.timeout(within):
                await reached
        except TimeoutError:
            raise AssertionError(f"after {within} s {self.tally.outcomes()}; {self.tally.wrong[:5]}") from None

    # one client

    async def _client(self, number: int) -> None:
        random = Random(f"{self._seed}/{number}")
        count = 0
        connection: Client | None = None
        while not self._stopping and count != self._rounds:
            count += 1
            ask = self._plan(random, f"{self._seed}-{number}-{count}")
            began = time.monotonic()
            if connection is None:
                try:
                    connection = await Client.connect(self._address())
                except OSError:
                    self._count(Done(ask, NOT_CONNECTED, began, time.monotonic()))
                    return
            outcome, keep = await self._ask(connection, ask)
            self._count(Done(ask, outcome, began, time.monotonic()))
            if not keep or await self._dropped(connection):
                connection.wire.close()
                connection = None
        if connection is not None:
            connection.wire.close()

    async def _ask(self, connection: Client, ask: Ask) -> tuple[str, bool]:
        """Make the request; its outcome, and whether the connection is good for another."""
        fields = [*ask.fields, ("Connection", "close")] if ask.closes else ask.fields
        try:
            response = await connection.request(ask.method, ask.target, fields, ask.body, within=PATIENCE)
            return self._judge(ask, response), not (response.closes or ask.closes)
        except Cut:
            return "cut", False
        except Ended as end:
            return "half a head" if end.rest else "no answer", False
        except (Malformed, AssertionError) as error:
            self.tally.wrong.append(f"{ask.method} {ask.target}: {error!r}")
            return "wrong", False

    async def _dropped(self, connection: Client) -> bool:
        """Whether the server has ended a connection between two requests, as clients look before using one again."""
        for _ in range(2):  # one turn of the loop reads the answer, the next one the end behind it
            await asyncio.sleep(0)
        return bool(connection.wire.ended)

    def _judge(self, ask: Ask, response: Response) -> str:
        if response.values("proxy-status"):
            problem = assert_problem(response, response.status)
            error = str(response.value("proxy-status")).partition("error=")[2].strip("'")
            return f"{problem['status']} {error.partition(';')[0]}"
        if response.status == 200 and response.body != ask.expect:
            raise AssertionError(f"answered with {response.body[:80]!r}, not {ask.expect[:80]!r}")
        return str(response.status)

    def _count(self, done: Done) -> None:
        self.tally.done.append(done)
        while self._waiting and len(self.tally.done) >= self._waiting[0][0]:
            _, reached = self._waiting.pop(0)
            with contextlib.suppress(asyncio.InvalidStateError):
                reached.set_result(None)
