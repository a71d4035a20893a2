"""Clients that leave in the middle, in every phase of a request, and the origin's side of what they leave."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from random import Random

from tests.faults.traffic import serve
from tests.support.client import Address, Client, head
from tests.support.load_origin import LoadOrigin
from tests.support.message import Request
from tests.support.origin import Upstream
from tests.support.wire import Ended

HALF = 30_000  # bytes of an upload's first half; nothing is said of how they are cut into reads
PIECE = b"4000\r\n" + b"p" * 0x4000 + b"\r\n"


class Leavers:
    """Makes clients leave, and says when a phase is reached: the origin tells, by the request's target.

    patience: seconds that a client waits for its phase, before it leaves in whichever it is.
    """

    def __init__(
        self, origin: LoadOrigin, address: Callable[[], Address], *, seed: str = "leaver", patience: float = 20.0
    ) -> None:
        origin.act = self.act
        self._address = address
        self._seed = seed
        self._patience = patience
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.left: Counter[str] = Counter()
        self.seen: set[str] = set()  # names of requests that were under way for certain when their client left
        self.gone = 0  # how many of them the gateway ended at the origin
        self.phases: dict[str, Callable[[Client, Random, str], Awaitable[None]]] = {
            "connect": self._connect,
            "half a head": self._half_a_head,
            "blindly": self._blindly,
            "connecting": self._connecting,
            "waiting": self._waiting,
            "streaming": self._streaming,
            "held back": self._held_back,
            "uploading": self._uploading,
        }
        self.certain = ("waiting", "streaming", "held back", "uploading")

    async def leave(self, number: int, rounds: int) -> None:
        """One client after the other, each in a phase and in a way of its own."""
        random = Random(f"{self._seed}/{number}")
        for count in range(rounds):
            phase = random.choice(list(self.phases))
            small = 8192 if phase == "held back" else None
            client = await Client.connect(self._address(), receive_buffer=small)
            await self.phases[phase](client, random, f"{self._seed}-{number}-{count}")
            self.left[phase] += 1
            how = random.choice(["fin", "half close", "reset"])
            if how == "reset":
                client.wire.reset()
            elif how == "half close" and phase not in ("connect", "half a head"):
                client.wire.half_close()
                with contextlib.suppress(AssertionError):
                    await client.wire.end()
            client.wire.close()

    # the phases, from the client's side

    async def _connect(self, client: Client, random: Random, name: str) -> None:
        pass

    async def _half_a_head(self, client: Client, random: Random, name: str) -> None:
        whole = head("GET", f"/wait/{name}")
        client.send(whole[: random.randrange(1, len(whole) - 1)])
        await asyncio.sleep(0)

    async def _blindly(self, client: Client, random: Random, name: str) -> None:
        """Whatever phase that is."""
        client.send(self._head("GET", f"/wait/{name}"))
        await asyncio.sleep(random.random() * 0.02)

    async def _connecting(self, client: Client, random: Random, name: str) -> None:
        """To where connects hang; most of them wait for a place to connect on."""
        client.send(self._head("GET", f"/nowhere/{name}"))
        await asyncio.sleep(random.random() * 0.1)

    async def _waiting(self, client: Client, random: Random, name: str) -> None:
        client.send(self._head("GET", f"/wait/{name}"))
        await self._reach(f"/wait/{name}", name)

    async def _streaming(self, client: Client, random: Random, name: str) -> None:
        client.send(self._head("GET", f"/endless/{name}"))
        with contextlib.suppress(Ended):
            await client.wire.read(random.randrange(200, 100_000))
            self.seen.add(name)

    async def _held_back(self, client: Client, random: Random, name: str) -> None:
        client.wire.pause()
        client.send(self._head("GET", f"/endless/{name}"))
        await self._reach(f"/endless/{name}", name)
        await asyncio.sleep(random.random() * 0.1)

    async def _uploading(self, client: Client, random: Random, name: str) -> None:
        framing = random.choice([("Content-Length", str(2 * HALF)), ("Transfer-Encoding", "chunked")])
        client.send(head("POST", f"/upload/{name}", [framing, ("X-Correlation-ID", name)]))
        client.send(b"x" * HALF if framing[0] == "Content-Length" else b"%x\r\n" % (2 * HALF) + b"x" * HALF)
        await self._reach(f"/upload/{name}", name)

    def _head(self, method: str, target: str) -> bytes:
        return head(method, target, [("X-Correlation-ID", target.rpartition("/")[2])])

    async def _reach(self, target: str, name: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._reached[target].wait()
            self.seen.add(name)

    # the origin's side

    async def act(self, upstream: Upstream, request: Request) -> bool:
        target = request.target.decode()
        kind = target.split("/")[1]
        if kind == "wait":
            self._reached[target].set()
        elif kind == "endless":
            await self._stream(upstream, target)
        elif kind == "upload":
            body = upstream.body(request)
            await body.read(HALF)
            self._reached[target].set()
            await body.rest(20)  # raises, when the gateway breaks it off
        else:
            return await serve(upstream, request)
        await upstream.gone(20)
        self.gone += 1
        return False

    async def _stream(self, upstream: Upstream, target: str) -> None:
        wire = upstream.wire
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._reached[target].set()
        while not (wire.ended or wire.closed):
            upstream.send(PIECE)
            await asyncio.sleep(0.01)
            await wire.drain(20)
