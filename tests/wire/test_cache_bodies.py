"""A fetch's body that comes in one piece with its head, before anybody reads it."""

from __future__ import annotations

import signal

from tests.support.client import fetch
from tests.support.gateway import Gateway
from tests.wire.stage import Stage, ask, crowd, told

WHOLE = b"x" * 500_000


async def test_a_body_that_has_begun_before_it_is_read_comes_whole(cached: Gateway, stage: Stage) -> None:
    """What comes at once with the head makes the connection stop reading; it has to go on."""
    async with crowd(cached, 1) as [client]:
        for number in range(4):  # the kernel allows a connection more at once the more has gone over it
            ask([client], f"/kept/body-{number}")
            call = await stage.call()
            cached.signal(signal.SIGSTOP)
            try:
                call.answer(WHOLE)
            finally:
                cached.signal(signal.SIGCONT)
            assert (await client.response()).body == WHOLE
            again = await fetch(cached.ingress, "GET", f"/kept/body-{number}")
            assert told(again).startswith("gateway; hit")
            assert again.body == WHOLE
