"""The server of the shared state is killed and comes back empty, or stands still and goes on: hardly anybody notices.

No request fails, none waits for it for longer than `state.timeout`, each gateway goes by its share meanwhile, and
no burst is given away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.outage import GATEWAYS, GRACE, RESET, SMALL, TIMEOUT, Fault, Outage, ride_out
from tests.support.origin import Origin
from tests.support.redis import RedisServer

pytestmark = pytest.mark.loads_the_machine


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server
        if not server.dead:
            server.go_on()


@pytest_asyncio.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin
    assert not origin.violations, origin.violations[:5]


def assert_hardly_noticed(outage: Outage) -> None:
    struck, spared = outage.struck, outage.spared
    assert struck[len(struck) // 2] <= TIMEOUT + 3 * GRACE
    assert struck[-1] <= 3 * (TIMEOUT + GRACE)
    assert spared[len(spared) // 2] < TIMEOUT / 2, "nobody waits any more"
    for gateway in range(GATEWAYS):
        assert outage.passed_alone(gateway) == pytest.approx(SMALL / GATEWAYS, rel=0.2)


def assert_no_burst_given_away(outage: Outage) -> None:
    """Only while some gateways know and others do not, together they let more through than the limit."""
    passed = outage.passed()
    apart = outage.known - outage.began + RESET
    seconds = outage.load.ended - outage.load.first
    assert len(passed) <= SMALL + SMALL * (seconds + apart / GATEWAYS)


async def test_killed_and_back_empty(origin: Origin, server: RedisServer, tmp_path: Path) -> None:
    outage = await ride_out(tmp_path, origin.address, server.url, Fault(server.kill, server.start), 0.7)
    assert_hardly_noticed(outage)
    assert_no_burst_given_away(outage)


async def test_stands_still_and_goes_on(origin: Origin, server: RedisServer, tmp_path: Path) -> None:
    outage = await ride_out(tmp_path, origin.address, server.url, Fault(server.stop, server.go_on), 0.7)
    assert_hardly_noticed(outage)
    assert_no_burst_given_away(outage)
