"""One fetch for all replicas: a lock in Redis that lasts while its holder lives (lua/turn.lua, hold.lua).

The lock bears a random token, runs out after LASTS seconds, and is lengthened while the fetch goes on. Whoever waits
looks again after a jittered while that grows to SLOWEST, and never longer than it was told to. A replica that was
killed is waited for until its lock runs out; where the server is gone, nobody waits for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from enum import Enum
from random import random
from secrets import token_bytes
from time import time
from typing import Any, Final, Literal, NamedTuple

from gateway.background import end
from gateway.cache.codec import IDENTITY
from gateway.cache.entry import Entry
from gateway.state.ports import Unavailable
from gateway.state.redis_scripts import Script

#: Seconds that a lock lasts which nobody lengthens, and that an answer counts as nobody else's.
LASTS = 3.0
LET_GO = 10.0
#: Seconds between two looks: at first, and at most; and how much longer each wait is than the last one.
QUICKEST, SLOWEST = 0.005, 0.1
_GROWS = 1.5
#: Times that a lock is lengthened at most: an hour.
_BEATS = 3600
#: Looks in a row that may fail.
_FAILURES = 3

_TURN = Script("turn", "gateway.cache")
_HOLD = Script("hold", "gateway.cache")
_WHERE = tuple(b"%d" % at for at in IDENTITY)
_LET_GO, _MINE = 0, 1

Run = Callable[[Script, Sequence[bytes], Sequence[bytes]], Awaitable[Any]]
#: What is stored for a request now, and by which writing; None where nothing is, or nothing can be told.
Look = Callable[[], Awaitable[tuple[bytes | None, Entry | None]]]
#: Holds a task of the gateway's own.
Spawn = Callable[[Coroutine[Any, Any, None]], object]
#: Ends when what was to be stored of a resource is stored.
Stored = Callable[[], Awaitable[None]]


class _Ours(Enum):
    OURS = "ours"


_OURS: Final = _Ours.OURS


class Place(NamedTuple):
    """The keys of one turn."""

    lock: bytes
    #: Says that the answer is nobody else's.
    mark: bytes
    #: The resource's record.
    record: bytes


class Turns:
    """Those of one replica. `up` says whether the server can be asked; `run` raises Unavailable."""

    def __init__(self, run: Run, up: Callable[[], bool], spawn: Spawn) -> None:
        self._run = run
        self._up = up
        self.spawn = spawn
        self.held: set[RedisTurn] = set()

    async def take(self, place: Place, look: Look, stored: Stored, longest: float) -> Entry | RedisTurn | None:
        """See `ports.SharedTier.turn`. `stored` is waited for before the others are told that the fetch is over."""
        token = token_bytes(12)
        turn: RedisTurn | None = None
        try:
            entry = await self._wait(place, token, look, longest)
            if entry is not _OURS:
                return entry
            turn = RedisTurn(self, place, token, stored)
            self.held.add(turn)
            return turn
        finally:
            # It may be ours all the same: where the answer did not come in time, or whoever wanted it has gone.
            if turn is None:
                self.spawn(self.end(place, token))

    async def lengthen(self, place: Place, token: bytes) -> bool:
        """Hold a lock for LASTS more seconds; False where it is another's."""
        try:
            return bool(await self._run(_HOLD, place[:2], [token, _milliseconds(LASTS), b"0"]))
        except Unavailable:
            return True  # nobody knows; the server may be back before it runs out

    async def end(self, place: Place, token: bytes, *, let_go: bool = False) -> None:
        """Give a lock back; where that cannot be said, it runs out."""
        with suppress(Unavailable):
            await self._run(_HOLD, place[:2], [token, b"0", _milliseconds(LET_GO if let_go else 0)])

    # ---- inside

    async def _wait(
        self, place: Place, token: bytes, look: Look, longest: float
    ) -> Entry | Literal[_Ours.OURS] | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + longest
        failures, pause = 0, QUICKEST
        first, before, last = True, None, None
        while True:
            try:
                state, identity = await self._run(_TURN, place, [token, _milliseconds(LASTS), *_WHERE])
            except Unavailable:
                failures += 1
                if failures == _FAILURES or not self._up():
                    return None
            else:
                failures = 0
                if state == _LET_GO:
                    return None
                if first or state == _MINE or identity != last:
                    writing, entry = await look()
                    # What has been written since we came is the answer to us too, however long it may be kept.
                    if entry is not None and (_fresh(entry) or (not first and writing != before)):
                        return entry
                    if state == _MINE:
                        return _OURS
                    before = writing if first else before
                    first, last = False, identity
            left = until - loop.time()
            if left <= 0:
                return None
            await asyncio.sleep(min(left, pause * (0.5 + random())))  # noqa: S311 - jitter
            pause = min(pause * _GROWS, SLOWEST)


class RedisTurn:
    """The right to fetch: `ports.Turn`."""

    def __init__(self, turns: Turns, place: Place, token: bytes, stored: Stored) -> None:
        self._turns = turns
        self._place = place
        self._token = token
        self._stored = stored
        self._heart = asyncio.get_running_loop().create_task(self._live())

    def done(self, *, let_go: bool = False) -> None:
        """See `ports.Turn.done`; a second time it means nothing."""
        if self in self._turns.held:
            self._turns.held.discard(self)
            self._turns.spawn(self._end(let_go=let_go))

    async def stop(self) -> None:
        """End it with the process: what it was to store is stored no more."""
        self._turns.held.discard(self)
        await end([self._heart])
        await self._turns.end(self._place, self._token)

    async def _end(self, *, let_go: bool) -> None:
        try:
            if not let_go:
                await self._stored()
        finally:
            await end([self._heart])
        await self._turns.end(self._place, self._token, let_go=let_go)

    async def _live(self) -> None:
        for _ in range(_BEATS):
            await asyncio.sleep(LASTS / 3)
            if not await self._turns.lengthen(self._place, self._token):
                return


def _fresh(entry: Entry) -> bool:
    return not entry.freshness.validate and entry.freshness.left(time()) > 0


def _milliseconds(seconds: float) -> bytes:
    return b"%d" % (seconds * 1000)
