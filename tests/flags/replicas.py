"""Replicas of a gateway, as far as flags see them: each with its registry and its store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.flags.ports import Store
from gateway.flags.registry import Registry
from gateway.rules.flags.context import Context

DEFINE: Mapping[str, object] = {"A": False, "B": {"rollout": "10%", "users": ["u1"]}, "C": {"requires": ["A"]}}
#: Seconds within which every replica has to follow.
SOON = 1.0


class Replica:
    """One of them. `store` is given what tells of the store's coming and going, and of bugs."""

    def __init__(self, store: Callable[[Callable[[bool, str], None], Any], Store]) -> None:
        self.moves: list[tuple[bool, str]] = []
        self.bugs: list[BaseException] = []
        self.store = store(
            lambda up, why: self.moves.append((up, why)), lambda _where, error: self.bugs.append(error)
        )
        self.registry = Registry({})
        self.registry.configure(DEFINE, {})
        self.registry.use(self.store)

    async def put(self, name: str, value: Mapping[str, Any] | None, who: str = "me", why: str = "because") -> None:
        """Change a flag."""
        await self.registry.put(name, value, who, why)

    def on(self, name: str) -> bool:
        """What a flag says to somebody."""
        return self.registry.current.flags[name].evaluate(Context(user="u2", random="x")).on


async def until(what: Callable[[], object], within: float = 5.0) -> float:
    """Wait for it; how long it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() < began + within
        await asyncio.sleep(0.005)
    return time.monotonic() - began
