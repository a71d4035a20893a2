"""The registry over its layers; what its stores do to it is in contract.py."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.flags.memory_store import MemoryStore
from gateway.flags.ports import Change, NoSuchFlag, WrongChange
from gateway.flags.registry import Registry
from gateway.rules.flags.context import Context

DEFINE: Mapping[str, object] = {"A": False, "B": {"rollout": "10%", "segments": ["staff"]}}
SEGMENTS: Mapping[str, object] = {"staff": [{"field": "plan", "operator": "IN", "values": ["staff"]}]}
STAFF = Context(user="u1", properties={"plan": "staff"})


def registry(variables: Mapping[str, str] | None = None) -> Registry:
    """One with the flags above."""
    made = Registry(variables or {})
    made.configure(DEFINE, SEGMENTS)
    return made


def on(of: Registry, name: str) -> bool:
    """What a flag says to the staff."""
    return of.current.flags[name].evaluate(STAFF).on


async def test_the_file_is_under_the_environment_and_that_under_what_is_live() -> None:
    one = registry({"FEATURE_A": "true", "ROLLOUT_B": "100"})
    assert on(one, "A")
    assert on(one, "B")
    assert one.shown("A").environment == {"enabled": True}
    await one.put("A", {"enabled": False}, "ann", "")
    assert not on(one, "A")
    shown = one.shown("A")
    assert (shown.file, shown.environment, shown.live) == (False, {"enabled": True}, {"enabled": False})
    assert shown.effective == {"enabled": False}
    assert [found.name for found in one.all()] == ["A", "B"]


async def test_a_live_value_outlives_a_config() -> None:
    one = registry()
    await one.put("A", {"enabled": True}, "ann", "")
    version = one.version
    one.configure({"A": {"enabled": False, "description": "another"}, "C": True}, {})
    assert one.version > version
    assert on(one, "A")
    assert on(one, "C")
    with pytest.raises(NoSuchFlag):
        one.shown("B")


async def test_one_whose_flag_went_and_came_back_is_there_again() -> None:
    one = registry()
    await one.put("A", {"enabled": True}, "ann", "")
    one.configure({}, {})
    assert one.all() == []
    one.configure(DEFINE, SEGMENTS)
    assert on(one, "A")


async def test_one_that_a_later_config_cannot_have_is_left_out_and_said() -> None:
    one = registry()
    await one.put("A", {"enabled": True, "segments": ["staff"]}, "ann", "")
    assert on(one, "A")
    one.configure({"A": True, "B": {"requires": ["A"]}}, {})
    assert on(one, "A"), "the file's value is in force"
    assert on(one, "B")
    assert [str(wrong) for wrong in one.shown("A").ignored] == ["segments.0: no segment is called 'staff'"]
    assert one.health() == ("degraded", "live values that this config cannot have: A")
    assert one.current.wrong == ()
    one.configure(DEFINE, SEGMENTS)
    assert one.shown("A").ignored == ()
    assert one.health() == ("healthy", "")
    assert on(one, "A")


async def test_two_that_are_wrong_only_together_go_until_nothing_is() -> None:
    one = registry()
    for name, wants in (("A", "B"), ("B", "A")):
        store = one._store
        assert await store.put(Change(name, {"enabled": True, "requires": [wants]}, "x", ""), store.mark)
    assert one.current.wrong == ()
    assert one.ignored.keys() <= {"A", "B"}
    assert one.ignored


async def test_what_is_ignored_can_be_put_right_and_taken_away() -> None:
    one = registry()
    await one.put("A", {"segments": ["staff"]}, "ann", "")
    one.configure({"A": True}, {})
    await one.put("A", {"enabled": False}, "ann", "")
    assert one.ignored == {}
    assert not on(one, "A")
    await one.put("A", {"enabled": True}, "ann", "")
    one.configure(DEFINE, SEGMENTS)
    await one.put("A", None, "ann", "")
    assert one.shown("A").live is None


async def test_a_name_that_no_context_has_is_refused() -> None:
    one = Registry({})
    one.configure(DEFINE, SEGMENTS, known=lambda name: name == "plan")
    constraint = {"field": "plam", "operator": "IN", "values": ["x"]}
    with pytest.raises(WrongChange, match="plam"):
        await one.put("A", {"constraints": [constraint]}, "ann", "")
    await one.put("A", {"constraints": [{**constraint, "field": "plan"}]}, "ann", "")


async def test_a_mistake_in_the_file_stops_no_change() -> None:
    one = Registry({})
    one.configure({**DEFINE, "X": {"rollout": "lots"}}, SEGMENTS)
    assert one.current.wrong
    await one.put("A", {"enabled": True}, "ann", "")
    assert on(one, "A")


async def test_another_store_brings_its_own_values() -> None:
    one, other = registry(), MemoryStore()
    await one.put("A", {"enabled": True}, "ann", "")
    assert await other.put(Change("B", {"rollout": 100}, "bob", ""), other.mark)
    one.use(other)
    assert not on(one, "A")
    assert on(one, "B")


class _Unknown(MemoryStore):
    """One that could not be read yet."""

    known = False


async def test_what_was_known_stays_until_another_store_is() -> None:
    one, other = registry(), _Unknown()
    await one.put("A", {"enabled": True}, "ann", "")
    one.use(other)
    assert on(one, "A")
    other.known = True
    other.learned()
    assert not on(one, "A")


async def test_who_listens_is_told_what_is_another_now() -> None:
    one = registry()
    told: list[frozenset[str]] = []
    one.on_change.append(told.append)
    await one.put("A", {"enabled": True}, "ann", "")
    await one.put("A", {"enabled": True}, "ann", "again")
    one.configure({"A": False, "C": True}, {})
    assert told == [{"A"}, frozenset(), {"B", "C"}]


def test_what_variables_say_wrong_is_in_health() -> None:
    one = registry({"FEATURE_A": "maybe", "FEATURE_Z": "true"})
    assert one.health() == ("degraded", "FEATURE_A: true or false is wanted")
    assert one.unknown_variables == ("FEATURE_Z",)
