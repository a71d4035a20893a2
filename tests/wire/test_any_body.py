"""Random bodies in random framings and pieces, through both sides: what arrives is what was sent, byte for byte."""

from __future__ import annotations

import asyncio
import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client import Client, chunked, head
from tests.support.gateway import Gateway
from tests.support.message import Headers, Request
from tests.support.origin import Origin, Upstream


class Large(bytes):
    """Larger than what one read brings; hypothesis need not print it."""

    def __repr__(self) -> str:
        return f"Large({len(self)})"


BYTES = st.binary(max_size=400) | st.sampled_from(
    [b"0\r\n\r\n", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", Large(b"\0" * 70_000)]
)
PIECES = st.lists(BYTES, max_size=6)
CUTS = st.lists(st.integers(1, 300), min_size=1, max_size=8)
FRAMINGS = st.sampled_from(["sized", "chunked", "close"])
TRAILERS = st.lists(
    st.tuples(
        st.from_regex(r"X-[A-Za-z0-9]{1,10}", fullmatch=True),
        st.from_regex(r"([!-~]([ -~]{0,20}[!-~])?)?", fullmatch=True),
    ),
    max_size=3,
)

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def extended(pieces: list[bytes], draw: int) -> bytes:
    """The pieces as chunks, some of them with an extension, their sizes with zeros, in either case."""
    raw = b""
    for number, piece in enumerate(pieces):
        if piece:
            size = b"%x" % len(piece) if (number + draw) % 2 else b"0%X" % len(piece)
            raw += size + (b";a=b" if (number + draw) % 3 == 0 else b"") + b"\r\n" + piece + b"\r\n"
    return raw + b"0\r\n\r\n"


async def send_in_cuts(side: Client | Upstream, raw: bytes, cuts: list[int]) -> None:
    """Send in pieces of these sizes, over and over, with the loop's turn between them."""
    at = 0
    for size in itertools.cycle(cuts):
        if at >= len(raw):
            return
        step = size if len(raw) < 5000 else size * 100
        side.wire.send(raw[at : at + step])
        at += step
        await asyncio.sleep(0)


def body_and_framing(framing: str, pieces: list[bytes], draw: int) -> tuple[Headers, bytes]:
    body = b"".join(pieces)
    if framing == "chunked":
        return [(b"Transfer-Encoding", b"chunked")], extended(pieces, draw)
    return [(b"Content-Length", b"%d" % len(body))], body


@SETTINGS
@given(pieces=PIECES, cuts=CUTS, framing=st.sampled_from(["sized", "chunked"]), draw=st.integers(0, 5))
async def test_uploads(
    gateway: Gateway, origin: Origin, pieces: list[bytes], cuts: list[int], framing: str, draw: int
) -> None:
    fields, raw = body_and_framing(framing, pieces, draw)
    async with await Client.connect(gateway.ingress) as client:
        await send_in_cuts(client, head("POST", "/", fields) + raw, cuts)
        response = await client.response()
        assert response.status == 200
        await send_in_cuts(client, head("PUT", "/again", fields) + raw, cuts[::-1])
        assert (await client.response()).value("x-answers") == b"/again"
    one, two = origin.requests[-2:]
    assert one.body == two.body == b"".join(pieces)
    assert one.chunked == two.chunked == (framing == "chunked")


@SETTINGS
@given(
    pieces=PIECES, cuts=CUTS, framing=FRAMINGS, trailers=TRAILERS, version=st.sampled_from(["HTTP/1.1", "HTTP/1.0"])
)
async def test_downloads(
    gateway: Gateway,
    origin: Origin,
    pieces: list[bytes],
    cuts: list[int],
    framing: str,
    trailers: list[tuple[str, str]],
    version: str,
) -> None:
    body = b"".join(pieces)
    answer = b"HTTP/1.1 200 OK\r\n"
    if framing == "sized":
        answer += b"Content-Length: %d\r\n\r\n" % len(body) + body
    elif framing == "chunked":
        answer += b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*pieces, trailers=trailers)
    else:
        answer += b"Connection: close\r\n\r\n" + body
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("GET", "/", [("TE", "trailers"), ("Connection", "TE, close")], version=version))
        upstream, _ = await origin.request()
        await send_in_cuts(upstream, answer, cuts)
        if framing == "close":
            upstream.wire.half_close()
        response = await client.response()
        assert response.body == body
        if framing == "chunked" and version == "HTTP/1.1":
            assert response.trailers == [(name.encode(), value.encode()) for name, value in trailers]
        else:
            assert response.trailers == []
        upstream.wire.close()


@SETTINGS
@given(
    pieces=PIECES,
    cuts=CUTS,
    framings=st.tuples(st.sampled_from(["sized", "chunked"]), st.sampled_from(["sized", "chunked"])),
    count=st.integers(1, 4),
)
async def test_pipelined_echoes(
    gateway: Gateway, origin: Origin, pieces: list[bytes], cuts: list[int], framings: tuple[str, str], count: int
) -> None:
    def answer(request: Request) -> bytes:
        fields, raw = body_and_framing(framings[1], [request.target, request.body], 1)
        lines = b"".join(b"%b: %b\r\n" % pair for pair in fields)
        return b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + raw

    origin.serve()
    origin.answer = answer
    fields, raw = body_and_framing(framings[0], pieces, count)
    async with await Client.connect(gateway.ingress) as client:
        requests = b"".join(head("POST", f"/{number}", fields) + raw for number in range(count))
        sending = asyncio.create_task(send_in_cuts(client, requests, cuts))
        for number in range(count):
            assert (await client.response()).body == b"/%d" % number + b"".join(pieces)
        await sending


@SETTINGS
@given(there=PIECES, back=PIECES)
async def test_tunnels(gateway: Gateway, origin: Origin, there: list[bytes], back: list[bytes]) -> None:
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.send(head("GET", "/", [("Connection", "upgrade"), ("Upgrade", "x")]) + b"".join(there[:1]))
        upstream = await origin.accept()
        await upstream.head()
        upstream.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + b"".join(back[:1])
        )
        assert (await client.response_head()).status == 101
        for one, other in itertools.zip_longest(there[1:], back[1:], fillvalue=b""):
            client.send(one)
            upstream.send(other)
            await asyncio.sleep(0)
        sent, expected = b"".join(there), b"".join(back)
        assert await upstream.wire.read(len(sent)) == sent
        upstream.wire.half_close()
        assert await client.wire.read_to_end() == expected
