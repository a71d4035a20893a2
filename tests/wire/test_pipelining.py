"""Pipelined requests: answered in order, whatever their pieces; what stands behind a bad or a last one is not."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import Client, chunked, head
from tests.support.expect import assert_problem
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.support.wire import Ended
from tests.wire.conftest import Side


async def test_answers_come_in_order(side: Side, origin: Origin) -> None:
    first = asyncio.Event()

    async def answer(request: Request) -> bytes:
        if request.target == b"/1":
            await first.wait()
        return ok(request.target + b" " + request.body)

    origin.answer = answer
    async with await side.connect() as client:
        prefix = side.prefix
        client.send(
            head("GET", f"{prefix}/1")
            + head("POST", f"{prefix}/2", [("Content-Length", "5")])
            + b"hello"
            + head("POST", f"{prefix}/3", [("Transfer-Encoding", "chunked")])
            + chunked(b"wor", b"ld")
            + head("GET", f"{prefix}/4")
        )
        await client.wire.silence(0.1)
        first.set()
        for expected in (b"/1 ", b"/2 hello", b"/3 world", b"/4 "):
            assert (await client.response()).body == expected


async def test_many(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: ok(request.target)
    client.send(b"".join(head("GET", f"/{number}") for number in range(300)))
    for number in range(300):
        assert (await client.response()).body == b"/%d" % number
    assert [request.target for request in origin.requests] == [b"/%d" % number for number in range(300)]


@pytest.mark.parametrize("size", [1, 7, 60, 61, 100])
async def test_cut_anywhere(client: Client, origin: Origin, size: int) -> None:
    origin.answer = lambda request: ok(request.target + request.body)
    raw = (
        head("POST", "/1", [("Content-Length", "3")])
        + b"one"
        + head("GET", "/2")
        + head("PUT", "/3", [("Transfer-Encoding", "chunked")])
        + chunked(b"th", b"ree")
        + head("GET", "/4")
    )
    for at in range(0, len(raw), size):
        client.send(raw[at : at + size])
        await asyncio.sleep(0)
    for expected in (b"/1one", b"/2", b"/3three", b"/4"):
        assert (await client.response()).body == expected


async def test_head_among_others(client: Client, origin: Origin) -> None:
    client.send(head("GET", "/1") + head("HEAD", "/2") + head("GET", "/3"))
    for method, target in (("GET", b"/1"), ("HEAD", b"/2"), ("GET", b"/3")):
        assert (await client.response(method)).value("x-answers") == target


async def test_refusals_keep_their_place(client: Client, origin: Origin) -> None:
    first = asyncio.Event()

    async def answer(request: Request) -> bytes:
        await first.wait()
        return ok(request.target)

    origin.answer = answer
    client.send(head("GET", "/1") + head("GET", "/2") + b"nonsense\r\n\r\n" + head("GET", "/hidden"))
    await client.wire.silence(0.1)
    first.set()
    assert (await client.response()).body == b"/1"
    assert (await client.response()).body == b"/2"
    assert_problem(await client.response(), 400)
    assert await client.wire.read_to_end() == b""
    assert [request.target for request in origin.requests] == [b"/1", b"/2"]


async def test_nothing_behind_connection_close(client: Client, origin: Origin) -> None:
    client.send(head("GET", "/1") + head("GET", "/2", [("Connection", "close")]) + head("GET", "/3"))
    assert not (await client.response()).closes
    assert (await client.response()).closes
    assert await client.wire.read_to_end() == b""
    assert [request.target for request in origin.requests] == [b"/1", b"/2"]


async def test_nothing_behind_http_1_0(client: Client, origin: Origin) -> None:
    client.send(head("GET", "/1", version="HTTP/1.0") + head("GET", "/2"))
    assert (await client.response()).status == 200
    assert await client.wire.read_to_end() == b""
    assert [request.target for request in origin.requests] == [b"/1"]


async def test_an_upstream_that_fails_one_does_not_fail_the_next(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"nonsense\r\n\r\n" if request.target == b"/2" else ok(request.target)
    client.send(head("GET", "/1") + head("POST", "/2", [("Content-Length", "0")]) + head("GET", "/3"))
    assert (await client.response()).body == b"/1"
    assert (await client.response()).status == 502
    assert (await client.response()).body == b"/3"


async def test_a_client_that_says_goodbye_behind_them_has_left(client: Client, origin: Origin) -> None:
    """A FIN is leaving: what is not answered yet need not be."""
    origin.hold()
    client.send(head("GET", "/1") + head("GET", "/2"))
    upstream, _ = await origin.request()
    client.wire.half_close()
    await upstream.gone()
    with pytest.raises(Ended):
        await client.response()
    assert len(origin.requests) == 1
