"""What every store of live values promises: one suite for all of them, and the registry over it.

A test class of an implementation inherits `StoreContract` and has a fixture `replica`, which opens replicas over one
and the same place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from gateway.flags import registry
from gateway.flags.ports import MOST_CHANGES, Change, NoSuchFlag, WrongChange
from tests.flags.replicas import SOON, Replica, until

Open = Callable[[], Awaitable[Replica]]


class StoreContract:
    """Inherited by each implementation's tests."""

    #: Whether several replicas can have one such store, and whether it outlives them.
    SHARED = True

    async def test_what_is_put_is_in_force_at_once(self, replica: Open) -> None:
        a = await replica()
        told: list[frozenset[str]] = []
        a.registry.on_change.append(told.append)
        version, before = a.registry.version, a.registry.current
        assert not a.on("A")
        await a.put("A", {"enabled": True})
        assert a.on("A")
        assert a.on("C"), "it requires A"
        assert told == [frozenset({"A"})]
        assert a.registry.version > version
        assert a.registry.current is not before
        assert a.registry.health() == ("healthy", "")

    async def test_each_layer_is_shown(self, replica: Open) -> None:
        a = await replica()
        began = time.time()
        await a.put("B", {"rollout": "50%"}, "ann", "half of them")
        shown = a.registry.shown("B")
        assert shown.file == {"rollout": "10%", "users": ["u1"]}
        assert shown.live == {"rollout": "50%"}
        assert shown.effective == {"rollout": "50%", "users": ["u1"]}
        assert shown.changed is not None
        assert shown.changed[:4] == ("B", {"rollout": "50%"}, "ann", "half of them")
        assert began - 1 < shown.changed.when < time.time() + 1

    async def test_a_live_value_is_taken_away(self, replica: Open) -> None:
        a = await replica()
        await a.put("A", {"enabled": True}, "ann", "go")
        await a.put("A", None, "bob", "stop")
        assert not a.on("A")
        shown = a.registry.shown("A")
        assert shown.live is None
        assert shown.changed is not None
        assert shown.changed.who == "bob"

    async def test_some_keys_are_changed(self, replica: Open) -> None:
        a = await replica()
        await a.put("B", {"rollout": "50%"})
        await a.registry.patch("B", {"enabled": False}, "me", "")
        assert a.registry.shown("B").live == {"rollout": "50%", "enabled": False}
        await a.registry.patch("B", {"rollout": None}, "me", "")
        assert a.registry.shown("B").live == {"enabled": False}
        await a.registry.patch("B", {"enabled": None}, "me", "")
        assert a.registry.shown("B").live is None

    async def test_a_history_has_the_latest_first_and_an_end(self, replica: Open) -> None:
        a = await replica()
        for number in range(MOST_CHANGES + 5):
            await a.put("A", {"rollout": f"{number % 100}%"}, "ann", f"step {number}")
        await a.put("B", {"enabled": False}, "bob", "other")
        found = await a.registry.history("A", 1000)
        assert len(found) == MOST_CHANGES
        assert [one.why for one in found] == [f"step {number}" for number in range(MOST_CHANGES + 4, 4, -1)]
        assert all(one.when > other.when for one, other in pairwise(found))
        assert await a.registry.history("A", 2) == found[:2]
        assert [one.who for one in await a.registry.history("B")] == ["bob"]
        assert await a.registry.history("C") == []

    async def test_a_wrong_change_is_refused_whole(self, replica: Open) -> None:
        a = await replica()
        await a.put("A", {"enabled": True})
        mark, version = a.store.mark, a.registry.version
        with pytest.raises(WrongChange) as caught:
            await a.put("A", {"enabled": True, "rolout": "5%", "until": "tomorrow"})
        assert [".".join(map(str, one.at)) for one in caught.value.mistakes] == ["rolout", "until"]
        with pytest.raises(WrongChange, match="want one another"):
            await a.put("A", {"requires": ["C"]})
        with pytest.raises(WrongChange, match="segments"):
            await a.put("A", {"segments": ["nobody"]})
        with pytest.raises(WrongChange, match="bytes as JSON"):
            await a.put("A", {"users": ["u" * 40_000]})
        with pytest.raises(WrongChange, match="64 bits"):
            await a.put("A", {"users": [1 << 70]})
        with pytest.raises(WrongChange, match="who: at most"):
            await a.put("A", {"enabled": False}, who="x" * (registry.LONGEST_WHO + 1))
        with pytest.raises(WrongChange, match="why: at most"):
            await a.put("A", {"enabled": False}, why="x" * (registry.LONGEST_WHY + 1))
        with pytest.raises(NoSuchFlag) as missed:
            await a.put("AA", {"enabled": True})
        assert missed.value.nearest == "A"
        assert (a.store.mark, a.registry.version) == (mark, version)
        assert len(await a.registry.history("A")) == 1

    async def test_a_change_upon_something_else_is_not_kept(self, replica: Open) -> None:
        a = await replica()
        mark = a.store.mark
        assert await a.store.put(Change("A", {"enabled": True}, "ann", ""), mark)
        assert not await a.store.put(Change("A", {"enabled": False}, "bob", ""), mark)
        assert a.on("A")
        assert [one.who for one in await a.registry.history("A")] == ["ann"]

    async def test_changes_at_once_are_all_made(self, replica: Open) -> None:
        a = await replica()
        await asyncio.gather(*(a.registry.patch("B", {key: "x"}, key, "") for key in ("group_id", "description")))
        assert a.registry.shown("B").live == {"group_id": "x", "description": "x"}
        assert {one.who for one in await a.registry.history("B")} == {"group_id", "description"}


class SharedContract(StoreContract):
    """Of those that replicas share, and that outlive them."""

    async def test_all_follow_within_a_second(self, replica: Open) -> None:
        a, b, c = [await replica() for _ in range(3)]
        for turn in range(4):
            on = turn % 2 == 0
            await [a, b][turn % 2].put("A", {"enabled": on})
            assert await until(lambda on=on: all(one.on("A") is on for one in (a, b, c))) < SOON
        assert b.registry.shown("A") == a.registry.shown("A")
        assert len(await c.registry.history("A")) == 4

    async def test_who_starts_later_has_what_is_kept(self, replica: Open) -> None:
        a = await replica()
        await a.put("A", {"enabled": True}, "ann", "go")
        await a.put("B", {"rollout": "20%"})
        await a.put("B", None)
        await a.store.close()
        b = await replica()
        assert b.on("A"), "at once"
        assert b.registry.shown("A").changed == a.registry.shown("A").changed
        assert b.registry.shown("B").live is None
        assert [one.why for one in await b.registry.history("A")] == ["go"]

    async def test_two_who_change_the_same_at_once_both_do(self, replica: Open) -> None:
        a, b = await replica(), await replica()
        await asyncio.gather(
            a.registry.patch("B", {"group_id": "x"}, "ann", ""),
            b.registry.patch("B", {"stickiness": "user"}, "bob", ""),
        )
        both = {"group_id": "x", "stickiness": "user"}
        await until(lambda: a.registry.shown("B").live == b.registry.shown("B").live == both)

    async def test_many_who_change_at_once_all_do(self, replica: Open) -> None:
        a, b = await replica(), await replica()
        changing = [
            one.registry.patch("B", {"rollout": f"{number}%"}, "ann", f"{number} by {by}")
            for number in range(15)
            for by, one in (("a", a), ("b", b))
        ]
        await asyncio.gather(*changing)
        assert await until(lambda: a.registry.shown("B") == b.registry.shown("B")) < SOON
        assert len({one.why for one in await a.registry.history("B")}) == 30

    async def test_what_another_has_made_impossible_is_refused(self, replica: Open) -> None:
        a, b = await replica(), await replica()
        assert await a.store.put(Change("B", {"requires": ["A"]}, "ann", ""), a.store.mark)
        with pytest.raises(WrongChange, match="want one another"):
            await b.put("A", {"requires": ["B"]})
        assert b.registry.shown("B").live == {"requires": ["A"]}
