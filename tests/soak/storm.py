"""All faults of tests/faults at once, round after round: what leaks a little in a round shows after many."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tests.faults.fates import break_off
from tests.faults.leavers import Leavers
from tests.faults.traffic import assert_counts_agree, plan, serve
from tests.soak.memory import MIB, resident
from tests.soak.result import Result
from tests.support.config import config
from tests.support.gateway import Gateway
from tests.support.load import Load
from tests.support.load_origin import LoadOrigin
from tests.support.message import Request
from tests.support.origin import Upstream
from tests.support.rest import Rest

CLIENTS, LEAVERS, ROUNDS = 150, 50, 4
GROWTH = 8.0  # MiB from the first third of the rounds to the last
_ALLOWED = {
    "200",
    "cut",
    "no answer",
    "half a head",
    "502 connection_refused",
    "502 connection_terminated",
    "502 http_protocol_error",
    "503 destination_unavailable",
}


async def rage(seconds: float, say: Callable[[str], None]) -> list[Result]:
    """Rounds for that long; each ends at rest, or AssertionError says what is left."""
    origin = LoadOrigin(serve)
    await origin.start()
    breaker = {"failures": 20, "reset": "200ms", "successes": 1}
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        settings = config(origin.address, upstream={"breaker": breaker}, log={"access": False})
        gateway = Gateway(Path(directory), settings)
        await asyncio.to_thread(gateway.start, afresh=True)
        try:
            return await _rounds(gateway, settings, origin, seconds, say)
        finally:
            await asyncio.to_thread(gateway.stop)
            await origin.stop(settle=False)
            assert not origin.violations, origin.violations[:5]


async def _rounds(
    gateway: Gateway, settings: dict[str, object], origin: LoadOrigin, seconds: float, say: Callable[[str], None]
) -> list[Result]:
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    levels: list[int] = []
    rest: Rest | None = None
    number = 0
    while time.monotonic() - began < seconds or number < 3:
        outcomes += await _round(gateway, settings, origin, number)
        if rest is None:
            await origin.settle()
            rest = await Rest.of(gateway)
        await rest.regained(origin)
        levels.append(resident(gateway.pid))
        number += 1
        say(f"round {number}: {levels[-1] / MIB:.1f} MiB at rest; {dict(outcomes)}")
    early = max(levels[: max(1, len(levels) // 3)])
    return [
        Result("faults: rounds", number, ""),
        Result("faults: requests", outcomes.total(), ""),
        Result("faults: memory at rest, grown since the first third", (levels[-1] - early) / MIB, "MiB", GROWTH),
    ]


async def _round(gateway: Gateway, settings: dict[str, object], origin: LoadOrigin, number: int) -> Counter[str]:
    """Clients that stay, clients that leave, bodies that break off, two kills and two reloads."""
    dice = random.Random(number)
    leavers = Leavers(origin, lambda: gateway.ingress, seed=f"leaver-{number}", patience=1)
    leaving = origin.act

    async def act(upstream: Upstream, request: Request) -> bool:
        if request.target.startswith((b"/wait/", b"/endless/", b"/upload/", b"/nowhere/")):
            return await leaving(upstream, request)
        return await (break_off if dice.random() < 0.1 else serve)(upstream, request)

    origin.act = act
    hows: list[Literal["fin", "reset"]] = ["fin", "reset"]
    async with Load(lambda: gateway.ingress, plan, connections=CLIENTS, seed=f"storm-{number}") as load:
        gone = asyncio.gather(*(leavers.leave(each, ROUNDS) for each in range(LEAVERS)), return_exceptions=True)
        for how in hows:
            await load.more(500)
            gateway.write(settings)
            gateway.sighup()
            await load.more(500)
            await origin.kill(how)
            await load.more(100)
            await origin.restart()
        await gone
    assert not load.tally.wrong, load.tally.wrong[:5]
    assert set(load.tally.outcomes()) <= _ALLOWED, load.tally.outcomes()
    assert_counts_agree(load.tally, origin)
    origin.heads.clear()
    origin.answers.clear()
    origin.unfinished.clear()
    return load.tally.outcomes()
