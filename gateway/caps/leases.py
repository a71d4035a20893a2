"""Slots of caps that replicas share: leases asked for, given back, and waited for. See `ports.SharedSlots`.

A lease is never lost sight of: asking and giving back are tasks of this object's own, so that a client who leaves
cannot cut them short. Whoever is next in a queue asks again every 50 ms or so, and when a slot of this replica has
come free. While the shared state cannot be asked, this replica lets in its share of the limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from random import random
from typing import Any, Final, Protocol, TypeVar

from gateway.rules.in_flight import Slots, Waiter
from gateway.state.ports import SharedSlots, Unavailable

#: What who holds a slot by the local share has in a lease's place.
LOCAL: Final = b""

#: Seconds between two tries for whoever is next in a queue, on average.
_INTERVAL = 0.05

_T = TypeVar("_T")


class SharedCap(Protocol):
    """What has to be known of a cap."""

    id: str
    limit: int


class Leases:
    """This process's leases. `bug(where, error)` is told of what is no Unavailable."""

    def __init__(
        self,
        slots: SharedSlots,
        replicas: Callable[[], int],
        bug: Callable[[str, BaseException], None],
        patience: float = 0.05,
    ) -> None:
        #: How long a request waits for the shared state, all its questions together, in seconds.
        self.patience = patience
        self._shared = slots
        self._replicas = replicas
        self._bug = bug
        self._tasks: set[asyncio.Task[Any]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._turns: dict[Slots, asyncio.Event] = {}
        #: Leases that could not be given back; they run out by themselves.
        self.lost = 0

    async def enter(self, cap: SharedCap, slots: Slots, left: float | None = None) -> bytes | None:
        """Take a slot at once: its lease, or None when all are taken.

        `left` is how long it may take yet, where that is less than the state's own timeout.
        """
        slots.asking += 1
        try:
            lease = await self._ask(cap, slots, left)
        finally:
            slots.asking -= 1
        if lease is not None:
            slots.hold()
        return lease

    def leave(self, cap: SharedCap, slots: Slots, lease: bytes) -> None:
        """Give a slot back."""
        slots.leave()
        self._give_back(cap, slots, lease)

    def withdraw(self, cap: SharedCap, slots: Slots, waiter: Waiter) -> None:
        """Give up what a waiter has, a place or already a slot."""
        had_slot = waiter.admitted
        slots.withdraw(waiter)
        if had_slot:
            self._give_back(cap, slots, waiter.lease)
        elif not slots.queued:
            self._hurry(slots)

    def serve(self, cap: SharedCap, slots: Slots) -> None:
        """See to it that those who wait are let in; call it for each that joins the queue."""
        if slots not in self._turns:
            self._turns[slots] = asyncio.Event()
            task = asyncio.get_running_loop().create_task(self._serve(cap, slots))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        """Finish what is being given back. Whoever still waits goes on, and comes in by the local share."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # ---- inside

    async def _ask(self, cap: SharedCap, slots: Slots, left: float | None = None) -> bytes | None:
        task = self._run(self._shared.acquire(cap.id, slots.key, cap.limit))
        try:
            async with asyncio.timeout(left):
                return await asyncio.shield(task)
        except TimeoutError:
            task.add_done_callback(partial(self._unwanted, cap, slots))
        except asyncio.CancelledError:
            task.add_done_callback(partial(self._unwanted, cap, slots))
            raise
        except Exception as error:  # noqa: BLE001 - nothing that becomes of the shared state may become a 500
            if not isinstance(error, Unavailable):
                self._bug("shared_slots", error)
        return LOCAL if slots.in_flight < max(1, cap.limit // max(1, self._replicas())) else None

    def _unwanted(self, cap: SharedCap, slots: Slots, task: asyncio.Task[bytes | None]) -> None:
        """A lease has come for somebody who has left."""
        if not task.cancelled() and task.exception() is None:
            self._give_back(cap, slots, task.result() or LOCAL)

    def _give_back(self, cap: SharedCap, slots: Slots, lease: bytes) -> None:
        if lease == LOCAL:
            self._hurry(slots)
        else:
            self._run(self._release(cap.id, slots, lease))

    async def _release(self, cap: str, slots: Slots, lease: bytes) -> None:
        try:
            await self._shared.release(cap, slots.key, lease)
        except Unavailable:
            self.lost += 1
        except Exception as bug:  # noqa: BLE001 - whoever held the slot has long gone
            self.lost += 1
            self._bug("shared_slots", bug)
        finally:
            self._hurry(slots)

    def _hurry(self, slots: Slots) -> None:
        if slots in self._turns:
            self._turns[slots].set()

    async def _serve(self, cap: SharedCap, slots: Slots) -> None:
        turn = self._turns[slots]
        try:
            while slots.queued:
                await self._pause(turn)
                if slots.queued:
                    await self._next(cap, slots, turn)
        finally:
            del self._turns[slots]

    async def _pause(self, turn: asyncio.Event) -> None:
        timer = asyncio.get_running_loop().call_later(_INTERVAL * (0.5 + random()), turn.set)  # noqa: S311 (jitter)
        try:
            await turn.wait()
        finally:
            timer.cancel()
            turn.clear()

    async def _next(self, cap: SharedCap, slots: Slots, turn: asyncio.Event) -> None:
        """Try to let the next one in."""
        lease = await self._ask(cap, slots)
        if lease is None:
            return
        turn.set()
        waiter = slots.let_in()
        if waiter is None:
            self._give_back(cap, slots, lease)
        else:
            waiter.lease = lease

    def _run(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
