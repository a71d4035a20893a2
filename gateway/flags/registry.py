"""The flags in force: the config file's, under the environment's, under what was changed at run time.

`current` is read on the hot path and replaced whole. Of it, what a change touches is compiled anew, so that one of a
thousand flags holds up nothing; where much changes together, that is done in slices beforehand. A change is compiled
with all that is in force before it is kept, so none that is wrong ever is; what was right when it was kept and is
wrong by a later config (it names a segment that is gone) is left out, and said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from heapq import nlargest
from itertools import takewhile
from typing import NamedTuple

from gateway.background import Background, Bug
from gateway.flags.codec import unsuitable
from gateway.flags.memory_store import MemoryStore
from gateway.flags.merging import NOTHING, nobody
from gateway.flags.ports import MOST_FLAGS, Change, NoSuchFlag, State, Store, WrongChange
from gateway.flags.slices import in_slices
from gateway.rules.flags import layers
from gateway.rules.flags.compiling import Place, Steps, Wrong, at_once, same
from gateway.rules.flags.definition import compiling
from gateway.rules.flags.flag_set import FlagSet
from gateway.rules.flags.layers import Value
from gateway.state.ports import Unavailable

#: Characters of who changed a flag, and of why.
LONGEST_WHO, LONGEST_WHY = 100, 500
#: Tries for one change while other replicas change flags too.
_TRIES = 20
#: Flags that a name which is none is compared with.
_COMPARED = 30
#: Flags that are compiled at once when a store has learned of so many changes; more are compiled in slices.
_AT_ONCE = 50

#: Is told the flags whose values are others now. It must not raise.
Changed = Callable[[frozenset[str]], None]
#: A live value from the one before.
_Make = Callable[[Value | None], Value | None]
#: Of each flag, its live value and what all layers come to with it.
_Layered = Mapping[str, tuple[Value | None, object]]


class Shown(NamedTuple):
    """A flag's value in each layer, as it is written there; None where it says nothing."""

    name: str
    file: object
    environment: Value | None
    live: Value | None
    #: What all of them come to, as a definition.
    effective: object
    #: The live value's last change, which may have taken it away.
    changed: Change | None
    #: Why the live value, though kept, is not in force; empty where it is.
    ignored: tuple[Wrong, ...] = ()


class Registry:
    """All flags of a process. `current` is empty until `configure`."""

    def __init__(self, variables: Mapping[str, str], bug: Bug = lambda _where, _error: None) -> None:
        """`variables` are the environment's; of them FEATURE_NAME and ROLLOUT_NAME count."""
        #: What evaluates; one that says something else is another object.
        self.current = FlagSet({})
        #: Grows with each `current`.
        self.version = 0
        self.on_change: list[Changed] = []
        #: What is wrong with the environment's variables.
        self.wrong_variables: tuple[str, ...] = ()
        #: Those that no flag is called by.
        self.unknown_variables: tuple[str, ...] = ()
        #: Why live values are not in force, by flag.
        self.ignored: Mapping[str, tuple[Wrong, ...]] = {}
        self._variables = variables
        self._define: Mapping[str, object] = {}
        self._segments: Mapping[str, object] = {}
        self._hostname = ""
        self._known: Callable[[str], bool] | None = None
        self._environment: Mapping[str, Value] = {}
        self._effective: Mapping[str, object] = {}
        #: Each flag's live value as it is in force, and what all layers come to with it.
        self._layered: _Layered = {}
        #: The same for definitions that are prepared, and these.
        self._coming: tuple[Mapping[str, object], _Layered] = {}, {}
        #: What will soon be in force, as far as it was compiled beforehand.
        self._ready: FlagSet | None = None
        #: The fields of a request that the config file's own definitions read.
        self.read: frozenset[str] = frozenset()
        self._changing = asyncio.Lock()
        self._background = Background("flags.registry", bug)
        #: Runs while more has changed than is compiled at once.
        self._catching_up: asyncio.Task[None] | None = None
        self._store: Store = MemoryStore()
        #: The last changes as they are in force: the store's, once it is known.
        self._live = NOTHING
        self.use(self._store)

    # ---- what it stands on

    def configure(
        self,
        define: Mapping[str, object],
        segments: Mapping[str, object],
        hostname: str = "",
        known: Callable[[str], bool] | None = None,
    ) -> None:
        """Go by these definitions of the config file from now on; the arguments are `definition.compiled`'s."""
        self._define, self._segments, self._hostname, self._known = define, segments, hostname, known
        self._environment, wrong, self.unknown_variables = layers.environment(self._variables, define)
        self.wrong_variables = tuple(dict.fromkeys(message for _, message in wrong))
        self._layered = self._coming[1] if self._coming[0] is define else {}
        self._coming = {}, {}
        if self._catching_up is not None:
            self._catching_up.cancel()
            self._catching_up = None
        if self._store.known:
            self._live = self._store.live
        self._renew()

    async def prepare(
        self,
        define: Mapping[str, object],
        segments: Mapping[str, object],
        hostname: str = "",
        known: Callable[[str], bool] | None = None,
        store: Store | None = None,
    ) -> None:
        """Do beforehand, in slices, most of the work of `configure` with the same, and of `use` with this store."""
        live = self._live if store is None or not store.known else store.live
        layered = await in_slices(self._layering(define, {name: one.value for name, one in live.items()}))
        effective = {name: value for name, (_, value) in layered.items()}
        ready = await in_slices(compiling(effective, segments, hostname, known, self.current))
        self.read = (await in_slices(compiling(define, segments, hostname, known, ready))).fields
        self._ready, self._coming = ready, (define, layered)

    async def close(self) -> None:
        """End what runs."""
        await self._background.close(0.0)

    def use(self, store: Store) -> None:
        """Keep live values there from now on. Until that one is known, what was last known stays."""
        self._store.learned = nobody
        self._store = store
        store.learned = self._learned
        self._learned()

    @property
    def kept(self) -> str:
        """Where live values are: `redis`, `file`, or `memory`, which a restart forgets."""
        return self._store.kept

    def health(self) -> State:
        """For /health."""
        state, why = self._store.health()
        said = [why] if why else []
        if self.ignored:
            said.append(f"live values that this config cannot have: {', '.join(sorted(self.ignored)[:10])}")
        if self.wrong_variables:
            said.append("; ".join(self.wrong_variables[:10]))
        return ("degraded" if said else state), "; ".join(said)

    # ---- what there is

    def shown(self, name: str) -> Shown:
        """One flag. Raises NoSuchFlag."""
        self._must_be(name)
        change = self._live.get(name)
        return Shown(
            name,
            self._define[name],
            self._environment.get(name),
            None if change is None else change.value,
            self._effective[name],
            change,
            self.ignored.get(name, ()),
        )

    def all(self) -> list[Shown]:
        """All flags, in the config's order."""
        return [self.shown(name) for name in self._define]

    async def history(self, name: str, most: int = 100) -> list[Change]:
        """A flag's last changes, the latest first. Raises NoSuchFlag and Unavailable."""
        self._must_be(name)
        return await self._store.history(name, most)

    # ---- changing

    async def put(self, name: str, change: Value | None, who: str, why: str) -> Shown:
        """Have this be a flag's whole live value; None takes it away.

        Raises NoSuchFlag, WrongChange with everything that is wrong, and Unavailable; nothing has changed then, but
        that an Unavailable store which stopped answering may have kept it all the same.
        """
        return await self._change(name, lambda _before: change, who, why)

    async def patch(self, name: str, change: Value, who: str, why: str) -> Shown:
        """Change some keys of a flag's live value; those that are null are left to the layers below. As `put`."""
        return await self._change(name, lambda before: layers.patched(before, change), who, why)

    async def _change(self, name: str, make: _Make, who: str, why: str) -> Shown:
        self._must_be(name)
        async with self._changing:  # one by one: of those that are made upon the same, one alone is kept
            return await self._tried(name, make, who, why)

    async def _tried(self, name: str, make: _Make, who: str, why: str) -> Shown:
        for _ in range(_TRIES):
            await self._caught_up()
            mark, before = self._store.mark, self._live.get(name)
            value = make(None if before is None else before.value)
            self._check(name, value, who, why)
            if await self._store.put(Change(name, value, who, why), mark):
                await self._caught_up()
                return self.shown(name)
        raise Unavailable("other replicas change flags all the time")

    def _check(self, name: str, value: Value | None, who: str, why: str) -> None:
        wrong: list[Wrong] = []
        for key, text, longest in (("who", who, LONGEST_WHO), ("why", why, LONGEST_WHY)):
            if len(text) > longest:
                wrong.append(Wrong((key,), f"at most {longest} characters"))
        if value is not None:
            wrong += unsuitable(value)
        if not wrong:
            made = at_once(self._compiling(self._merged({**self._taken(), name: value})))
            before = set(self.current.wrong)
            wrong += [_about(one, name) for one in made.wrong if one not in before]
            self._ready = None if wrong else made
        if (
            value is not None
            and sum(one.value is not None for one in self._live.values() if one.flag != name) >= MOST_FLAGS
        ):
            wrong.append(Wrong((), f"{MOST_FLAGS} flags have live values, and no more can"))
        if wrong:
            raise WrongChange(wrong)

    # ---- inside

    def _must_be(self, name: str) -> None:
        if name not in self._define:
            # Of a thousand, each is compared with those alone that look like it from both ends.
            near = get_close_matches(name, nlargest(_COMPARED, self._define, partial(_alike, name)), 1)
            raise NoSuchFlag(name, near[0] if near else "")

    def _learned(self) -> None:
        """Have in force what the store has learned."""
        if self._catching_up is None and self._store.known and self._store.live is not self._live:
            if self._news() <= _AT_ONCE:
                self._live = self._store.live
                self._renew()
            else:
                self._catching_up = self._background.spawn(self._catch_up())

    def _news(self) -> int:
        """How many flags the store knows otherwise."""
        mine, theirs = self._live, self._store.live
        return sum(mine.get(name) is not theirs.get(name) for name in self._define)

    async def _catch_up(self) -> None:
        """The same where that is much: the last known values stay until all of it is compiled."""
        for _ in range(_TRIES):
            live = self._store.live
            taken = {name: one.value for name, one in live.items() if name not in self.ignored}
            self._ready = await in_slices(self._compiling(self._merged(taken)))
            if self._store.live is live:
                break
        self._catching_up, self._live = None, self._store.live
        self._renew()

    async def _caught_up(self) -> None:
        while self._catching_up is not None:
            await asyncio.wait([self._catching_up])

    def _taken(self) -> dict[str, Value | None]:
        """The live values in force."""
        return {name: one.value for name, one in self._live.items() if name not in self.ignored}

    def _merged(self, live: Mapping[str, Value | None]) -> dict[str, object]:
        result: dict[str, object] = {}
        for name, raw in self._define.items():
            value, before = live.get(name), self._layered.get(name)
            if before is not None and before[0] is value:
                result[name] = before[1]
            else:
                result[name] = layers.merged(raw, self._environment.get(name), value)
        return result

    def _layering(self, define: Mapping[str, object], live: Mapping[str, Value | None]) -> Steps[_Layered]:
        """What will be in force by other definitions; what is the same as now is the same object."""
        environment = layers.environment(self._variables, define).values
        result: dict[str, tuple[Value | None, object]] = {}
        for name, raw in define.items():
            value, before = live.get(name), self._effective.get(name)
            merged = layers.merged(raw, environment.get(name), value)
            result[name] = value, before if same(before, merged) else merged
            yield
        return result

    def _compiling(self, effective: Mapping[str, object]) -> Steps[FlagSet]:
        before = self._ready or self.current
        return compiling(effective, self._segments, self._hostname, self._known, before)

    def _renew(self) -> None:
        """Compile what is in force, without the live values that are wrong by this config."""
        before = self._effective
        self.ignored = {}
        while True:
            taken = self._taken()
            effective = self._merged(taken)
            made = self._ready = at_once(self._compiling(effective))
            to_blame = {str(one.at[1]) for one in made.wrong if one.at[0] == "define"}
            to_blame &= {name for name, value in taken.items() if value is not None}
            if not to_blame:
                break
            self.ignored = {
                **self.ignored,
                **{name: tuple(_about(one, name) for one in made.wrong if one.at[1] == name) for name in to_blame},
            }
        self.current, self._effective, self._ready = made, effective, None
        self._layered = {name: (taken.get(name), value) for name, value in effective.items()}
        self.version += 1
        names = before.keys() | effective.keys()
        changed = frozenset(name for name in names if not same(before.get(name), effective.get(name)))
        for told in self.on_change:
            told(changed)


def _alike(one: str, other: str) -> int:
    """Characters that two names share at their ends."""
    ends = zip(one, other, strict=False), zip(reversed(one), reversed(other), strict=False)
    return sum(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], end)) for end in ends)


def _about(one: Wrong, name: str) -> Wrong:
    """A mistake with its place in the changed flag."""
    at: Place = one.at[2:] if one.at[:2] == ("define", name) else one.at
    return Wrong(at, one.message)
