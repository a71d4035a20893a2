"""One exchange's deadlines, and what of it the breaker and the metrics count as a failure."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.errors import (
    BreakerOpen,
    ConnectTimeout,
    HeadersTimeout,
    IdleTimeout,
    PoolExhausted,
    TotalTimeout,
)
from gateway.exchange import Exchange
from gateway.rules.breaker import BreakerRule
from gateway.upstreams.breaker import Breaker
from tests.support.exchanges import Taker, exchange
from tests.support.expect import assert_within
from tests.support.faults import refusing, unreachable
from tests.support.origin import Origin, ok
from tests.upstreams.rig import Rig, leave, rigged, start

LENGTH = [(b"Content-Length", b"5")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


def breaker(**rule: float) -> Breaker:
    return Breaker("app", BreakerRule(**{"failures": 1, **rule}), frozenset({503}), lambda *_: None)  # type: ignore[arg-type]


# ---- time


@pytest.mark.parametrize("seconds", [0.2])
async def test_each_deadline_by_its_name(seconds: float) -> None:
    async with Origin() as origin:
        origin.hold()
        for key, error, came in [
            ("headers", HeadersTimeout, b""),
            ("total", TotalTimeout, b""),
            ("headers", HeadersTimeout, b"HTTP/1.1 103 Hints\r\n\r\n"),
        ]:
            async with rigged(origin.address, timeout={"headers": 5.0, "idle": 5.0, key: seconds}) as rig:
                _, task = start(rig)
                upstream, _ = await origin.request()
                upstream.send(came) if came else None
                began = time.monotonic()
                assert type((await task)[1]) is error
                assert_within(time.monotonic() - began, seconds, earliest=0.5)
                assert await upstream.gone()
                await rig.states()


async def test_after_the_first_byte_the_client_is_cut() -> None:
    async with Origin() as origin, rigged(origin.address, timeout={"idle": 0.15}) as rig:
        origin.hold()
        one, task = start(rig)
        upstream, _ = await origin.request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        got, error = await task
        assert error is None
        assert got.endswith(b"half")
        assert one.error == IdleTimeout.slug
        assert isinstance(one.client_side, Taker)
        assert one.client_side.end
        assert rig.calls.outcomes == ["idle-timeout"]


async def test_total_counts_the_waiting_for_a_connection() -> None:
    async with Origin() as origin, rigged(origin.address, connections=1, wait=30.0) as rig:
        origin.hold()
        _, first = start(rig)
        await origin.request()
        rig.way.total = 0.2
        began = time.monotonic()
        _, second = start(rig)
        assert isinstance((await second)[1], PoolExhausted)
        assert_within(time.monotonic() - began, 0.2)
        await leave(first)


async def test_total_counts_the_connecting() -> None:
    with unreachable() as address:
        async with rigged(address, timeout={"connect": 5.0, "total": 0.2}) as rig:
            began = time.monotonic()
            assert isinstance((await rig.forward(exchange()))[1], ConnectTimeout)
            assert_within(time.monotonic() - began, 0.2)


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("where", ["upstream", "route"])
async def test_total_cuts_an_event_stream_only_where_the_route_says_so(where: str) -> None:
    settings = {"timeout" if where == "upstream" else "on_route": {"total": 0.2}}
    async with Origin() as origin, rigged(origin.address, **settings) as rig:
        origin.hold()
        one, task = start(rig)
        upstream, _ = await origin.request()
        upstream.send(EVENTS)
        began = time.monotonic()
        while not task.done() and time.monotonic() - began < 0.5:
            if not upstream.wire.transport.is_closing():
                upstream.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)
        assert task.done() is (where == "route")
        if where == "upstream":
            upstream.send(b"0\r\n\r\n")
        assert (await task)[1] is None
        assert one.error == ("" if where == "upstream" else TotalTimeout.slug)


# ---- the breaker and the counts


async def outcome(rig: Rig, one: Exchange | None = None) -> str:
    await rig.forward(one or exchange())
    return rig.calls.outcomes[-1]


async def test_failures_open_it_and_open_it_asks_nobody() -> None:
    with refusing() as address:
        one = breaker()
        async with rigged(address, breaker=one) as rig:
            assert await outcome(rig) == "connection-refused"
            _, error = await rig.forward(exchange())
            assert isinstance(error, BreakerOpen)
            assert error.retry_after == 30
            assert rig.calls.refused == ["breaker-open"]
            assert (rig.calls.begun, len(rig.calls.outcomes)) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "opens", "counted"),
    [
        (ok(), False, "success"),
        (ok(status=b"500 Oops"), False, "success"),
        (ok(status=b"503 Busy"), True, "failure-status"),
        (b"nonsense\r\n\r\n", True, "bad-response"),
        (SWITCH, True, "bad-response"),
    ],
)
async def test_what_counts_as_a_failure(answer: bytes, opens: bool, counted: str) -> None:
    async with Origin() as origin:
        origin.answer = lambda request: answer
        one = breaker()
        async with rigged(origin.address, breaker=one) as rig:
            assert await outcome(rig) == counted
            assert (one.state(time.monotonic()) == 2) is opens


async def test_a_cut_body_does_but_leaving_does_not() -> None:
    async with Origin() as origin:
        origin.hold()
        one = breaker()
        async with rigged(origin.address, breaker=one) as rig:
            _, task = start(rig)
            await origin.request()
            await leave(task)
            assert rig.calls.outcomes == ["cancelled"]
            assert one.state(time.monotonic()) == 0
            _, task = start(rig)
            upstream, _ = await origin.request()
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            await asyncio.sleep(0.02)
            upstream.wire.close()
            await task
            assert rig.calls.outcomes[-1] == "connection-broken"
            assert one.state(time.monotonic()) == 2


async def test_a_full_pool_is_no_failure_of_the_upstreams() -> None:
    async with Origin() as origin:
        origin.hold()
        one = breaker()
        async with rigged(origin.address, breaker=one, connections=1, wait=0.05) as rig:
            _, task = start(rig)
            await origin.request()
            assert await outcome(rig) == "pool-exhausted"
            assert one.state(time.monotonic()) == 0
            await leave(task)


@pytest.mark.parametrize("slow", ["sender", "reader"])
async def test_a_total_that_a_slow_client_used_up_is_no_failure_of_the_upstreams(slow: str) -> None:
    async with Origin() as origin:
        origin.hold()
        one = breaker()
        async with rigged(origin.address, breaker=one, timeout={"total": 0.2}) as rig:
            sent, task = start(rig, b"POST" if slow == "sender" else b"GET", LENGTH if slow == "sender" else [])
            upstream = await origin.accept()
            await upstream.head()
            if slow == "reader":
                assert isinstance(sent.client_side, Taker)
                upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                await sent.client_side.wrote.wait()
                sent.client_side.pause()
            await task
            assert rig.calls.outcomes == ["total-timeout"]
            assert one.state(time.monotonic()) == 0


async def test_a_probe_gives_its_permit_back_however_it_ends() -> None:
    async with Origin() as origin:
        one = breaker(reset=0.01, successes=1)
        async with rigged(origin.address, breaker=one) as rig:
            origin.answer = lambda request: b"nonsense\r\n\r\n"
            await outcome(rig)
            await asyncio.sleep(0.05)
            origin.hold()
            _, task = start(rig)
            await origin.request()
            await leave(task)
            origin.serve()
            origin.answer = lambda request: ok()
            assert await outcome(rig) == "success"
            assert one.state(time.monotonic()) == 0


async def test_a_probe_succeeds_at_the_head_of_a_stream_that_goes_on() -> None:
    async with Origin() as origin:
        one = breaker(reset=0.01, successes=1)
        async with rigged(origin.address, breaker=one) as rig:
            origin.answer = lambda request: b"nonsense\r\n\r\n"
            await outcome(rig)
            await asyncio.sleep(0.05)
            origin.hold()
            _, task = start(rig)
            upstream, _ = await origin.request()
            upstream.send(EVENTS)
            while one.state(time.monotonic()):
                await asyncio.sleep(0.005)
            upstream.send(b"0\r\n\r\n")
            assert (await task)[1] is None


async def test_a_bug_on_the_way_gives_everything_back() -> None:
    async with Origin() as origin:
        one = breaker()
        async with rigged(origin.address, breaker=one) as rig:
            broken = exchange()
            broken.client_side = None  # type: ignore[assignment]
            with pytest.raises(AttributeError):
                await rig.forward(broken)
            await rig.states(idle=1)
            assert rig.calls.outcomes == ["cancelled"]
            assert await outcome(rig) == "success"
