"""An upstream that breaks off at random: each request ends as its own fate says, and no broken body looks whole.

Client and origin draw a request's fate from its target, so that every single outcome is known beforehand.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from tests.faults.conftest import Begin
from tests.faults.traffic import answer, assert_counts_agree, counted, framed, plan, serve
from tests.support.load import Load
from tests.support.load_origin import LoadOrigin
from tests.support.message import Request
from tests.support.origin import Upstream

FATES = {
    "whole": {"200"},
    "nothing": {"502 connection_terminated"},
    "half a head": {"502 connection_terminated"},
    "nonsense": {"502 http_protocol_error"},
    "cut": {"cut"},
    "reset": {"cut", "502 connection_terminated"},  # a reset may overtake what was sent before it
    "until close": {"200"},
    "until reset": {"cut", "no answer", "half a head", "502 connection_terminated"},  # and ours what we had sent
}


def fate(target: str) -> str:
    return Random(f"fate of {target}").choice(["whole", *FATES])


async def break_off(upstream: Upstream, request: Request) -> bool:
    await upstream.body(request).rest()
    target = request.target.decode()
    random = Random(target)
    what, body = fate(target), answer(target, request.body)
    await asyncio.sleep(random.random() * 0.05)
    if what == "whole":
        upstream.send(framed(random, body))
        return True
    if what.startswith("until"):
        upstream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
    elif what == "nonsense":
        upstream.send(b"\0\1\2" * random.randint(1, 100))
    elif what != "nothing":
        whole = framed(random, body)
        head = whole.index(b"\r\n\r\n") + 4
        cut = random.randint(1, head - 1) if what == "half a head" else random.randint(head, len(whole) - 1)
        upstream.send(whole[:cut])
    if what.endswith("reset"):
        await upstream.wire.drain()
        upstream.wire.reset()
    else:
        upstream.wire.close()
    return what == "until close"


async def test_each_ends_as_its_fate_says(begin: Begin, origin: LoadOrigin) -> None:
    gateway, rest = await begin()
    before = await counted(gateway)
    origin.act = break_off
    async with Load(lambda: gateway.ingress, plan, seed="cut") as load:
        await load.more(1500)
    assert not load.tally.wrong, load.tally.wrong[:5]
    ends: dict[str, Counter[str]] = {}
    for done in load.tally.done:
        what = fate(done.ask.target)
        ends.setdefault(what, Counter())[done.outcome] += 1
        assert done.outcome in FATES[what], (what, done)
    assert ends.keys() == FATES.keys()
    assert_counts_agree(load.tally, origin)
    outcomes = load.tally.outcomes()
    expected = load.tally.statuses()
    expected[200] += outcomes["cut"] + outcomes["no answer"] + outcomes["half a head"]
    origin.act = serve
    tally = await Load(lambda: gateway.ingress, plan, rounds=1, seed="after").run()
    assert set(tally.outcomes()) == {"200"}
    expected += tally.statuses()
    await rest.regained(origin)
    assert await counted(gateway) - before == expected
