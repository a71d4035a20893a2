"""The flags of a process: made once, the place where their changes are kept for each config. Assembly owns it.

What is changed at run time belongs to names, and outlives reloads.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.faults import about
from gateway.flag_operations import Flags as Operations
from gateway.flags.file_store import FileStore
from gateway.flags.memory_store import MemoryStore
from gateway.flags.ports import Store
from gateway.flags.redis_store import RedisStore
from gateway.flags.registry import Registry
from gateway.rules.flags.given import Here
from gateway.settings import Settings
from gateway.settings.state import State
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log

#: Changes that one moment brings and that are told of by name, and names in one line.
_TOLD = 20


_ADVICE = (
    "`gateway flags` shows what holds meanwhile, and which values do not; what is kept elsewhere is tried again by "
    "itself, a value or variable that is wrong has to be set right"
)


@dataclass(slots=True)
class _Keeping:
    """Where one config has changes kept."""

    #: Whether there are flags at all.
    in_use: bool
    state: State
    path: str | None
    store: Store

    def same(self, settings: Settings) -> bool:
        """Whether another config has them kept there too."""
        flags = settings.flags
        return (self.in_use, self.state, self.path) == (flags.in_use, settings.state, flags.store)


class Flagging:
    """The registry, and the way from settings to it."""

    def __init__(self, health: Health, log: Log, variables: Mapping[str, str]) -> None:
        """`variables` are the environment's."""
        self._health = health
        self._log = log
        self.registry = Registry(variables, log.bug)
        self.registry.on_change.append(self._changed)
        self._keeping = _Keeping(False, State(), None, MemoryStore())
        #: The times of the changes that were told of, by flag; None while a config is put in place.
        self._told: dict[str, float] | None = None
        #: What was last said to be wrong.
        self._said: tuple[object, ...] = ()

    async def prepare(self, settings: Settings) -> _Keeping:
        """Read what is kept by a new config, where that is elsewhere. Raises OSError as Protection.prepare."""
        made = self._keeping if self._keeping.same(settings) else await self._begun(settings)
        try:
            await self.registry.prepare(*self._defined(settings), made.store)
        except BaseException:
            await self.abandon(made)
            raise
        return made

    async def _begun(self, settings: Settings) -> _Keeping:
        flags, state = settings.flags, settings.state
        made = _Keeping(flags.in_use, state, flags.store, MemoryStore())
        if flags.in_use and state.redis is not None:
            with about("state.tls"):
                made.store = RedisStore(
                    parse_redis_url(state.redis.get_secret_value()),
                    RedisTls(**state.tls.model_dump()),
                    state.name,
                    self._moved,
                    self._log.bug,
                )
        elif flags.in_use and flags.store is not None:
            made.store = FileStore(flags.store, self._moved, self._log.bug)
        await made.store.start()
        return made

    def install(self, made: _Keeping, settings: Settings) -> None:
        """From here on flags are as this config has them."""
        self._told = None
        if made is not self._keeping:
            self.registry.use(made.store)
        self.registry.configure(*self._defined(settings))
        self._told = {one.name: one.changed.when for one in self.registry.all() if one.changed is not None}
        self._warn()

    async def settle(self, made: _Keeping) -> None:
        """Let go of where changes were kept before."""
        before, self._keeping = self._keeping, made
        if before is made:
            return
        if made.in_use:
            self._health.part("flags", self.registry.health, _ADVICE)
        else:
            self._health.forget("flags")
        await before.store.close()

    async def abandon(self, made: _Keeping) -> None:
        """The config that wanted this one could not be applied."""
        if made is not self._keeping:
            await made.store.close()

    async def close(self) -> None:
        """End everything that runs."""
        await self.registry.close()
        await self._keeping.store.close()

    def operations(self, settings: Callable[[], Settings], random: Callable[[int], bytes]) -> Operations:
        """Flags as the admin API asks for them."""
        return Operations(self.registry, lambda: here(settings()), random)

    @staticmethod
    def _defined(
        settings: Settings,
    ) -> tuple[Mapping[str, object], Mapping[str, object], str, Callable[[str], bool]]:
        """A config's flags, and what they stand on."""
        flags = settings.flags
        return flags.define, flags.segments, socket.gethostname(), flags.context.known

    # ---- what is told

    def _changed(self, names: frozenset[str]) -> None:
        if self._told is None:
            return
        news = [self.registry.shown(name).changed for name in sorted(names) if name in self.registry.current.flags]
        for change in [one for one in news if one is not None and self._told.get(one.flag) != one.when][:_TOLD]:
            kept = None if change.value is None else sorted(change.value)
            self._log.info("flag_changed", flag=change.flag, who=change.who, why=change.why, live_keys=kept)
        self._told.update({one.flag: one.when for one in news if one is not None})
        self._warn()

    def _warn(self) -> None:
        """Say what cannot be in force, when that is another than before."""
        registry = self.registry
        said = (registry.wrong_variables, registry.unknown_variables, tuple(sorted(registry.ignored)))
        if said == self._said:
            return
        self._said = said
        if registry.wrong_variables:
            self._log.warning("flag_variables_wrong", mistakes=registry.wrong_variables[:_TOLD])
        if registry.unknown_variables:
            self._log.info("flag_variables_unknown", variables=registry.unknown_variables[:_TOLD])
        if registry.ignored:
            self._log.warning(
                "flag_values_ignored",
                mistakes=[f"{name}: {one}" for name, wrong in sorted(registry.ignored.items()) for one in wrong][
                    :_TOLD
                ],
                hint="they were right by another config; the values below them are in force",
            )

    def _moved(self, up: bool, why: str) -> None:
        if up:
            self._log.info("flag_store_up")
        else:
            self._log.warning("flag_store_down", reason=why, hint="the last known values stay meanwhile")


def here(settings: Settings) -> Here:
    """What a config says of contexts that somebody writes down."""
    context = settings.flags.context
    usual = {"user": context.user, "session": context.session, "groups": context.groups}
    sources = {**context.properties, **{name: source for name, source in usual.items() if source is not None}}
    return Here(context.environment, context.app, sources)
