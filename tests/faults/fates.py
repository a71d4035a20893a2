"""Ways in which an upstream breaks off, drawn from a request's target, so that client and origin know the same."""

from __future__ import annotations

import asyncio
from random import Random

from tests.faults.traffic import answer, framed
from tests.support.message import Request
from tests.support.origin import Upstream

#: Each fate with the outcomes that a client may see of it.
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
