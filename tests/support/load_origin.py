"""An origin for load: it can be killed and started again on its port, and keeps count over all its lives.

A kill is what the kernel makes of one: the port refuses at once, and every connection ends where it stands, with a
FIN, or with a reset where bytes lay unread.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

from tests.support.message import Cut, Malformed, Request
from tests.support.origin import Origin, Upstream
from tests.support.wire import Ended, Wire

#: Answers one request, whose head has come, in any way it likes. True: the answer was whole.
Act = Callable[[Upstream, Request], Awaitable[bool]]


class LoadOrigin(Origin):
    """An origin whose `act` answers. `heads` and `answers` count by target, over all lives."""

    def __init__(self, act: Act) -> None:
        # Held for the whole test, bound and never listening, so that nobody takes the port while it is dead.
        self._place = _bound(("127.0.0.1", 0))
        super().__init__(_bound(self._place.getsockname()))
        self.act = act
        self.heads: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        # The default backlog of 100 would drop some of 200 connects, which come again after a second only.
        self._server = await loop.create_server(lambda: Wire(self._made), sock=self._listener.dup(), backlog=1024)

    async def kill(self, how: Literal["fin", "reset"]) -> None:
        """End it as a SIGKILL does: nothing listens any more when this is called, and nothing is finished."""
        assert self._server is not None
        self._server.close()
        self._server = None
        self._listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for upstream in self.connections:
            if how == "reset":
                upstream.wire.reset()
            else:
                upstream.wire.transport.abort()
        self.connections = []
        await asyncio.sleep(0)  # for connection_lost

    async def restart(self) -> None:
        self._listener = _bound(self.address)
        await self.start()

    async def stop(self, *, settle: bool = True) -> None:
        await super().stop(settle=settle)
        self._listener.close()
        self._place.close()

    @property
    def open(self) -> int:
        """Connections that neither side has ended."""
        return sum(1 for upstream in self.connections if not upstream.wire.ended and not upstream.wire.closed)

    async def _serve(self, upstream: Upstream) -> None:
        wire = upstream.wire
        try:
            while True:
                await wire.wait(lambda: bool(wire.unread or wire.ended or wire.closed), "a request", 3600)
                if not wire.unread:
                    break
                request = await upstream.head()
                target = request.target.decode()
                self.heads[target] += 1
                if not await self.act(upstream, request):
                    break
                self.answers[target] += 1
                if request.closes:
                    break
        except Malformed as error:
            self.violations.append(f"{error} in {upstream.received[-500:]!r}")
        except (Ended, Cut):
            self.unfinished.append(upstream.requests[-1])
        wire.close()


def _bound(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    return sock
