"""The pool against a model: whatever happens, in whatever order and at the same moment, its promises hold.

Time is the test's own, and connections are in memory. What is promised: never more connections than allowed, each
counted once; no connection in two hands; nobody waits while something is free; who waits longest is next; at the
end nothing is left.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast
from unittest import mock

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gateway.errors import ConnectFailed, PoolExhausted
from gateway.settings.upstream import Pool as PoolSettings
from gateway.upstreams.connection import NEVER, UpstreamConnection
from gateway.upstreams.connector import Connector
from gateway.upstreams.pool import Pool
from tests.support.exchanges import exchange
from tests.support.transport import MemoryTransport
from tests.upstreams.memory import INTEREST, Dials

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HINTED = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=3\r\n\r\n"


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time stands still until it is moved."""

    now = 1000.0

    def time(self) -> float:
        return self.now


class WatchedPool(Pool):
    """Notes who waits, in which order, and which idle connections it has closed."""

    queue: list[asyncio.Task[Any]]
    dropped: set[UpstreamConnection]

    def _drop(self, connection: UpstreamConnection) -> None:
        self.dropped.add(connection)
        super()._drop(connection)

    async def _wait(self, limit: float) -> UpstreamConnection | None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._waiting) >= self.limits.queue:
            return await super()._wait(limit)
        self.queue.append(task)
        served = False
        try:
            connection = await super()._wait(limit)
            served = True
        finally:
            place = self.queue.index(task)
            longer = [other for other in self.queue[:place] if not other.cancelling()]
            self.queue.remove(task)
        assert not served or not longer, "served out of turn"
        return connection


LIKELY = ["request", "request", "connect", "finish"]
RARE = [
    "refuse",
    "dead",
    "hinted",
    "break",
    "abandon",
    "lose",
    "speak",
    "cancel",
    "moved",
    "tick",
    "second",
    "minute",
]
#: What may coincide and was, or might be, got wrong.
TOGETHER = [
    ["cancel", "finish"],
    ["finish", "cancel"],
    ["finish", "finish", "cancel"],
    ["finish", "lose"],
    ["finish", "speak", "request"],
    ["break", "cancel"],
    ["refuse", "cancel"],
    ["cancel", "connect"],
    ["connect", "cancel"],
    ["second", "request"],
    ["second", "finish"],
    ["minute", "request", "request"],
]
OPS = st.one_of(
    st.lists(st.sampled_from(LIKELY), min_size=1, max_size=6),
    st.lists(st.sampled_from(LIKELY + RARE), min_size=1, max_size=4),
    st.sampled_from(TOGETHER),
)


class Pools(RuleBasedStateMachine):
    """Requests that take, hold and give back connections of one pool."""

    @initialize(
        connections=st.integers(1, 3),
        queue=st.integers(0, 3),
        idle=st.sampled_from([0.0, 0.5, 15.0]),
        lifetime=st.sampled_from([None, 40.0]),
        wait=st.sampled_from([0.0, 1.0, 5.0]),
    )
    def begin(self, **limits: Any) -> None:
        self.loop = Loop()
        self.clock = mock.patch("gateway.upstreams.pool.monotonic", self.loop.time)
        self.clock.start()
        self.dials = Dials(self.dialled)
        self.pool = WatchedPool(cast("Connector", self.dials), PoolSettings(**limits), INTEREST)
        self.pool.queue, self.pool.dropped = [], set()
        self.requests: list[asyncio.Task[UpstreamConnection]] = []
        self.held: list[UpstreamConnection] = []

    def dialled(self) -> None:
        pool = self.pool
        assert len(pool._open) + pool._connecting <= pool.limits.connections

    # ---- what may happen

    @rule(ops=OPS, which=st.integers(0, 5))
    def at_once(self, ops: list[str], which: int) -> None:
        """All of these before anybody else gets to run."""

        async def happen() -> None:
            for name in ops:
                getattr(self, f"do_{name}")(which)
                self.check()
            for _ in range(12):
                await asyncio.sleep(0)
                self.check()

        self.loop.run_until_complete(happen())
        self.check_settled()

    def do_request(self, which: int) -> None:
        async def request() -> UpstreamConnection:
            now = self.loop.time()
            connection = self.pool.take(now)
            if connection is None:
                full = len(self.counted()) + self.pool._connecting >= self.pool.limits.connections
                try:
                    connection = await self.pool.obtain(now, 1.0, NEVER if which else now + 0.5)
                except PoolExhausted:
                    assert full, "refused beside a free place"
                    raise
            assert connection not in self.held, "in two hands"
            if connection.closed:  # what forward does then
                assert not connection.used, "a broken one was handed over"
                self.pool.give_back(connection, self.loop.time())
                raise ConnectFailed
            connection.send(b"", self.loop.time(), exchange(), NEVER, NEVER, NEVER)
            self.held.append(connection)
            return connection

        self.requests.append(self.loop.create_task(request()))

    def do_connect(self, which: int, how: str = "ok") -> None:
        dials = [dial for dial in self.dials.pending if not dial.done()]
        if dials:
            dials[which % len(dials)].set_result(how)

    def do_refuse(self, which: int) -> None:
        self.do_connect(which, "refused")

    def do_dead(self, which: int) -> None:
        self.do_connect(which, "dead")

    def give_back(self, which: int, response: bytes) -> None:
        if self.held:
            connection = self.held.pop(which % len(self.held))
            if response:
                self.dials.transports[connection].deliver(response)
            self.pool.give_back(connection, self.loop.time())

    def do_finish(self, which: int) -> None:
        self.give_back(which, OK)

    def do_hinted(self, which: int) -> None:
        self.give_back(which, HINTED)

    def do_abandon(self, which: int) -> None:
        self.give_back(which, b"")

    def do_break(self, which: int) -> None:
        """A busy connection is lost; its holder notices and gives it back."""
        if self.held:
            connection = self.held[which % len(self.held)]
            self.dials.transports[connection].lose()
            self.give_back(which, b"")

    def resting(self, which: int) -> MemoryTransport | None:
        """A connection that nobody holds: idle, or on its way to who waited for it."""
        found = [
            transport
            for connection, transport in self.dials.transports.items()
            if connection not in self.held and not transport.closing and connection.used
        ]
        return found[which % len(found)] if found else None

    def do_lose(self, which: int) -> None:
        transport = self.resting(which)
        if transport is not None:
            transport.lose()

    def do_speak(self, which: int) -> None:
        transport = self.resting(which)
        if transport is not None:
            transport.deliver(OK)

    def do_cancel(self, which: int) -> None:
        running = [task for task in self.requests if not task.done()]
        if running:
            running[which % len(running)].cancel()

    def do_moved(self, which: int) -> None:
        self.dials.resolver.current = f"10.0.0.{which % 2}"

    def do_tick(self, which: int) -> None:
        self.loop.now += 0.1 * which

    def do_second(self, which: int) -> None:
        self.loop.now += 1.1

    def do_minute(self, which: int) -> None:
        self.loop.now += 61.0

    # ---- what is promised

    def counted(self) -> set[UpstreamConnection]:
        """What there is but for the idle ones that the pool itself has closed."""
        return {c for c, transport in self.dials.transports.items() if not transport.lost} - self.pool.dropped

    def check(self) -> None:
        """At every moment."""
        pool, limits = self.pool, self.pool.limits
        states = pool.states()
        assert all(count >= 0 for count in states.values()), states
        working = [c for c, transport in self.dials.transports.items() if not transport.closing]
        assert len(working) + len(self.dials.pending) <= limits.connections, "more than allowed"
        assert states["idle"] + states["busy"] + states["connecting"] <= limits.connections
        assert states["waiting"] <= limits.queue
        idle = list(pool._idle)
        assert len(set(idle)) == len(idle)
        assert set(idle) <= pool._open
        assert not set(idle) & set(self.held)
        assert all(c in pool._open for c in self.held if not c.closed)

    def check_settled(self) -> None:
        """Once everybody has run."""
        pool = self.pool
        states = pool.states()
        assert pool._connecting == len(self.dials.pending)
        assert pool._open == self.counted()
        assert pool._open == set(pool._idle) | {c for c in self.held if not c.closed}
        if states["waiting"]:
            assert not pool._idle, "somebody waits beside an idle connection"
            assert len(pool._open) + pool._connecting == pool.limits.connections, "somebody waits beside a free place"
        assert len(pool.queue) == states["waiting"]
        for task in self.requests:
            if task.done() and not task.cancelled():
                assert task.exception() is None or isinstance(task.exception(), (PoolExhausted, ConnectFailed))
        self.requests = [task for task in self.requests if not task.done()]
        assert (pool._sweeper is not None) or not pool._idle, "idle connections that nobody looks at"

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return

        async def end() -> None:
            for task in self.requests:
                task.cancel()
            await asyncio.gather(*self.requests, return_exceptions=True)
            for connection in self.held:
                self.pool.give_back(connection, self.loop.time())
            await self.pool.close()
            for _ in range(12):
                await asyncio.sleep(0)
            assert self.pool.states() == {"idle": 0, "busy": 0, "connecting": 0, "waiting": 0}
            assert all(transport.lost for transport in self.dials.transports.values())
            assert self.pool._sweeper is None

        try:
            self.loop.run_until_complete(end())
        finally:
            self.clock.stop()
            self.loop.close()


TestPools = Pools.TestCase
TestPools.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a failure takes minutes and explains little
)
