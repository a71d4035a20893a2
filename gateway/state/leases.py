"""Shared rate limits without a round trip a request: tokens are taken in batches ahead of need, and spent here.

A request that finds its tokens in hand is decided at once, and so is one for which the shared state has just said
that nothing is left. Only in between does one wait for the answer that is under way: one a key, for all who wait.
What is held, and what it may lead to, is `rules/lease.py`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from gateway.rules import gcra, lease
from gateway.rules.gcra import SECOND, Rate, Standing
from gateway.rules.lease import Lease
from gateway.state.ports import Charge, Limit, SharedBuckets, Spendings, Unavailable

_PS = 1e12  # picoseconds in a second, for a float


class _Held(Lease):
    """A key's lease, and who waits for more."""

    __slots__ = ("begun", "first", "key", "limit", "needed", "rate", "refill", "waiters", "waiting")

    def __init__(self, limit: Limit, key: bytes) -> None:
        super().__init__()
        self.key = key
        self.limit = limit
        self.rate = _rate(limit)
        #: The answer under way, and whether its question has gone out.
        self.refill: asyncio.Task[Unavailable | None] | None = None
        self.begun = False
        #: What the next question is to ask for: tokens for all who wait, and for the first of them.
        self.needed = 0
        self.first = 0
        #: How many wait, and the tokens that they wait for.
        self.waiters = 0
        self.waiting = 0

    def use(self, limit: Limit) -> None:
        """Go by this limit, of the same name, from now on."""
        rate = _rate(limit)
        self.tat += self.tokens * (self.rate.interval - rate.interval)  # what the shared bucket has used stays
        self.believed = self.empty = 0
        if limit.calendar != self.limit.calendar:
            self.until = 0  # another window's
        self.limit, self.rate = limit, rate


def _rate(limit: Limit) -> Rate:
    return limit.rate if limit.calendar is None else gcra.quota(limit.rate.limit)


_FEWEST = 100  # keys held: more than one request has charges


class Leases:
    """Spends tokens of shared buckets. Not for several threads.

    `replicas` says how many gateways share them; `timeout` bounds every wait, seconds; `capacity` bounds the keys
    held, of which the one idle longest goes first, with what it holds, but none that somebody waits for; `waiters`
    bounds those who wait for one key.
    """

    def __init__(
        self,
        shared: SharedBuckets,
        replicas: Callable[[], int],
        *,
        timeout: float = 0.05,
        capacity: int = 10_000,
        waiters: int = 1000,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._shared = shared
        self._replicas = replicas
        self._timeout = timeout
        self._capacity = max(capacity, _FEWEST)
        self._waiters = waiters
        self._clock = clock
        self._table: OrderedDict[bytes, _Held] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._table)

    def check(self, charges: Sequence[Charge], now: float) -> list[Standing] | None:
        """As `Buckets.take`, without asking anybody; None when only `wait` can tell."""
        at = int(now * _PS)
        table = self._table
        standings: list[Standing] = []
        for limit, key, cost in charges:
            name = limit.prefix + key
            held = table.get(name)
            if held is None or held.tokens < cost or at >= held.until or held.limit is not limit:
                self._unspend(charges[: len(standings)])
                return self._decide(charges, at)[0]
            standings.append(
                held.spend(limit.rate, cost, at) if limit.calendar is None else held.spend_quota(held.rate, cost, at)
            )
            if held.tokens + held.tokens < held.batch and held.refill is None:
                self._ahead(held, at)
        return standings

    def spend(self, wanted: Spendings, asked: Any, names: list[bytes], now: float) -> list[int] | None:
        """As `Buckets.spend`; None also when only `wait` can tell."""
        at = int(now * _PS)
        table = self._table
        told: list[int] = []
        for one in wanted.each:
            name = one.name
            if name is None:
                name = one.read(asked)
            held = table.get(name)
            if held is None or held.tokens < one.cost or at >= held.until or held.limit is not one.limit:
                for spent, known in zip(wanted.each, names, strict=False):
                    table[known].unspend(spent.limit.rate, spent.cost)
                names.clear()
                return None
            # As `Lease.spend`, without the call.
            held.tokens = tokens = held.tokens - one.cost
            held.spent += one.cost
            held.tat = tat = held.tat + one.need
            if tokens + tokens < held.batch and held.refill is None:
                self._ahead(held, at)
            names.append(name)
            level = tat - at
            if level <= 0:
                told += (one.limit.rate.burst, 0)
            else:
                left = (one.capacity - level) // one.interval
                told += (left if left > 0 else 0, -(-level // SECOND))  # noqa: FURB136 - as there
        return told

    async def wait(self, charges: Sequence[Charge]) -> list[Standing]:
        """As `check`, after the answer that it takes. Raises Unavailable when none comes in time."""
        deadline = self._clock() + self._timeout
        while True:
            now = self._clock()
            at = int(now * _PS)
            decided, lacking = self._decide(charges, at)
            if decided is not None:
                return decided
            if now >= deadline:
                raise Unavailable("others were quicker")
            await self._more(lacking, deadline - now)

    def give_back(self, charges: Sequence[Charge], age: float = 0.0) -> None:
        """As `Buckets.give_back`: into the hand, and what is too much for it to the shared state."""
        at = int(self._clock() * _PS)
        self._unspend(charges)
        for limit, key, _ in charges:
            held = self._table.get(limit.prefix + key)
            if held is not None:
                # Where nothing is held ahead, it is known when these tokens were taken.
                self._trim(held, at, age + self._timeout if self._cap(held.rate) == 0 else None)

    def forget(self, limit: Limit, key: bytes | None) -> int:
        """Drop what is held of a key, or with None of all the rule's; how many there were."""
        names = [n for n in self._table if n.startswith(limit.prefix)] if key is None else [limit.prefix + key]
        return sum(self._table.pop(name, None) is not None for name in names)

    async def close(self) -> None:
        """Ask for nothing more. Whoever waits gets Unavailable."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- deciding

    def _decide(self, charges: Sequence[Charge], at: int) -> tuple[list[Standing] | None, dict[_Held, int]]:
        """Spend for all charges, or refuse; or None where that cannot be told yet, and how many tokens of whose."""
        costs: dict[_Held, int] = {}
        lacking: dict[_Held, int] = {}
        refused = False
        for one in charges:
            held = self._find(one, at)
            costs[held] = cost = costs.get(held, 0) + one.cost
            if held.tokens >= cost:
                continue
            if not _hopeless(held, cost - held.tokens, at):
                lacking[held] = cost
            elif one.limit.shadow:
                costs[held] -= one.cost
            else:
                refused = True
        if refused:
            return self._refuse(charges, at), {}
        if lacking:
            return None, lacking
        return [self._spend(one, at) for one in charges], {}

    def _spend(self, one: Charge, at: int) -> Standing:
        """Spend for one charge; only a shadow rule's may not fit here."""
        held = self._table[one.limit.prefix + one.key]
        if held.tokens < one.cost:
            return held.refusal(held.rate, one.cost, held.waiting, at)
        return (held.spend_quota if held.ends else held.spend)(held.rate, one.cost, at)

    def _refuse(self, charges: Sequence[Charge], at: int) -> list[Standing]:
        """How the charges stand, none of which is taken."""
        costs: dict[_Held, int] = {}
        standings = []
        for one in charges:
            held = self._table[one.limit.prefix + one.key]
            cost = costs.get(held, 0) + one.cost
            if held.tokens < cost and _hopeless(held, cost - held.tokens, at):
                standings.append(held.refusal(held.rate, cost, held.waiting, at))
            else:
                costs[held] = cost
                standings.append(held.standing(held.rate, at))
        return standings

    def _unspend(self, charges: Sequence[Charge]) -> None:
        for limit, key, cost in charges:
            held = self._table.get(limit.prefix + key)
            if held is not None:
                held.unspend(held.rate, cost)

    def _find(self, one: Charge, at: int) -> _Held:
        """The key's lease, made if there is none, without what has expired."""
        limit, key, _ = one
        name = limit.prefix + key
        held = self._table.get(name)
        if held is None:
            held = self._table[name] = _Held(limit, key)
            self._evict()
        else:
            self._table.move_to_end(name)
            if held.limit is not limit:
                held.use(limit)
            held.expire(held.rate, at)
        return held

    def _evict(self) -> None:
        for _ in range(len(self._table) - self._capacity):
            name, held = self._table.popitem(last=False)
            if held.waiters:
                self._table[name] = held  # its tokens are awaited; another goes with the next new key

    # ---- asking

    async def _more(self, lacking: dict[_Held, int], within: float) -> None:
        """Wait for the answers under way, or for new ones that ask for these tokens too."""
        if any(held.waiters >= self._waiters for held in lacking):
            raise Unavailable("too many wait")
        tasks = []
        for held, cost in lacking.items():
            task = held.refill or self._ask(held)
            if not held.begun:
                held.first = held.first or cost
                held.needed += cost
            held.waiters += 1
            held.waiting += cost
            tasks.append(task)
        try:
            done, late = await asyncio.wait(tasks, timeout=within)
        finally:
            for held, cost in lacking.items():
                held.waiters -= 1
                held.waiting -= cost
                # Once the others, and whoever this is for, have had their turn.
                asyncio.get_running_loop().call_soon(self._trim_awaited, held)
        for task in done:
            error = Unavailable("closed") if task.cancelled() else task.result()
            if error is not None:
                raise Unavailable(*error.args) from error
        if late:
            raise Unavailable("no answer in time")

    def _ahead(self, held: _Held, at: int) -> None:
        """Ask for more before it is needed, where that may bring something."""
        self._table.move_to_end(held.limit.prefix + held.key)
        if self._cap(held.rate) > 0 and not held.refuses(held.rate, 1, at):
            self._ask(held)

    def _ask(self, held: _Held) -> asyncio.Task[Unavailable | None]:
        task = held.refill = self._start(self._refill(held))
        return task

    async def _refill(self, held: _Held) -> Unavailable | None:
        limit, rate = held.limit, held.rate
        sent = int(self._clock() * _PS)
        wanted = held.wants(self._cap(rate), sent) + max(0, held.needed - held.tokens)
        at_least = max(1, held.first - held.tokens)
        held.begun, held.needed, held.first = True, 0, 0
        try:
            if wanted >= at_least:
                taken, told = await self._shared.take_some(limit, held.key, wanted, at_least)
                if limit.calendar is None:
                    held.filled(rate, taken, wanted, told, sent, int(self._clock() * _PS))
                else:
                    held.filled_quota(rate, taken, told, sent)
        except Unavailable as error:
            return error
        finally:
            held.refill, held.begun = None, False
        return None

    # ---- giving back

    def _trim_awaited(self, held: _Held) -> None:
        # What is held beyond the cap was taken for somebody who waited, and nobody waits for longer than this.
        self._trim(held, int(self._clock() * _PS), self._timeout)

    def _trim(self, held: _Held, at: int, age: float | None) -> None:
        """Hold no more than the cap, and what is waited for; the rest goes back if its age is known, or is lost."""
        surplus = held.tokens - self._cap(held.rate) - held.waiting
        if surplus <= 0:
            return
        if at >= held.until:
            held.drop(held.rate, surplus)
            return
        if age is None:
            count, old = held.hand_over(surplus, at)
            age = old / _PS
            held.drop(held.rate, surplus - count)
        else:
            count = surplus
            held.tokens -= surplus
        if count:
            self._start(self._return(Charge(held.limit, held.key, count), age))

    async def _return(self, one: Charge, age: float) -> None:
        with suppress(Unavailable):  # they stay charged: too few pass, not too many
            await self._shared.give_back([one], age)

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _cap(self, rate: Rate) -> int:
        return lease.cap(rate.burst, self._replicas())


def _hopeless(held: _Held, missing: int, at: int) -> bool:
    """Whether so many tokens surely do not come, after all for whom others wait."""
    return held.refuses(held.rate, missing + held.waiting, at)
