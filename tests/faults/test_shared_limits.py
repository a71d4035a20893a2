"""Limits that three gateways share hold for all of them together, as the origin counts it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.crowding import Case, cases, crowd
from tests.support.origin import Origin
from tests.support.redis import RedisServer

pytestmark = pytest.mark.loads_the_machine

LIMIT = 100  # a second


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin
    assert not origin.violations, origin.violations[:5]


# One case at a time: all at once want more of two cores than other tests leave them.
@pytest.mark.parametrize("case", cases(LIMIT)[:3], ids=lambda case: case.name)
async def test_three_gateways_under_three_times_the_limit(
    case: Case, origin: Origin, server: RedisServer, tmp_path: Path
) -> None:
    (passed,) = await crowd(tmp_path, origin, server, [case], 5)
    passed.check()
    assert passed.statuses[200] == passed.count


async def test_one_of_three_is_killed(origin: Origin, server: RedisServer, tmp_path: Path) -> None:
    """What it had leased is lost; what it had let through stays counted."""
    for passed in await crowd(tmp_path, origin, server, cases(LIMIT)[:2], 3, kill=True):
        passed.check()
