"""A pooled connection that the upstream has closed meanwhile: replaced unseen where that is safe, and only there."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import Client, head
from tests.support.expect import assert_problem
from tests.support.message import Cut
from tests.support.origin import Origin, Upstream, ok
from tests.wire.conftest import Side


async def pooled(client: Client, origin: Origin, prefix: str = "") -> Upstream:
    """A connection that has served a request and waits in the pool."""
    origin.hold()
    client.ask("GET", f"{prefix}/first")
    upstream, _ = await origin.request()
    upstream.send(ok())
    await client.response()
    return upstream


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_closed_while_idle(side: Side, origin: Origin, how: str) -> None:
    async with await side.connect() as client:
        upstream = await pooled(client, origin, side.prefix)
        upstream.wire.close() if how == "fin" else upstream.wire.reset()
        await asyncio.sleep(0.05)  # the gateway knows by now, so any method may go
        client.ask("POST", f"{side.prefix}/second", body=b"x")
        other, request = await origin.request()
        assert (request.target, request.body) == (b"/second", b"x")
        other.send(ok())
        assert (await client.response()).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_closed_as_the_request_came_a_safe_one_is_repeated(
    client: Client, origin: Origin, method: str, how: str
) -> None:
    upstream = await pooled(client, origin)
    client.ask(method, "/second")
    await upstream.request()
    upstream.wire.close() if how == "fin" else upstream.wire.reset()
    other, request = await origin.request()
    assert (request.method, request.target) == (method.encode(), b"/second")
    other.send(ok(b"") if method == "HEAD" else ok(b"second"))
    assert (await client.response(method)).status == 200
    assert len(origin.connections) == 2
    assert upstream.requests[-1].value("x-correlation-id") == request.value("x-correlation-id")


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_closed_as_the_request_came_an_unsafe_one_is_not(
    client: Client, origin: Origin, method: str, how: str
) -> None:
    upstream = await pooled(client, origin)
    client.ask(method, "/second", body=b"pay 100")
    await upstream.request()
    upstream.wire.close() if how == "fin" else upstream.wire.reset()
    assert_problem(await client.response(), 502, "connection_terminated")
    assert len(origin.connections) == 1


async def test_a_body_that_is_gone_cannot_be_repeated(client: Client, origin: Origin) -> None:
    """PUT may be repeated, but not what has been passed on of its body."""
    upstream = await pooled(client, origin)
    client.send(head("PUT", "/second", [("Content-Length", "200000")]) + b"x" * 100_000)
    await upstream.head()
    await upstream.wire.read(100_000)
    upstream.wire.reset()
    assert_problem(await client.response(), 502, "connection_terminated")
    assert len(origin.connections) == 1


async def test_a_response_that_has_begun_is_not_repeated(client: Client, origin: Origin) -> None:
    upstream = await pooled(client, origin)
    client.ask("GET", "/second")
    await upstream.request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")
    await client.wire.wait(lambda: client.wire.received.endswith(b"hal"), "what there is")
    upstream.wire.close()
    with pytest.raises(Cut):
        await client.response()
    assert len(origin.connections) == 1


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\nContent-", b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_nor_one_of_which_a_byte_has_come(client: Client, origin: Origin, part: bytes) -> None:
    upstream = await pooled(client, origin)
    client.ask("GET", "/second")
    await upstream.request()
    upstream.send(part)
    await asyncio.sleep(0.05)
    upstream.wire.half_close()
    response = await client.response()
    assert_problem(response, 502)
    assert len(origin.connections) == 1


async def test_a_new_connection_is_not_replaced(client: Client, origin: Origin) -> None:
    """Not stale but failing: that is an error, whatever the method."""
    origin.hold()
    client.ask("GET", "/first")
    upstream, _ = await origin.request()
    upstream.wire.close()
    assert_problem(await client.response(), 502, "connection_terminated")
    assert len(origin.connections) == 1


async def test_the_replacement_is_the_last_try(client: Client, origin: Origin) -> None:
    upstream = await pooled(client, origin)
    client.ask("GET", "/second")
    await upstream.request()
    upstream.wire.close()
    other, _ = await origin.request()
    other.wire.close()
    assert_problem(await client.response(), 502, "connection_terminated")
    assert len(origin.connections) == 2


async def test_a_pool_full_of_stale_connections(side: Side, origin: Origin) -> None:
    """However many there are, the request gets a fresh one in the end."""
    origin.hold()
    clients = [await side.connect() for _ in range(5)]
    for client in clients:
        client.ask("GET", f"{side.prefix}/")
    for _ in clients:
        await origin.request()
    for upstream in origin.connections:
        upstream.send(ok())
    for client in clients:
        await client.response()
    stale = list(origin.connections)
    clients[0].ask("GET", f"{side.prefix}/second")
    waiting = [asyncio.ensure_future(upstream.request()) for upstream in stale]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for upstream in stale:
        upstream.wire.close()
    fresh, request = await origin.request()
    assert request.target == b"/second"
    fresh.send(ok(b"fresh"))
    assert (await clients[0].response()).body == b"fresh"
    for client in clients:
        client.wire.close()


async def test_an_upstream_that_speaks_first_is_not_believed(client: Client, origin: Origin) -> None:
    """Bytes on an idle connection would be the answer to the next request."""
    upstream = await pooled(client, origin)
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    await asyncio.sleep(0.05)
    client.ask("GET", "/second")
    other, _ = await origin.request()
    other.send(ok(b"second"))
    assert (await client.response()).body == b"second"
    assert await upstream.gone()
