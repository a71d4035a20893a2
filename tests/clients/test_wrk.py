"""wrk through ingress, as hard as it can: no more passes than may, and nearly no less, as the origin counts it."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.client import Address
from tests.support.config import config
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import Origin, ok

pytestmark = [
    pytest.mark.loads_the_machine,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed"),
]

LIMIT, CAP, CONNECTIONS = 100, 10, 64
TOOK = 0.01  # seconds that the origin takes
EDGES = 2  # requests

SCRIPT = r"""
local thread
function setup(one) thread = one end
function init() passed, limited, full, without = 0, 0, 0, 0 end
function response(status, headers)
  if status == 200 then passed = passed + 1 elseif not headers["Retry-After"] then without = without + 1 end
  if status == 429 then limited = limited + 1 elseif status == 503 then full = full + 1 end
end
function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '\n{"seconds": %f, "requests": %d, "broken": %d, "passed": %d, "limited": %d, "full": %d, "without": %d}\n',
    summary.duration / 1e6, summary.requests, errors.connect + errors.read + errors.write + errors.timeout,
    thread:get("passed"), thread:get("limited"), thread:get("full"), thread:get("without")))
end
"""


class Counting:
    """An origin that counts what has come, and what is under way."""

    def __init__(self, origin: Origin) -> None:
        self.came = self.now = self.most = 0
        self.address = origin.address
        origin.answer = self.answer

    async def answer(self, request: Request) -> bytes:
        self.came += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(TOOK)
        self.now -= 1
        return ok()


@dataclass(frozen=True)
class Said:
    """What wrk counted: 200, 429 and 503, those of the two that say no time, and connections that broke."""

    seconds: float
    requests: int
    passed: int
    limited: int
    full: int
    without: int
    broken: int


async def wrk(address: Address, path: str, seconds: int, directory: Path) -> Said:
    script = directory / "count.lua"
    script.write_text(SCRIPT)
    url = f"http://{address[0]}:{address[1]}{path}"
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url),
        stdin=DEVNULL,
        stdout=PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    said = Said(**json.loads(out.decode().strip().splitlines()[-1]))
    assert said.passed + said.limited + said.full == said.requests, "no other status"
    assert (said.without, said.broken) == (0, 0)
    return said


@pytest_asyncio.fixture
async def origin() -> AsyncIterator[Counting]:
    async with Origin() as origin:
        yield Counting(origin)
    assert not origin.violations, origin.violations[:5]


@pytest_asyncio.fixture
async def gateway(origin: Counting, tmp_path: Path) -> AsyncIterator[Gateway]:
    routes = [
        {"path": "/limited", "upstream": "app", "rate_limit": {"limit": f"{LIMIT}/s"}},
        {"path": "/capped", "upstream": "app", "in_flight": {"limit": CAP}},
        {"path": "/queued", "upstream": "app", "in_flight": {"limit": CAP, "queue": 100, "wait": "10s"}},
    ]
    gateway = Gateway(tmp_path, config(origin.address, ingress={"routes": routes}, log={"access": False}))
    await asyncio.to_thread(gateway.start)
    yield gateway
    await asyncio.to_thread(gateway.stop)


async def test_a_rate_limit(gateway: Gateway, origin: Counting, tmp_path: Path) -> None:
    """As many as may in the time from before wrk's start to after its end, and in what it says it took."""
    began = time.monotonic()
    said = await wrk(gateway.ingress, "/limited", 3, tmp_path)
    assert origin.came <= LIMIT + LIMIT * (time.monotonic() - began)
    assert origin.came >= (LIMIT + LIMIT * said.seconds) * 0.99 - EDGES
    assert said.passed <= origin.came <= said.passed + CONNECTIONS  # it leaves when its time is over
    assert said.limited > said.passed, "more was asked than may pass"
    assert said.full == 0


async def test_an_in_flight_cap(gateway: Gateway, origin: Counting, tmp_path: Path) -> None:
    said = await wrk(gateway.ingress, "/capped", 1, tmp_path)
    assert origin.most == CAP
    assert said.passed >= CAP
    assert said.full > CONNECTIONS
    assert said.limited == 0


async def test_an_in_flight_cap_with_a_queue(gateway: Gateway, origin: Counting, tmp_path: Path) -> None:
    said = await wrk(gateway.ingress, "/queued", 1, tmp_path)
    assert origin.most == CAP
    assert said.passed >= CONNECTIONS
    assert (said.limited, said.full) == (0, 0)
