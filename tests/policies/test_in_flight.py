"""`in_flight:` as it is written, the caps by their ids, and the gate that holds several at once."""

from __future__ import annotations

import asyncio
from math import inf
from time import monotonic
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gateway.caps.leases import Leases
from gateway.caps.shared_cap import SharedCap
from gateway.errors import CallerInFlightFull, GatewayError, InFlightFull
from gateway.exchange import Exchange
from gateway.gate import WAIT
from gateway.policies.in_flight import EACH, WAYS, Adaptive, Caps, InFlight, InFlightCap, names
from gateway.rules.rate_key import ROUTE, Term
from gateway.settings.types import Section
from tests.caps.capped import by_header, counts, turns
from tests.caps.shelf import Shelf
from tests.support.exchanges import exchange

# ---- as it is written


class Owner(Section):
    in_flight: Annotated[tuple[Annotated[InFlightCap, EACH], ...] | None, WAYS] = ()


def read(written: Any) -> tuple[InFlightCap, ...] | None:
    return Owner.model_validate({"in_flight": written}).in_flight


def test_defaults() -> None:
    only = InFlightCap(limit=3)
    assert (only.queue, only.wait, only.order, only.shared, only.absent) == (0, 1.0, "fifo", False, "share")
    assert (only.by, only.adaptive, only.name, only.finds_itself) == ((ROUTE,), None, "", None)
    assert Adaptive() == Adaptive(floor=20, ceiling=1000, tolerance=0.5, window=0.25, baseline=60.0)


def test_the_ways() -> None:
    assert Owner().in_flight == ()
    assert read("false") is None
    assert read("500") == (InFlightCap(limit=500),)
    assert read(500) == (InFlightCap(limit=500),)
    assert read({"limit": "25", "queue": "50", "wait": "2s"}) == (InFlightCap(limit=25, queue=50, wait=2.0),)
    assert read(["500", {"limit": "5", "by": "ip"}]) == (
        InFlightCap(limit=500),
        InFlightCap(limit=5, by=(Term("ip"),)),
    )
    (keyed,) = read({"limit": "5", "by": ["ip", "header:X-Tenant"], "absent": "skip", "shared": "true"}) or ()
    assert keyed.by == (Term("ip"), Term("header", "X-Tenant"))
    assert (keyed.absent, keyed.shared) == ("skip", True)
    (found,) = read({"adaptive": "true", "order": "lifo", "name": "app"}) or ()
    assert (found.adaptive, found.order, found.name) == (Adaptive(), "lifo", "app")
    (found,) = read({"adaptive": {"floor": "5", "ceiling": "50", "tolerance": "20%"}}) or ()
    assert found.finds_itself is not None
    assert (found.finds_itself.floor, found.finds_itself.ceiling, found.finds_itself.tolerance) == (5, 50, 0.2)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("0", "at least 1|1 to"),
        ("many", "whole number"),
        ({}, "needs limit, or adaptive"),
        ({"queue": "5"}, "needs limit, or adaptive"),
        ({"limit": "5", "adaptive": "true"}, "in the place of limit"),
        ({"adaptive": "true", "by": "ip"}, "neither by key nor shared"),
        ({"adaptive": "true", "shared": "true"}, "neither by key nor shared"),
        ({"adaptive": {"floor": "50", "ceiling": "20"}}, "floor must be"),
        ({"adaptive": {"window": "1m", "baseline": "30s"}}, "window more than 0 and at most baseline"),
        ({"limit": "5", "order": "random"}, "fifo"),
        ({"limit": "5", "absent": "ignore"}, "skip"),
        ({"limit": "5", "by": "weather"}, "no key"),
        ({"limit": "5", "wait": "2d"}, "out of range"),
        ({"limit": "5", "que": "2"}, "que"),
    ],
)
def test_what_it_refuses(written: Any, hint: str) -> None:
    with pytest.raises(ValidationError, match=hint):
        read(written)


def test_the_schema_knows_all_ways() -> None:
    schema = Owner.model_json_schema()
    validator = Draft202012Validator(schema)
    for right in (False, 500, {"limit": 25, "queue": 50, "wait": "1s"}, [500, {"limit": 5, "by": "ip"}], "${CAP}"):
        assert validator.is_valid({"in_flight": right}), right
    for right in ({"adaptive": True}, {"adaptive": {"floor": 5}}, {"limit": 5, "by": ["ip", "user"]}):
        assert validator.is_valid({"in_flight": right}), right
    for wrong in ("many", 0, {"limt": 5}, [{"limit": "x y"}], {"limit": 5, "order": "random"}):
        assert not validator.is_valid({"in_flight": wrong}), wrong


def test_names() -> None:
    unnamed = InFlightCap(limit=1)
    assert names("generate", [unnamed, InFlightCap(limit=1, name="each"), unnamed]) == [
        "generate-1",
        "each",
        "generate-3",
    ]
    assert names("a", [InFlightCap(limit=1, name="a-1"), unnamed, unnamed]) == ["a-1", "a-2", "a-3"]


# ---- by their ids


def test_a_cap_outlives_a_reload_and_goes_by_the_new_settings_once_they_are_in_force() -> None:
    caps = Caps()
    one = caps.cap("ingress/a/a-1", "a", "a-1", InFlightCap(limit=1))
    caps.keep(["ingress/a/a-1"])
    held = exchange()
    assert one.enter(held, monotonic()) is None
    assert caps.cap("ingress/a/a-1", "b", "a-1", InFlightCap(limit=2), by_header) is one
    assert (one.in_flight, one.limit, one.scope, one.keyed) == (1, 1, "a", False)
    caps.keep(["ingress/a/a-1"])
    assert (one.in_flight, one.limit, one.scope, one.keyed) == (1, 2, "b", True)
    held.end()
    assert one.in_flight == 0


def test_a_config_that_never_comes_into_force_changes_nothing() -> None:
    caps = Caps()
    one = caps.cap("a", "a", "a", InFlightCap(limit=1))
    caps.keep(["a"])
    caps.cap("a", "a", "a", InFlightCap(limit=2))
    caps.cap("b", "b", "b", InFlightCap(limit=2))
    assert [*caps] == [one]
    caps.cap("a", "a", "a", InFlightCap(limit=3))
    caps.keep(["a"])
    assert [*caps] == [one]
    assert one.limit == 3


def test_one_that_is_gone_stays_until_it_is_empty() -> None:
    caps = Caps()
    for name in ("a", "b"):
        caps.cap(name, name, name, InFlightCap(limit=1))
    caps.keep(["b", "a"])
    first, second = caps
    assert [first.id, second.id] == ["b", "a"]
    held = exchange()
    assert first.enter(held, monotonic()) is None
    caps.keep([])
    assert [cap.id for cap in caps] == ["b"]
    assert caps.cap("b", "b", "b", InFlightCap(limit=1)) is first, "it has come again before that"
    caps.keep(["b"])
    held.end()
    assert [cap.id for cap in caps] == ["b"]
    caps.keep([])
    assert [*caps] == []


async def test_a_cap_is_shared_where_it_says_so_and_there_is_a_shared_state() -> None:
    caps = Caps()
    settings = InFlightCap(limit=1, shared=True)
    alone = caps.cap("a", "a", "a", settings)
    caps.keep(["a"])
    assert not isinstance(alone, SharedCap)
    held = exchange()
    assert alone.enter(held, monotonic()) is None
    caps.leases = Leases(Shelf(), lambda: 1, lambda *_: None)
    shared = caps.cap("a", "a", "a", settings)
    assert isinstance(shared, SharedCap)
    caps.keep(["a"])
    assert [*caps] == [shared]
    assert caps.cap("a", "a", "a", settings) is shared
    assert not isinstance(caps.cap("b", "b", "b", InFlightCap(limit=1)), SharedCap)
    held.end()
    assert (alone.in_flight, shared.in_flight) == (0, 0)


# ---- the gate


class Rig:
    """A route's cap, a caller's and the listener's, and a gate that holds all three."""

    def __init__(self, total: float = inf, **each: InFlightCap) -> None:
        self.caps = Caps()
        self.listener = self.caps.cap("l", "ingress", "l", each.get("listener", InFlightCap(limit=10)))
        self.route = self.caps.cap("r", "route", "r", each.get("route", InFlightCap(limit=10)))
        self.caller = self.caps.cap("c", "route", "c", each.get("caller", InFlightCap(limit=10)), by_header)
        self.caps.keep(["l", "r", "c"])
        self.gate = InFlight([self.caller, self.route, self.listener], total)

    def counts(self) -> list[tuple[int, int]]:
        return [counts(cap) for cap in (self.caller, self.route, self.listener)]

    async def ask(self, one: Exchange) -> GatewayError | None:
        verdict = self.gate.check(one, monotonic())
        return await self.gate.wait(one) if verdict is WAIT else verdict


def test_all_are_held_and_given_back() -> None:
    rig = Rig()
    one = exchange()
    assert rig.gate.check(one, monotonic()) is None
    assert rig.counts() == [(1, 0)] * 3
    assert [cap.admitted for cap in rig.caps] == [1, 1, 1]
    one.end()
    assert rig.counts() == [(0, 0)] * 3


@pytest.mark.parametrize("full", ["listener", "route", "caller"])
def test_a_refused_request_holds_none(full: str) -> None:
    rig = Rig(**{full: InFlightCap(limit=1)})
    first, second = exchange(), exchange()
    assert rig.gate.check(first, monotonic()) is None
    error = rig.gate.check(second, monotonic())
    assert isinstance(error, CallerInFlightFull if full == "caller" else InFlightFull)
    assert rig.counts() == [(1, 0)] * 3, "before the exchange's end"
    assert [cap.admitted for cap in rig.caps] == [1, 1, 1]
    assert sum(cap.refused for cap in rig.caps) == 1
    second.end()
    first.end()
    assert rig.counts() == [(0, 0)] * 3


async def test_who_waits_keeps_the_narrower_and_takes_nothing_of_the_wider() -> None:
    """The queue of a slow route holds none of the listener's slots."""
    rig = Rig(route=InFlightCap(limit=1, queue=5, wait=5.0))
    first, second = exchange(), exchange()
    assert rig.gate.check(first, monotonic()) is None
    waiting = asyncio.create_task(rig.ask(second))
    await turns()
    assert rig.counts() == [(2, 0), (1, 1), (1, 0)]
    first.status = 200
    first.end()
    assert await waiting is None
    assert rig.counts() == [(1, 0)] * 3
    assert [cap.admitted for cap in rig.caps] == [2, 2, 2]
    second.end()
    assert rig.counts() == [(0, 0)] * 3


async def test_who_has_waited_for_one_and_is_refused_by_the_next_gives_it_to_who_is_behind() -> None:
    rig = Rig(route=InFlightCap(limit=1, queue=5, wait=5.0), listener=InFlightCap(limit=1))
    first, second = exchange(), exchange()
    assert rig.gate.check(first, monotonic()) is None
    waiting = [asyncio.create_task(rig.ask(one)) for one in (second, exchange())]
    await turns()
    other = exchange()  # of another route: it takes the listener's slot as soon as it is free
    first.end()
    assert rig.listener.enter(other, monotonic()) is None
    assert [type(error) for error in await asyncio.gather(*waiting)] == [InFlightFull] * 2
    assert rig.counts() == [(0, 0), (0, 0), (1, 0)]
    other.end()


async def test_who_leaves_while_waiting_holds_none() -> None:
    rig = Rig(listener=InFlightCap(limit=1, queue=5, wait=5.0))
    first, second = exchange(), exchange()
    assert rig.gate.check(first, monotonic()) is None
    waiting = asyncio.create_task(rig.ask(second))
    await turns()
    assert rig.counts() == [(2, 0), (2, 0), (1, 1)]
    waiting.cancel()
    await turns()
    assert rig.counts() == [(1, 0)] * 3
    first.end()
    second.end()
    assert rig.counts() == [(0, 0)] * 3


async def test_no_longer_than_the_exchange_may_take() -> None:
    rig = Rig(total=0.1, route=InFlightCap(limit=1, queue=5, wait=30.0))
    first, second = exchange(), exchange()
    assert rig.gate.check(first, monotonic()) is None
    second.started = monotonic()
    async with asyncio.timeout(3):
        assert isinstance(await rig.ask(second), InFlightFull)
    second.started -= 0.2
    assert isinstance(await rig.ask(second), InFlightFull)
    assert (rig.route.timed_out, rig.route.refused) == (1, 1)
    first.end()


async def test_one_cap_alone() -> None:
    rig = Rig()
    gate = InFlight([rig.caps.cap("x", "x", "x", InFlightCap(limit=1, queue=1, wait=5.0))], inf)
    (cap,) = [cap for cap in [gate._one] if cap is not None]
    first, second = exchange(), exchange()
    assert gate.check(first, monotonic()) is None
    assert gate.check(second, monotonic()) is WAIT
    waiting = asyncio.create_task(gate.wait(second))
    await turns()
    first.end()
    assert await waiting is None
    assert (cap.admitted, counts(cap)) == (2, (1, 0))
    second.end()
    assert counts(cap) == (0, 0)


async def test_two_gates_in_a_crowd_never_block_each_other() -> None:
    """Two routes over one listener's cap, everything full, everybody waiting: all are served."""
    caps = Caps()
    tight = InFlightCap(limit=1, queue=100, wait=30.0)
    listener = caps.cap("l", "ingress", "l", tight)
    gates = [InFlight([listener, caps.cap(name, name, name, tight)], inf) for name in ("a", "b")]
    caps.keep(["l", "a", "b"])

    async def serve(gate: InFlight) -> None:
        one = exchange()
        verdict = gate.check(one, monotonic())
        if verdict is WAIT:
            verdict = await gate.wait(one)
        assert verdict is None
        await asyncio.sleep(0)
        one.end()

    async with asyncio.timeout(5):
        await asyncio.gather(*(serve(gates[number % 2]) for number in range(80)))
    assert all(counts(cap) == (0, 0) and cap.admitted > 0 for cap in caps)
