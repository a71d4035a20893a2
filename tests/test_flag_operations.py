"""The flags as the admin API asks for them: what becomes of a registry's errors."""

from __future__ import annotations

import pytest

from gateway.admin.flag_ports import WrongFlag
from gateway.admin.ports import NotThere, Unavailable
from gateway.flag_operations import Flags
from gateway.flags.memory_store import MemoryStore
from gateway.flags.ports import Change
from gateway.flags.registry import Registry
from gateway.rules.flags.given import Here
from gateway.state import ports as state


class Gone(MemoryStore):
    """A store whose server is gone."""

    async def put(self, change: Change, upon: bytes) -> bool:
        raise state.Unavailable("no answer in time")

    async def history(self, flag: str, most: int) -> list[Change]:
        raise state.Unavailable("no answer in time")


def flags(**define: object) -> tuple[Registry, Flags]:
    registry = Registry({})
    registry.configure(define or {"A": True, "B": {"requires": ["A"]}, "a/b~": {}}, {})
    return registry, Flags(registry, Here, bytes)


async def test_what_is_not_kept_is_not_done() -> None:
    registry, over = flags()
    registry.use(Gone())
    for asking in (over.put("A", {}, "ann", ""), over.patch("A", {}, "ann", ""), over.history("A", 5)):
        with pytest.raises(Unavailable, match="no answer in time"):
            await asking
    assert over.get("A")["live"] is None


async def test_a_mistake_has_its_place() -> None:
    _, over = flags()
    with pytest.raises(WrongFlag) as caught:
        await over.patch("A", {"rollout": "a lot", "variants": [{"name": "x", "weight": 1, "a/b~": 2}]}, "ann", "")
    assert {pointer for pointer, _ in caught.value.mistakes} == {"/live/rollout", "/live/variants/0/a~1b~0"}


async def test_a_flag_that_would_break_another() -> None:
    _, over = flags()
    with pytest.raises(WrongFlag) as caught:
        await over.patch("A", {"requires": ["B"]}, "ann", "")
    assert any("want one another" in detail for _, detail in caught.value.mistakes)
    assert {pointer.split("/")[1] for pointer, _ in caught.value.mistakes} == {"live"}


async def test_the_nearest_name() -> None:
    _, over = flags(DASHBOARD=True)
    with pytest.raises(NotThere, match="is it DASHBOARD"):
        over.get("DASHBORD")
    with pytest.raises(NotThere, match="lists those"):
        await over.put("X", {}, "ann", "")


def test_true_and_false_are_definitions() -> None:
    _, over = flags(ON=True, OFF=False)
    assert [(one["enabled"], one["file"]) for one in over.all()] == [
        (True, {"enabled": True}),
        (False, {"enabled": False}),
    ]
