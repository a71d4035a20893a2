"""The flags in force: the config file's, under the environment's, under what was changed at run time.

`current` is read on the hot path and replaced whole. It is compiled anew when the config or a live value changes. A
change is compiled with all that is in force before it is kept, so none that is wrong ever is; what was right when it
was kept and is wrong by a later config (it names a segment that is gone) is left out, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from gateway.flags.codec import unsuitable
from gateway.flags.memory_store import MemoryStore
from gateway.flags.merging import NOTHING, nobody
from gateway.flags.ports import MOST_FLAGS, Change, NoSuchFlag, State, Store, WrongChange
from gateway.rules.flags import layers
from gateway.rules.flags.compiling import Place, Wrong
from gateway.rules.flags.definition import compiled
from gateway.rules.flags.flag_set import FlagSet
from gateway.rules.flags.layers import Value
from gateway.state.ports import Unavailable

#: Characters of who changed a flag, and of why.
LONGEST_WHO, LONGEST_WHY = 100, 500
#: Tries for one change while others change flags too.
_TRIES = 8

#: Is told the flags whose values are others now. It must not raise.
Changed = Callable[[frozenset[str]], None]
#: A live value from the one before.
_Make = Callable[[Value | None], Value | None]


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

    def __init__(self, variables: Mapping[str, str]) -> None:
        """`variables` are the environment's; of them FEATURE_NAME and ROLLOUT_NAME count."""
        #: What evaluates; each one is another object.
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
        #: What a change would come to, compiled when it was checked, until it is in force.
        self._checked: tuple[Mapping[str, object], FlagSet] | None = None
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
        self._checked = None
        self._environment, wrong, self.unknown_variables = layers.environment(self._variables, define)
        self.wrong_variables = tuple(dict.fromkeys(message for _, message in wrong))
        self._renew()

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
        for _ in range(_TRIES):
            mark, before = self._store.mark, self._live.get(name)
            value = make(None if before is None else before.value)
            self._check(name, value, who, why)
            if await self._store.put(Change(name, value, who, why), mark):
                return self.shown(name)
        raise Unavailable("others change flags all the time")

    def _check(self, name: str, value: Value | None, who: str, why: str) -> None:
        wrong: list[Wrong] = []
        for key, text, longest in (("who", who, LONGEST_WHO), ("why", why, LONGEST_WHY)):
            if len(text) > longest:
                wrong.append(Wrong((key,), f"at most {longest} characters"))
        if value is not None:
            wrong += unsuitable(value)
        if not wrong:
            effective = self._merged({**self._taken(), name: value})
            made = self._compiled(effective)
            before = set(self.current.wrong)
            wrong += [_about(one, name) for one in made.wrong if one not in before]
            self._checked = None if wrong else (effective, made)
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
            near = get_close_matches(name, self._define, 1)
            raise NoSuchFlag(name, near[0] if near else "")

    def _learned(self) -> None:
        if self._store.known and self._store.live is not self._live:
            self._live = self._store.live
            self._renew()

    def _taken(self) -> dict[str, Value | None]:
        """The live values in force."""
        return {name: one.value for name, one in self._live.items() if name not in self.ignored}

    def _merged(self, live: Mapping[str, Value | None]) -> dict[str, object]:
        return {
            name: layers.merged(raw, self._environment.get(name), live.get(name))
            for name, raw in self._define.items()
        }

    def _compiled(self, effective: Mapping[str, object]) -> FlagSet:
        if self._checked is not None and self._checked[0] == effective:
            return self._checked[1]
        return compiled(effective, self._segments, self._hostname, self._known)

    def _renew(self) -> None:
        """Compile what is in force, without the live values that are wrong by this config."""
        before = self._effective
        self.ignored = {}
        while True:
            taken = self._taken()
            effective = self._merged(taken)
            made = self._compiled(effective)
            to_blame = {str(one.at[1]) for one in made.wrong if one.at[0] == "define"}
            to_blame &= {name for name, value in taken.items() if value is not None}
            if not to_blame:
                break
            self.ignored = {
                **self.ignored,
                **{name: tuple(_about(one, name) for one in made.wrong if one.at[1] == name) for name in to_blame},
            }
        self.current, self._effective, self._checked = made, effective, None
        self.version += 1
        names = before.keys() | effective.keys()
        changed = frozenset(name for name in names if before.get(name) != effective.get(name))
        for told in self.on_change:
            told(changed)


def _about(one: Wrong, name: str) -> Wrong:
    """A mistake with its place in the changed flag."""
    at: Place = one.at[2:] if one.at[:2] == ("define", name) else one.at
    return Wrong(at, one.message)
