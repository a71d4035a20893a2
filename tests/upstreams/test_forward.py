"""One exchange through pool and connection: what is sent again, and what is left of the connection."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import BadResponse, ConnectionBroken
from tests.support.exchanges import exchange
from tests.support.origin import Origin, Upstream, ok
from tests.upstreams.rig import Rig, leave, rigged, sockets, start

LENGTH = [(b"Content-Length", b"5")]
UPGRADE = [(b"Connection", b"upgrade"), (b"Upgrade", b"x")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


async def pooled(rig: Rig, origin: Origin) -> Upstream:
    """A connection that has served a request and waits in the pool; further ones are the test's to serve."""
    origin.hold()
    _, task = start(rig)
    upstream, _ = await origin.request()
    upstream.send(ok())
    assert (await task)[1] is None
    await rig.states(idle=1)
    return upstream


# ---- repeated, or not


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"PROPFIND"])
async def test_an_idempotent_request_on_a_stale_connection_is_sent_again(method: bytes) -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        stale = await pooled(rig, origin)
        _, task = start(rig, method)
        await stale.request()
        stale.wire.close()
        fresh, request = await origin.request()
        assert request.method == method
        fresh.send(ok(b"" if method == b"HEAD" else b"ok"))
        got, error = await task
        assert error is None
        assert got.startswith(b"HTTP/1.1 200")
        assert rig.calls.outcomes == ["success", "success"]
        await rig.states(idle=1)


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"LOCK", b"PURGE"])
async def test_another_is_not(method: bytes) -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        stale = await pooled(rig, origin)
        _, task = start(rig, method)
        await stale.request()
        stale.wire.close()
        assert isinstance((await task)[1], ConnectionBroken)
        assert len(origin.connections) == 1
        await rig.states()


@pytest.mark.parametrize("came", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_nor_is_one_of_whose_answer_a_byte_has_come(came: bytes) -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        stale = await pooled(rig, origin)
        _, task = start(rig)
        await stale.request()
        stale.send(came)
        await asyncio.sleep(0.02)
        stale.wire.close()
        assert isinstance((await task)[1], ConnectionBroken)
        assert len(origin.connections) == 1


async def test_nor_one_on_a_new_connection_nor_an_upgrade() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        stale = await pooled(rig, origin)
        _, task = start(rig, fields=UPGRADE)
        await stale.request()
        stale.wire.close()
        assert isinstance((await task)[1], ConnectionBroken)
        _, task = start(rig)
        new, _ = await origin.request()
        new.wire.close()
        assert isinstance((await task)[1], ConnectionBroken)
        assert len(origin.connections) == 2


async def test_an_answer_that_makes_no_sense_is_not_asked_for_again() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        stale = await pooled(rig, origin)
        _, task = start(rig)
        await stale.request()
        stale.send(b"nonsense\r\n\r\n")
        assert isinstance((await task)[1], BadResponse)
        assert len(origin.connections) == 1
        await rig.states()


@pytest.mark.parametrize("size", [0, 5, 64 * 1024])
@pytest.mark.parametrize("whole", [True, False])
async def test_a_small_body_is_sent_again_whole(size: int, whole: bool) -> None:
    """Also when its second half comes only on the second connection."""
    async with Origin() as origin, rigged(origin.address) as rig:
        stale = await pooled(rig, origin)
        body = bytes(number % 251 for number in range(size))
        one, task = start(rig, b"PUT", [(b"Transfer-Encoding", b"chunked")])
        half = size if whole else size // 2
        if half:
            one.body.feed(body[:half])
        if whole:
            one.body.finish()
        await stale.head()
        await asyncio.sleep(0.02)
        stale.wire.reset()
        fresh = await origin.accept()
        request = await fresh.head()
        if not whole:
            if size:
                one.body.feed(body[half:])
            one.body.finish()
        assert await fresh.body(request).rest() == body
        fresh.send(ok())
        assert (await task)[1] is None
        assert one.bytes_in == size


async def test_a_large_one_is_not() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        stale = await pooled(rig, origin)
        size = 64 * 1024 + 1
        one, task = start(rig, b"PUT", [(b"Content-Length", b"%d" % (size + 1))])
        one.body.feed(b"x" * size)
        await stale.head()
        await stale.wire.read(size)
        stale.wire.reset()
        assert isinstance((await task)[1], ConnectionBroken)
        assert len(origin.connections) == 1


async def test_a_pool_full_of_stale_connections_still_gives_a_fresh_one() -> None:
    async with Origin() as origin, rigged(origin.address, connections=4) as rig:
        origin.hold()
        tasks = [start(rig)[1] for _ in range(4)]
        stale = [(await origin.request())[0] for _ in tasks]
        for upstream in stale:
            upstream.send(ok())
        await asyncio.gather(*tasks)
        await rig.states(idle=4)
        for upstream in stale:
            upstream.wire.reset()
        _, task = start(rig)
        fresh, _ = await origin.request()
        fresh.send(ok(b"fresh"))
        got, error = await task
        assert error is None
        assert got.endswith(b"fresh")


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_a_connection_that_closes_as_it_is_handed_over_costs_nobody_anything(method: bytes) -> None:
    """Nothing has been sent on it, so any request may have another."""
    async with Origin() as origin, rigged(origin.address, connections=1, wait=5.0) as rig:
        origin.hold()
        _, first = start(rig)
        upstream, _ = await origin.request()
        _, second = start(rig, method)
        await rig.states(busy=1, waiting=1)
        upstream.send(ok())
        upstream.wire.close()
        assert (await first)[1] is None
        fresh, request = await origin.request()
        assert request.method == method
        fresh.send(ok())
        assert (await second)[1] is None


# ---- what goes back to the pool


@pytest.mark.parametrize(
    "answer",
    [
        SWITCH,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        SWITCH + b"\x81\x05hello",
        b"HTTP/1.1 103 Hints\r\n\r\n" + SWITCH,
    ],
)
async def test_a_change_of_protocols_that_nobody_asked_for_ends_the_connection(answer: bytes) -> None:
    async with Origin() as origin, rigged(origin.address, timeout={"headers": 2.0}) as rig:
        origin.answer = lambda request: answer
        got, error = await rig.forward(exchange())
        assert isinstance(error, BadResponse)
        assert b"101" not in got
        await rig.states()
        origin.answer = lambda request: ok()
        assert (await rig.forward(exchange()))[1] is None


async def test_one_that_was_asked_for_but_does_not_say_to_what_is_none() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        origin.answer = lambda request: b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
        assert isinstance((await rig.forward(exchange(fields=UPGRADE)))[1], BadResponse)
        await rig.states()


async def test_leaving_as_the_protocol_changes_leaves_no_tunnel_in_the_pool() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        origin.hold()
        _, task = start(rig, fields=UPGRADE)
        upstream, _ = await origin.request()
        (connection,) = rig.pool._open
        upstream.send(SWITCH)
        while not connection.answered:
            await asyncio.sleep(0)
        await leave(task)
        await rig.states()
        assert await upstream.gone()


@pytest.mark.parametrize("turns", range(8))
async def test_leaving_at_any_moment_of_an_answer_leaves_nothing_in_doubt(turns: int) -> None:
    """The connection is idle and good, or closed."""
    before = sockets()
    async with Origin() as origin:
        async with rigged(origin.address) as rig:
            origin.hold()
            _, task = start(rig)
            upstream, _ = await origin.request()
            upstream.send(ok())
            for _ in range(turns):
                await asyncio.sleep(0)
            await leave(task)
            states = rig.pool.states()
            if states["idle"]:
                _, task = start(rig)
                await upstream.request()
                upstream.send(ok(b"second"))
                got, error = await task
                assert error is None
                assert got.endswith(b"second")
            else:
                await rig.states()
        await rig.states()
    await asyncio.sleep(0.01)
    assert sockets() <= before


async def test_an_upload_that_the_upstream_did_not_read_does_not_wait_on_an_idle_connection() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        origin.hold()
        size = 30_000_000
        one, task = start(rig, b"POST", [(b"Content-Length", b"%d" % size)])
        upstream = await origin.accept()
        await upstream.head()
        upstream.wire.pause()
        one.body.feed(b"x" * size)
        one.body.finish()
        upstream.send(ok())
        assert (await task)[1] is None
        await rig.states()


async def test_an_upstream_that_ends_behind_its_answer_gets_no_further_request() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        origin.hold()
        for _ in range(2):
            _, task = start(rig, b"POST")
            upstream, _ = await origin.request()
            upstream.send(ok())
            upstream.wire.half_close()
            assert (await task)[1] is None
            await rig.states()
        assert len(origin.connections) == 2


async def test_one_that_ends_before_its_answer_has_none() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        origin.hold()
        for came, fails in [(b"", True), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", False)]:
            one, task = start(rig)
            upstream, _ = await origin.request()
            upstream.send(came) if came else None
            upstream.wire.half_close()
            assert isinstance((await task)[1], ConnectionBroken) is fails
            assert fails or one.error == ConnectionBroken.slug
            assert await upstream.gone()


async def test_head_leaves_the_connection_good() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        for method in (b"HEAD", b"GET", b"HEAD", b"HEAD", b"GET"):
            assert (await rig.forward(exchange(method)))[1] is None
        assert len(origin.connections) == 1


# ---- what arrives


async def test_the_request_that_arrives_is_the_one_that_was_built() -> None:
    async with Origin() as origin, rigged(origin.address) as rig:
        one = exchange(b"PUT", b"/a/../b?c", [*LENGTH, (b"X-A", b"1")])
        one.added.append(b"X-Correlation-ID: 7\r\n")
        one.body.feed(b"hello")
        one.body.finish()
        await rig.forward(one)
        (request,) = origin.requests
        assert (request.method, request.target, request.body) == (b"PUT", b"/b?c", b"hello")
        assert request.value("x-a") == b"1"
        assert request.value("x-correlation-id") == b"7"
        assert one.upstream == "app"
        assert 0 < one.upstream_seconds < 5
