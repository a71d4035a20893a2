"""The registry over its layers; what its stores do to it is in contract.py."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.flags.codec import DEEPEST, Garbage, change
from gateway.flags.memory_store import MemoryStore
from gateway.flags.merging import merged
from gateway.flags.ports import Change, NoSuchFlag, WrongChange
from gateway.flags.registry import Registry
from gateway.rules.flags.context import Context
from gateway.rules.flags.flag import Flag

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


@pytest.mark.parametrize("deep", [DEEPEST + 1, 250, 400])
async def test_what_goes_deeper_than_anybody_can_write_is_refused(deep: int) -> None:
    """Else it would be kept, and no list of flags could be shown any more."""
    payload: list[Any] = []
    for _ in range(deep):
        payload = [payload]
    value = {"variants": [{"name": "a", "weight": 1, "payload": payload}]}
    one = registry()
    with pytest.raises(WrongChange, match="within one another"):
        await one.put("A", value, "ann", "")
    with pytest.raises(Garbage):
        change("A", 1.0, {"value": value, "who": "", "why": ""})


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


# ---- many flags


def many(number: int = 1000) -> dict[str, object]:
    """Flags of several kinds; each tenth wants the one before it."""
    return {
        f"F{n}": {
            "rollout": "25%",
            "users": ["u1"],
            "segments": ["staff"] if n % 3 else [],
            "requires": [f"F{n - 1}"] if n % 10 == 9 else [],
            "variants": [{"name": "a", "weight": 1}, {"name": "b", "weight": 2}] if n % 4 == 0 else [],
        }
        for n in range(number)
    }


def test_what_was_perhaps_meant_is_found_among_many_soon() -> None:
    one = Registry({})
    one.configure(dict.fromkeys([f"{'A_RATHER_LONG_NAME_OF_A_FLAG_' * 3}{n}" for n in range(1000)], True), {})
    began = time.process_time()
    with pytest.raises(NoSuchFlag) as found:
        one.shown(f"{'A_RATHER_LONG_NAME_OF_A_FLAG_' * 3}9O9")
    assert found.value.nearest.endswith(("_909", "_99"))
    with pytest.raises(NoSuchFlag):
        one.shown("A_RATHER_LONG_NAME_OF_A_FLAG_" * 6)
    assert time.process_time() < began + 0.15


async def test_a_change_of_one_leaves_the_others_as_they_are() -> None:
    one = Registry({})
    one.configure(many(), SEGMENTS)
    before = one.current.flags
    await one.put("F8", {"enabled": False}, "ann", "")
    assert {name for name, flag in one.current.flags.items() if flag is not before[name]} == {"F8", "F9"}
    at_first = flags_in_memory()
    for number in range(20):
        await one.put("F8", {"rollout": number}, "ann", "")
    del before
    assert flags_in_memory() <= at_first, "sets that are no more are let go"


def flags_in_memory() -> int:
    """Those of other tests too."""
    gc.collect()
    return sum(isinstance(found, Flag) for found in gc.get_objects())


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Collecting what all the tests have left here takes longer than all that is measured."""
    gc.disable()
    yield
    gc.enable()


async def longest_hold(ends: asyncio.Event) -> float:
    """The longest time for which nothing else ran, in seconds of the processor: others share the machine."""
    longest, before = 0.0, time.thread_time()
    while not ends.is_set():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    return longest


async def test_many_changes_at_once_hold_up_nothing_and_none_is_lost(uncollected: None) -> None:
    """As when a Redis or a file brings them all; what is put meanwhile is made upon all of them."""
    one, other, ends = Registry({}), MemoryStore(), asyncio.Event()
    one.configure(many(), SEGMENTS)
    one.use(other)
    watching = asyncio.create_task(longest_hold(ends))
    await asyncio.sleep(0)
    changes = [Change(f"F{n}", {"enabled": False}, "bob", "", 1.0) for n in range(1000)]
    other.live = merged(other.live, changes)
    other.learned()
    assert on(one, "F1"), "all or nothing is in force"
    putting = asyncio.create_task(one.patch("F1", {"rollout": "50%"}, "ann", ""))
    while one._catching_up is not None:
        assert on(one, "F1")
        await asyncio.sleep(0)
    assert (await putting).live == {"enabled": False, "rollout": "50%"}
    assert not any(flag.enabled for flag in one.current.flags.values())
    define = many()
    await one.prepare(define, dict(SEGMENTS), "elsewhere")
    one.configure(define, dict(SEGMENTS), "elsewhere")
    assert not on(one, "F1")
    ends.set()
    assert await watching < 3 * 0.02


async def test_a_config_that_comes_while_many_changes_are_learned_has_them() -> None:
    one, other = Registry({}), MemoryStore()
    one.configure(many(200), SEGMENTS)
    one.use(other)
    other.live = merged(other.live, [Change(f"F{n}", {"enabled": False}, "bob", "", 1.0) for n in range(200)])
    other.learned()
    await asyncio.sleep(0)
    one.configure(many(100), SEGMENTS)
    assert not any(flag.enabled for flag in one.current.flags.values())
    await asyncio.sleep(0.01)
    assert len(one.current.flags) == 100
    await one.put("F1", {"enabled": True}, "ann", "")
    assert on(one, "F1")
    await one.close()
