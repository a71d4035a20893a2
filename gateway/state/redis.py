"""Rate limits and in-flight leases in a Redis that replicas share: `ports.SharedBuckets` and `ports.SharedSlots`.

What is asked goes as bytes (redis_codec.py) by two lanes (redis_lane.py) to one script each (lua/), which decides by
the server's clock. Every key has a TTL: a bucket's is a second longer than it takes to drain, a lease's set goes with
its last lease. All keys of a gateway have one hash tag, so that a Cluster has them on one node, where one script sees
them all: what a Cluster gives here is availability, not scale.

A rule's keys are found for `forget` by a SCAN, some at a time. Rarely done, it is an operator's to wait for; to mark
them all as forgotten instead would have every request look for the mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count, islice
from secrets import token_bytes

from gateway.rules.gcra import Standing
from gateway.state.ports import Charge, Limit, Unavailable
from gateway.state.redis_client import ERRORS, PATIENCE, Client, RedisTls, reason
from gateway.state.redis_codec import (
    ACQUIRE,
    COUNT,
    FORCE,
    GIVE,
    LOOK,
    RELEASE,
    RENEW,
    SOME,
    TAKE,
    Codec,
    slot,
    some,
    standings,
)
from gateway.state.redis_lane import Lane, Reports
from gateway.state.redis_scripts import BUCKETS, REPLICAS, SLOTS
from gateway.state.redis_url import RedisUrl

#: Seconds that a lease lasts which nobody renews, and a gateway that does not say that it is alive.
LEASE = 30.0
_LEASE_MS = b"%d" % (LEASE * 1000)
#: Seconds that forgetting all keys of a rule may take.
_FORGET = 30.0
#: Seconds that leaving may take.
_LEAVE = 0.5
#: Calls to a script under way at once; with those that are about neither buckets nor slots, fewer than connections.
_BUCKET_CALLS, _SLOT_CALLS = 4, 2
#: Requests about levels or leases that are sent at once.
_AT_ONCE = 256


class RedisState:
    """One gateway's use of a Redis. Made on a running event loop; `close` it. Raises OSError as Client does.

    Its calls raise Unavailable, within `timeout` seconds, but for `forget` of a whole rule and those about the
    gateway itself (`connect`, `say_alive`, `raise_levels`, `renew`), which nobody's request waits for.
    """

    def __init__(self, url: RedisUrl, tls: RedisTls, name: str, timeout: float, reports: Reports) -> None:
        self._client = Client(url, tls, timeout)
        self._codec = Codec(name)
        self._buckets = Lane(self._client, BUCKETS, timeout, reports, _BUCKET_CALLS)
        self._slots = Lane(self._client, SLOTS, timeout, reports, _SLOT_CALLS, (_LEASE_MS,))
        self._longest = 3 * max(PATIENCE, timeout)
        #: Tells gateways, and their leases, apart.
        self._instance = token_bytes(8)
        self._numbers = count()
        #: Every lease that is held, and the name of its cap's set.
        self._leases: dict[bytes, bytes] = {}

    # ---- SharedBuckets

    async def take(self, charges: Sequence[Charge]) -> list[Standing]:
        """See `ports.SharedBuckets.take`."""
        return standings(await self._buckets.call(partial(self._codec.charges, TAKE, charges, None)))

    async def take_some(self, limit: Limit, key: bytes, wanted: int, at_least: int) -> tuple[int, Standing]:
        """See `ports.SharedBuckets.take_some`."""
        charges = [Charge(limit, key, wanted)]
        return some(await self._buckets.call(partial(self._codec.charges, SOME, charges, at_least)))

    async def give_back(self, charges: Sequence[Charge], age: float = 0.0) -> None:
        """See `ports.SharedBuckets.give_back`."""
        await self._buckets.call(partial(self._codec.charges, GIVE, charges, age))

    async def force(self, charge: Charge) -> None:
        """See `ports.SharedBuckets.force`."""
        await self._buckets.call(partial(self._codec.charges, FORCE, [charge], None))

    async def look(self, limit: Limit, key: bytes) -> Standing | None:
        """See `ports.SharedBuckets.look`."""
        answer = await self._buckets.call(partial(self._codec.charges, LOOK, [Charge(limit, key, 1)], None))
        return standings(answer)[0] if answer else None

    async def forget(self, limit: Limit, key: bytes | None) -> int:
        """See `ports.SharedBuckets.forget`; all of a rule's may take up to half a minute."""
        try:
            async with asyncio.timeout(_FORGET):
                if key is not None:
                    return await self._client.delete([self._codec.bucket(limit, key)])
                gone = 0
                async for keys in self._client.scan(self._codec.buckets(limit), self._codec.tag):
                    gone += await self._client.delete(keys)
                return gone
        except ERRORS as error:
            raise Unavailable(reason(error)) from None

    # ---- SharedSlots

    async def acquire(self, cap: str, key: bytes, limit: int) -> bytes | None:
        """See `ports.SharedSlots.acquire`."""
        name = self._codec.slots(cap, key)
        lease = self._instance + next(self._numbers).to_bytes(8)
        # Granted when nobody waits for it any more, it goes back at once.
        orphan = partial(self._drop, name, lease)
        if not await self._slots.call(partial(slot, ACQUIRE, name, limit, lease), orphan):
            return None
        self._leases[lease] = name
        return lease

    async def release(self, cap: str, key: bytes, lease: bytes) -> None:
        """See `ports.SharedSlots.release`. Where that cannot be said, the lease runs out."""
        self._leases.pop(lease, None)
        await self._slots.call(partial(slot, RELEASE, self._codec.slots(cap, key), 0, lease))

    async def in_use(self, cap: str, key: bytes) -> int:
        """See `ports.SharedSlots.in_use`."""
        return int(await self._slots.call(partial(slot, COUNT, self._codec.slots(cap, key), 0, b"")))

    # ---- the gateway itself

    async def say_alive(self) -> int:
        """Say that this gateway is alive; how many are."""
        try:
            async with asyncio.timeout(self._longest):
                return await self._announce(_LEASE_MS)
        except Exception as error:  # noqa: BLE001 - whatever answers there, it is not the state
            raise Unavailable(reason(error)) from None

    async def connect(self) -> None:
        """Connect anew, and see whether an answer then comes in time."""
        try:
            async with asyncio.timeout(self._longest):
                await self._client.drop()
                await self._client.ping()
                await self._announce(_LEASE_MS)
        except Exception as error:  # noqa: BLE001 - whatever answers there, it is not the state
            raise Unavailable(reason(error)) from None
        await self.in_use("", b"")

    async def raise_levels(self, levels: Iterable[tuple[Limit, bytes, float]]) -> int:
        """Have buckets be at least as full: seconds of level, or what was used of a quota. How many were told."""
        packs = (partial(self._codec.level, limit, key, level) for limit, key, level in levels)
        return await self._send(self._buckets, packs)

    async def renew(self) -> int:
        """Renew all leases; how many."""
        leases = list(self._leases.items())
        packs = (partial(slot, RENEW, name, 0, lease) for lease, name in leases)
        try:
            return await self._send(self._slots, packs)
        finally:
            # One that was given back meanwhile may have been renewed after that.
            for lease, name in leases:
                if lease not in self._leases:
                    self._drop(name, lease)

    def let_go(self, lease: bytes) -> None:
        """Renew a lease no more: its slot is free, but the server cannot be told."""
        self._leases.pop(lease, None)

    async def close(self, *, leave: bool) -> None:
        """End everything. To `leave` is to give all leases back and not to count any more, if the server is there."""
        leases, self._leases = self._leases, {}
        if leave:
            with suppress(Unavailable, *ERRORS):
                packs = (partial(slot, RELEASE, name, 0, lease) for lease, name in leases.items())
                async with asyncio.timeout(_LEAVE):
                    await self._send(self._slots, packs)
                    await self._announce(b"0")
        tasks = [*self._buckets.close(), *self._slots.close()]
        if tasks:
            await asyncio.wait(tasks)
        with suppress(*ERRORS):
            await self._client.close()

    # ---- inside

    async def _announce(self, lasts: bytes) -> int:
        return int(await self._client.run(REPLICAS, [self._codec.replicas], [self._instance, lasts]))

    async def _send(self, lane: Lane, packs: Iterable[partial[bytes]]) -> int:
        """Send many requests, some at a time; how many. Raises Unavailable when one fails."""
        sent = 0
        rest = iter(packs)
        while some_packs := list(islice(rest, _AT_ONCE)):
            futures = [lane.call(pack) for pack in some_packs]
            for future in futures:
                future.add_done_callback(_read)
            for future in futures:
                await future
            sent += len(futures)
        return sent

    def _drop(self, name: bytes, lease: bytes, granted: object = 1) -> None:
        """Give a lease back that nobody holds."""
        if granted:
            with suppress(Unavailable):
                self._slots.call(partial(slot, RELEASE, name, 0, lease)).add_done_callback(_read)


def _read(future: asyncio.Future[object]) -> None:
    """Nobody is interested in how it ended."""
    if not future.cancelled():
        future.exception()
