"""One request's charges on all the rules that it meets, wherever their tokens are: all are taken, or none is.

First are asked the rules of this process, then what is leased, at last the shared state; whoever is asked later may
refuse what was taken before, and then that goes back. While the shared state cannot be asked, this replica's share
decides in its place, and nobody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from gateway.rules.gcra import Standing
from gateway.state.ports import Buckets, Charge, Unavailable
from gateway.state.rate_rules import RateLimits, RunningRule, Way

_GiveBack = Callable[[list[Charge], float], None]


class Asking:
    """The charges, and how each stands so far: None for what has not been asked. `now` is monotonic seconds."""

    __slots__ = ("_undo", "charges", "fallback", "rules", "standings")

    def __init__(self, rules: Sequence[RunningRule], charges: Sequence[Charge]) -> None:
        self.rules = rules
        self.charges = charges
        self.standings: list[Standing | None] = [None] * len(rules)
        #: The places of those that this replica's share decided.
        self.fallback: list[int] = []
        self._undo: list[tuple[Callable[[float], None], Sequence[int]]] = []

    def here(self, limits: RateLimits, now: float) -> bool | None:
        """Whether all fit; None when only `there` can tell."""
        local = self._of(Way.LOCAL)
        if local and not self._take(limits.local, local, [self.charges[at] for at in local], now):
            return False
        if len(local) == len(self.rules):
            return True
        if limits.shared is None or not limits.shared.up:
            return self._ask_fallback(limits, now)
        leased = self._of(Way.LEASED)
        if leased and limits.leases is not None:
            charges = [self.charges[at] for at in leased]
            standings = limits.leases.check(charges, now)
            if standings is not None and not self._note_leased(limits, leased, charges, standings, now):
                return False
        return None if self._of(Way.LEASED, Way.EXACT) else True

    async def there(self, limits: RateLimits, within: float | None = None) -> bool:
        """Whether all fit, after `here` could not tell; by this replica's share where there is no answer `within`.

        None leaves it to the state's own timeout, which counts as its failure.
        """
        try:
            async with asyncio.timeout(within):
                return await self._ask_shared(limits)
        except (Unavailable, TimeoutError):
            return self._ask_fallback(limits, limits.clock())

    def give_back(self, now: float) -> None:
        """Undo what was taken, once, when something refused."""
        undo, self._undo = self._undo, []
        for one, places in undo:
            one(now)
            for at in places:
                standing = self.standings[at]
                if standing is not None and standing.allowed:
                    self.standings[at] = standing._replace(remaining=standing.remaining + self.charges[at].cost)

    def keep(self, standings: Sequence[Standing], give_back: _GiveBack) -> bool:
        """Keep how all stand, where one call has taken them, or none: whether all fit."""
        return self.note(range(len(standings)), self.charges, standings, give_back)

    def note(
        self,
        places: Sequence[int],
        charges: Sequence[Charge],
        standings: Sequence[Standing],
        give_back: _GiveBack | None = None,
    ) -> bool:
        """Keep how these stand; whether all fit, or are only shadows."""
        fits = True
        for at, standing in zip(places, standings, strict=True):
            self.standings[at] = standing
            fits = fits and (standing.allowed or self.rules[at].limit.shadow)
        if fits and give_back is not None:
            taken = [charge for charge, standing in zip(charges, standings, strict=True) if standing.allowed]
            self._undo.append((partial(give_back, taken), places))
        return fits

    # ---- inside

    def _of(self, *ways: Way) -> list[int]:
        """The places of those whose tokens are there, and that have not been asked."""
        return [at for at, rule in enumerate(self.rules) if rule.way in ways and self.standings[at] is None]

    def _take(self, buckets: Buckets, places: list[int], charges: list[Charge], now: float) -> bool:
        def give_back(taken: list[Charge], later: float) -> None:
            buckets.give_back(taken, later, later - now)

        return self.note(places, charges, buckets.take(charges, now), give_back)

    def _ask_fallback(self, limits: RateLimits, now: float) -> bool:
        replicas = 1 if limits.shared is None else limits.shared.replicas
        self.fallback = places = self._of(Way.LEASED, Way.EXACT)
        charges = []
        for at in places:
            limit, key, cost = self.charges[at]
            share = self.rules[at].share(replicas)
            # What is more than a whole share costs all of it, as long as the rule itself would let it pass.
            if share.rate.burst < cost <= limit.rate.burst:
                cost = share.rate.burst
            charges.append(Charge(share, key, cost))
        return self._take(limits.fallback, places, charges, now)

    async def _ask_shared(self, limits: RateLimits) -> bool:
        leased = self._of(Way.LEASED)
        if leased and limits.leases is not None:
            charges = [self.charges[at] for at in leased]
            standings = await limits.leases.wait(charges)
            if not self._note_leased(limits, leased, charges, standings, limits.clock()):
                return False
        exact = self._of(Way.EXACT)
        if not exact or limits.shared is None:
            return True
        charges = [self.charges[at] for at in exact]
        standings = await limits.shared.take(charges)
        now = limits.clock()

        def give_back(taken: list[Charge], later: float) -> None:
            limits.give_back_shared(taken, later - now)

        return self.note(exact, charges, standings, give_back)

    def _note_leased(
        self, limits: RateLimits, places: list[int], charges: list[Charge], standings: list[Standing], now: float
    ) -> bool:
        def give_back(taken: list[Charge], later: float) -> None:
            if limits.leases is not None:
                limits.leases.give_back(taken, later - now)

        return self.note(places, charges, standings, give_back)
