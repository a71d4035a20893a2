"""Ordinary traffic for the fault tests: what clients ask, and what the origin makes of it.

Each answer is made of its request, so that the client knows it beforehand: a lost byte, a body mixed up with another
or a request sent twice is seen by one of the two.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from zlib import crc32

from tests.support.client import chunked
from tests.support.gateway import Gateway
from tests.support.load import Ask, Tally
from tests.support.load_origin import LoadOrigin
from tests.support.message import Request
from tests.support.origin import Upstream, ok

_BODIES = (0, 100, 1_000, 5_000, 20_000, 100_000)  # bytes, in requests and responses
_STUFF = Random("stuff").randbytes(200_000)  # where bodies are cut from
_SMALL = "/small/"
_PATIENCE = 0.08  # seconds that the origin takes at most


def plan(random: Random, name: str) -> Ask:
    """A request like an app's: mostly GET, some uploads, sometimes the last one on its connection."""
    method = random.choice(["GET", "GET", "GET", "POST", "PUT"])
    body = None if method == "GET" else _some(random)
    target = f"/{name}"
    return Ask(method, target, answer(target, body or b""), body=body, closes=random.random() < 0.1)


def small(random: Random, name: str) -> Ask:
    """A request that costs this process little, where a slow client would be mistaken for one that has gone."""
    method = random.choice(["GET", "POST"])
    body = None if method == "GET" else random.randbytes(100)
    target = f"{_SMALL}{name}"
    return Ask(method, target, answer(target, body or b""), body=body, closes=random.random() < 0.1)


def answer(target: str, body: bytes) -> bytes:
    """The body of the right answer."""
    said = f"{target} {len(body)} {crc32(body):08x}".encode()
    return said if target.startswith(_SMALL) else said + _some(Random(target))


def _some(random: Random) -> bytes:
    begin = random.randrange(100_000)
    return _STUFF[begin : begin + random.choice(_BODIES)]


async def serve(upstream: Upstream, request: Request) -> bool:
    """Take the whole request, take some time, answer whole: sized or in chunks."""
    await upstream.body(request).rest()
    random = Random(request.target)
    await asyncio.sleep(random.random() * _PATIENCE)
    upstream.send(framed(random, answer(request.target.decode(), request.body)))
    return True


def framed(random: Random, body: bytes) -> bytes:
    """A 200 with that body, in one of the two framings."""
    if random.random() < 0.5:
        return ok(body)
    middle = len(body) // 2
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body[:middle], body[middle:])


async def counted(gateway: Gateway) -> Counter[int]:
    """The gateway's own count of answers by status."""
    counts: Counter[int] = Counter()
    for labels, value in (await gateway.samples("gateway_requests_total")).items():
        counts[int(dict(labels)["status"])] += int(value)
    return counts


def assert_nothing_wrong(tally: Tally, allowed: set[str]) -> None:
    """No answer was mixed up or garbled, and requests ended only in the ways `allowed`."""
    assert not tally.wrong, tally.wrong[:10]
    assert set(tally.outcomes()) <= allowed, tally.outcomes()


def assert_counts_agree(tally: Tally, origin: LoadOrigin) -> None:
    """What clients were answered the origin did answer, and no request was carried out twice that must not be."""
    for done in tally.done:
        heads, answers = origin.heads[done.ask.target], origin.answers[done.ask.target]
        if done.outcome == "200":
            assert answers >= 1, f"{done} was never answered by the origin"
        if done.ask.method == "POST":
            assert heads <= 1, f"{done} came to the origin {heads} times"
        if done.outcome.startswith("503"):
            assert heads == 0, f"{done} came to the origin"
