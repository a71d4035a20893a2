"""Bodies of every framing pass whole and unchanged, both ways, with their trailers."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from tests.support.client import Client, chunked, fetch, head
from tests.support.expect import assert_problem
from tests.support.message import Cut, Request
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side

LARGE = random.Random(1).randbytes(3 << 20)
SIZES = [0, 1, 15, 16, 65_535, 65_536, 65_537, 300_000]


@pytest.mark.parametrize("framing", ["sized", "chunked"])
async def test_uploads(side: Side, origin: Origin, framing: str) -> None:
    async with await side.connect() as client:
        for size in SIZES:
            body = LARGE[:size]
            if framing == "sized":
                client.ask("POST", f"{side.prefix}/", body=body)
            else:
                pieces = [body[at : at + 10_007] for at in range(0, size, 10_007)]
                client.send(head("POST", f"{side.prefix}/", [("Transfer-Encoding", "chunked")]) + chunked(*pieces))
            assert (await client.response()).status == 200
            request = origin.requests[-1]
            assert request.body == body
            assert request.chunked is (framing == "chunked")
            assert request.length == (size if framing == "sized" else None)
    assert len(origin.connections) == 1


@pytest.mark.parametrize("framing", ["sized", "chunked", "close"])
async def test_downloads(side: Side, origin: Origin, framing: str) -> None:
    def answer(request: Request) -> bytes:
        body = LARGE[: int(request.target[1:])]
        if framing == "sized":
            return ok(body)
        pieces = [body[at : at + 10_007] for at in range(0, len(body), 10_007)]
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*pieces)

    async with await side.connect() as client:
        for size in SIZES:
            if framing == "close":
                origin.hold()
                client.ask("GET", f"{side.prefix}/{size}")
                upstream, _ = await origin.request()
                upstream.send(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE[:size])
                upstream.wire.half_close()
            else:
                origin.answer = answer
                client.ask("GET", f"{side.prefix}/{size}")
            response = await client.response()
            assert response.body == LARGE[:size]
            assert response.length == (size if framing == "sized" else None)


async def test_large_bodies_both_ways_at_once(side: Side, origin: Origin) -> None:
    origin.answer = lambda request: ok(request.body)
    async with await side.connect() as client:
        response = await client.request("POST", f"{side.prefix}/", body=LARGE, within=20)
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(LARGE).digest()


async def test_a_body_in_pieces_of_one_byte(client: Client, origin: Origin) -> None:
    raw = head("POST", "/", [("Transfer-Encoding", "chunked")]) + chunked(b"hello", b"", b" wire")
    for index in range(len(raw)):
        client.send(raw[index : index + 1])
        await client.wire.silence(0)
    assert (await client.response()).status == 200
    assert origin.requests[0].body == b"hello wire"


async def test_chunk_sizes_in_either_case_and_with_zeros(client: Client, origin: Origin) -> None:
    client.send(head("POST", "/", [("Transfer-Encoding", "Chunked")]))
    client.send(b"A\r\n0123456789\r\na\r\n0123456789\r\n00a\r\n0123456789\r\n000\r\n\r\n")
    assert (await client.response()).status == 200
    assert origin.requests[0].body == b"0123456789" * 3


async def test_get_with_a_body(client: Client, origin: Origin) -> None:
    assert (await client.request("GET", "/", body=b"unusual")).status == 200
    assert origin.requests[0].body == b"unusual"


async def test_content_length_zero_stays(client: Client, origin: Origin) -> None:
    assert (await client.request("POST", "/", body=b"")).status == 200
    assert origin.requests[0].length == 0


# Trailers


async def test_response_trailers_pass(side: Side, origin: Origin) -> None:
    trailers = [("Server-Timing", "db;dur=1"), ("x-MD5", "abc"), ("X-Md5", "again")]
    origin.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Server-Timing, X-MD5\r\n\r\n"
        + chunked(b"body", trailers=trailers)
    )
    async with await side.connect() as client:
        for _ in range(2):
            response = await client.request("GET", f"{side.prefix}/", [("TE", "trailers"), ("Connection", "TE")])
            assert response.body == b"body"
            assert response.value("trailer") == b"Server-Timing, X-MD5"
            assert response.trailers == [(name.encode(), value.encode()) for name, value in trailers]
    assert len(origin.connections) == 1


async def test_trailers_for_a_client_that_did_not_ask_do_no_harm(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"body", trailers=[("X-A", "b")])
    )
    for _ in range(2):
        response = await client.request("GET", "/")
        assert response.body == b"body"
        assert response.trailers in ([], [(b"X-A", b"b")])


async def test_trailers_cannot_say_what_only_a_header_may(client: Client, origin: Origin) -> None:
    unfit = [("Set-Cookie", "a=b"), ("Location", "/x"), ("Authorization", "x"), ("Host", "x"), ("Connection", "x")]
    origin.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"body", trailers=[*unfit, ("X-A", "b")])
    )
    response = await client.request("GET", "/", [("TE", "trailers"), ("Connection", "TE")])
    assert (response.body, response.trailers) == (b"body", [(b"X-A", b"b")])


@pytest.mark.parametrize("field", [("Content-Length", "0"), ("Transfer-Encoding", "chunked")])
async def test_trailers_that_frame_are_dropped_or_the_body_is_cut(
    client: Client, origin: Origin, field: tuple[str, str]
) -> None:
    origin.answer = lambda request: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"body", trailers=[field])
    )
    client.ask("GET", "/", [("TE", "trailers"), ("Connection", "TE")])
    try:
        response = await client.response()
    except Cut:
        return
    assert (response.body, response.trailers) == (b"body", [])


async def test_request_trailers_are_refused(client: Client, origin: Origin) -> None:
    """One of the limits that the README names: and the origin never sees the request end."""
    client.send(head("POST", "/", [("Transfer-Encoding", "chunked")]) + chunked(b"body", trailers=[("X-A", "b")]))
    assert_problem(await client.response(), 400)
    assert await client.wire.read_to_end() == b""
    for upstream in origin.connections:
        await upstream.gone()
        assert b"0\r\n\r\n" not in upstream.received
        assert b"X-A" not in upstream.received


async def test_two_clients_bodies_do_not_mix(side: Side, origin: Origin) -> None:
    origin.answer = lambda request: ok(request.body)
    async with await side.connect() as one, await side.connect() as two:
        for client in (one, two):
            client.send(head("POST", f"{side.prefix}/", [("Content-Length", "6")]))
        for client, piece in ((one, b"aaa"), (two, b"bbb"), (two, b"BBB"), (one, b"AAA")):
            client.send(piece)
            await asyncio.sleep(0.01)
        assert (await one.response()).body == b"aaaAAA"
        assert (await two.response()).body == b"bbbBBB"


async def test_many_at_once(side: Side, origin: Origin) -> None:
    origin.answer = lambda request: ok(request.target + request.body)

    async def one(number: int) -> None:
        body = b"%d" % number * 1000
        response = await fetch(side.address, "POST", f"{side.prefix}/{number}", body=body)
        assert response.body == b"/%d" % number + body

    await asyncio.gather(*(one(number) for number in range(50)))
