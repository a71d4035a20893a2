"""Whose fault it is: what clients do, and answers given early, must open nobody's breaker."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.client import Client, chunked, fetch, head
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start

TOUCHY = {"breaker": {"failures": 2, "reset": "60s"}}


async def test_an_early_answer_behind_which_the_upstream_resets(start: Start, origin: Origin) -> None:
    """As servers do that close with an upload unread: the answer is there, and is passed on."""
    gateway = await start(upstream=TOUCHY)
    origin.hold()
    for _ in range(6):
        async with await Client.connect(gateway.ingress) as client:
            client.send(head("POST", "/", [("Content-Length", "50000000")]) + b"x" * 300_000)
            upstream = await origin.accept()
            await upstream.head()
            upstream.send(ok(b"too large", b"Connection: close", status=b"413 Content Too Large"))
            await upstream.wire.drain()
            upstream.wire.close()  # with bytes unread: the system sends a reset
            client.send(b"x" * 300_000)
            assert (await client.response()).status == 413
    origin.serve()
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200


async def test_a_total_that_a_slow_upload_used_up(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={**TOUCHY, "timeout": {"total": "600ms"}})
    origin.hold()
    for _ in range(3):
        async with await Client.connect(gateway.ingress) as client:
            client.send(head("POST", "/", [("Content-Length", "2")]) + b"a")
            await asyncio.sleep(0.45)
            client.send(b"b")
            assert (await client.response()).status == 504
    origin.serve()
    assert (await fetch(gateway.ingress, "GET", "/")).status == 200


async def test_a_total_begins_with_a_pipelined_requests_turn(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={**TOUCHY, "timeout": {"total": "600ms"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("GET", "/1") + head("GET", "/2"))
        first = await origin.accept()
        await first.request()
        await asyncio.sleep(0.4)
        first.send(ok())
        await first.request()
        await asyncio.sleep(0.4)
        first.send(ok())
        assert [(await client.response()).status for _ in range(2)] == [200, 200]


async def test_who_waits_for_leave_to_send_is_not_slow(start: Start, origin: Origin) -> None:
    """An upstream that never answers `Expect: 100-continue` is the one that is late."""
    gateway = await start(
        upstream={"timeout": {"headers": "800ms"}}, ingress={"limits": {"body_timeout": "200ms", "body_rate": "1KiB"}}
    )
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("POST", "/", [("Content-Length", "10"), ("Expect", "100-continue")]))
        assert (await client.response()).status == 504


async def test_an_upload_that_is_taken_slowly_is_not_idle(start: Start, origin: Origin) -> None:
    gateway = await start(upstream={"timeout": {"idle": "500ms"}})
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("POST", "/", [("Content-Length", "100000000")]))
        upstream = await origin.accept()
        await upstream.head()
        upstream.wire.pause()
        sending = asyncio.create_task(keep_sending(client))
        for _ in range(10):
            had = len(upstream.received)
            upstream.wire.resume()
            await upstream.wire.wait(lambda had=had: len(upstream.received) > had + 1_000_000, "a mebibyte")  # type: ignore[misc]
            upstream.wire.pause()
            await asyncio.sleep(0.2)
        sending.cancel()
        upstream.send(ok(b"enough", status=b"413 Content Too Large"))
        assert (await client.response()).status == 413


async def keep_sending(client: Client) -> None:
    while True:
        client.send(b"x" * 65_536)
        await client.wire.drain()


async def test_pipelined_requests_are_taken_up_to_a_bound(start: Start, origin: Origin) -> None:
    gateway = await start()
    origin.answer = lambda request: ok(request.target)
    async with await Client.connect(gateway.ingress) as client:
        client.send(b"".join(head("GET", f"/{number}") for number in range(3000)))
        answers: list[Any] = []
        while not answers or not answers[-1].closes:
            answers.append(await client.response())
        assert [answer.body for answer in answers] == [b"/%d" % number for number in range(len(answers))]
        assert 512 <= len(answers) < 600
        assert await client.wire.end()
    assert len(origin.requests) == len(answers)


async def test_a_slow_reader_is_cut_by_a_reset_where_an_end_would_look_whole(start: Start, origin: Origin) -> None:
    gateway = await start(ingress={"limits": {"write_timeout": "300ms"}})
    mebibytes = chunked(*[b"x" * (1 << 20)] * 30)
    origin.answer = lambda request: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + mebibytes
    async with await Client.connect(gateway.ingress) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        client.wire.pause()
        await gateway.access_line(status=499)
        client.wire.resume()
        assert await client.wire.end() == "reset"
