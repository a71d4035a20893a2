"""The shared state as policies get it: asked while it is up, and at once Unavailable while it is not.

One task keeps it: every 10 s it says that this gateway is alive, renews its leases and learns how many gateways there
are; while the state is gone it tries for it. A burst is given away neither when the state goes nor when it comes
back: `fallback`, which decides meanwhile, notes how full each bucket is that is asked about; and before the state is
up again its buckets are made at least as full as those of `fallback` have become, which also tells a server that has
come back empty what was used.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Awaitable, Iterator, Sequence
from time import monotonic
from typing import Literal, Protocol, TypeVar

from gateway.background import end
from gateway.rules.gcra import Standing
from gateway.state.availability import Availability, Moved
from gateway.state.ports import Charge, Limit, Unavailable
from gateway.state.redis import RedisState
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import RedisUrl

#: Seconds between two signs of life.
HEARTBEAT = 10.0
#: Gateways count on for so many heartbeats after they were last seen: when a server comes back empty, all of them
#: have to say again that they are alive.
_REMEMBERED = 9
_Answer = TypeVar("_Answer")

#: Levels that may be told at once, before the state is up again.
_MOST = 100_000


class Fallback(Protocol):
    """What decides while the state is gone: `memory.MemoryBuckets`."""

    def note(self, charges: Sequence[Charge], standings: Sequence[Standing], replicas: int, now: float) -> None:
        """Have keys stand as they do in the shared state."""

    def levels(self, now: float) -> Iterator[tuple[Limit, bytes, float]]:
        """Every key that has not drained."""


class Shared:
    """`ports.SharedBuckets` and `ports.SharedSlots`, in a Redis. `start` it and `close` it on one event loop.

    `moved(up, why)` is told when the state goes and when it comes back, and when it is not there at the start.
    """

    #: What `gateway_state_up` calls it.
    backend = "redis"

    def __init__(
        self,
        url: RedisUrl,
        tls: RedisTls,
        name: str,
        timeout: float,
        failures: int,
        reset: float,
        fallback: Fallback,
        moved: Moved,
    ) -> None:
        """Times are seconds. `name` is what all replicas of a gateway have in common.

        Raises OSError when a certificate file cannot be read.
        """
        self._availability = Availability(failures, reset, self._changed)
        self._redis = RedisState(url, tls, name, timeout, self._availability)
        self._fallback = fallback
        self._moved = moved
        self._keeper: asyncio.Task[None] | None = None
        self._down = asyncio.Event()
        self._seen: deque[int] = deque([1], maxlen=_REMEMBERED)
        #: How many gateways share the state, this one too; while it is gone, how many did.
        self.replicas = 1

    @property
    def up(self) -> bool:
        """Whether it is worth asking."""
        return self._availability.up

    def health(self) -> tuple[Literal["healthy", "degraded"], str]:
        """For /health."""
        if self.up:
            return "healthy", ""
        share = "" if self.replicas == 1 else f", each replica by 1/{self.replicas} of them"
        return "degraded", f"redis cannot be asked ({self._availability.why}); limits hold locally{share}"

    async def start(self) -> None:
        """Connect; return when it is up, or after up to 3 s when it is not there."""
        try:
            await self._return()
        except Unavailable as error:
            self._availability.started(str(error))
        else:
            self._availability.started("")
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def close(self, *, leave: bool = True) -> None:
        """End; every call raises Unavailable from now on. Not to `leave` is to let the leases run out by themselves.

        So it is when another state takes over while those who hold slots go on: given back, they would be let twice.
        """
        if self._keeper is not None:
            await end([self._keeper])
        await self._redis.close(leave=leave and self.up)

    # ---- SharedBuckets

    async def take(self, charges: Sequence[Charge]) -> list[Standing]:
        """See `ports.SharedBuckets.take`."""
        self._ask()
        standings = await self._sensible(self._redis.take(charges))
        self._fallback.note(charges, standings, self.replicas, monotonic())
        return standings

    async def take_some(self, limit: Limit, key: bytes, wanted: int, at_least: int) -> tuple[int, Standing]:
        """See `ports.SharedBuckets.take_some`."""
        self._ask()
        taken, standing = await self._sensible(self._redis.take_some(limit, key, wanted, at_least))
        self._fallback.note([Charge(limit, key, taken)], [standing], self.replicas, monotonic())
        return taken, standing

    async def give_back(self, charges: Sequence[Charge], age: float = 0.0) -> None:
        """See `ports.SharedBuckets.give_back`."""
        self._ask()
        await self._redis.give_back(charges, age)

    async def force(self, charge: Charge) -> None:
        """See `ports.SharedBuckets.force`."""
        self._ask()
        await self._redis.force(charge)

    async def look(self, limit: Limit, key: bytes) -> Standing | None:
        """See `ports.SharedBuckets.look`."""
        self._ask()
        return await self._redis.look(limit, key)

    async def forget(self, limit: Limit, key: bytes | None) -> int:
        """See `ports.SharedBuckets.forget`; the fallback's memory is another."""
        self._ask()
        return await self._redis.forget(limit, key)

    # ---- SharedSlots

    async def acquire(self, cap: str, key: bytes, limit: int) -> bytes | None:
        """See `ports.SharedSlots.acquire`."""
        self._ask()
        return await self._sensible(self._redis.acquire(cap, key, limit))

    async def release(self, cap: str, key: bytes, lease: bytes) -> None:
        """See `ports.SharedSlots.release`."""
        self._redis.let_go(lease)
        self._ask()
        await self._redis.release(cap, key, lease)

    async def in_use(self, cap: str, key: bytes) -> int:
        """See `ports.SharedSlots.in_use`."""
        self._ask()
        return await self._redis.in_use(cap, key)

    # ---- inside

    def _ask(self) -> None:
        if not self._availability.up:
            raise Unavailable(self._availability.why)

    async def _sensible(self, asking: Awaitable[_Answer]) -> _Answer:
        """The answer; one that no Redis gives is a failure like any other, and never a request's."""
        try:
            return await asking
        except (ValueError, TypeError, LookupError, struct.error) as error:
            why = f"an answer that makes no sense ({type(error).__name__})"
            self._availability.failed(1, why)
            raise Unavailable(why) from error

    def _changed(self, up: bool, why: str) -> None:
        if not up:
            self._down.set()
        self._moved(up, why)

    async def _keep(self) -> None:
        while True:
            if self.up:
                await self._live()
            else:
                await self._try_again()

    async def _live(self) -> None:
        """A sign of life after a while, or nothing when the state goes before that."""
        self._down.clear()
        try:
            async with asyncio.timeout(HEARTBEAT):  # wait_for could lose a cancellation
                await self._down.wait()
        except TimeoutError:
            try:
                await self._say_alive()
            except Unavailable as error:
                self._availability.failed(1, str(error))

    async def _try_again(self) -> None:
        await asyncio.sleep(self._availability.wait)
        permit = self._availability.admit()
        if permit is None:
            return  # a timer may be a little early
        try:
            await self._return()
        except Unavailable as error:
            self._availability.probed(permit, str(error))
        else:
            self._availability.probed(permit, "")

    async def _return(self) -> None:
        """All that has to be done before it is up: be known, hold what is held, tell what was used meanwhile."""
        await self._redis.connect()
        await self._say_alive()
        await self._redis.raise_levels(self._levels())

    async def _say_alive(self) -> None:
        self._seen.append(await self._redis.say_alive())
        self.replicas = max(self._seen)
        await self._redis.renew()

    def _levels(self) -> Iterator[tuple[Limit, bytes, float]]:
        """What the fallback knows, for all replicas."""
        for number, (limit, key, level) in enumerate(self._fallback.levels(monotonic())):
            if number == _MOST:
                return
            yield limit, key, level if limit.calendar is None else level * self.replicas
