"""The fixtures of the fault tests: an origin that can be killed, and a warmed-up gateway with its idle level."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.traffic import assert_nothing_wrong, plan, serve
from tests.support.config import config
from tests.support.gateway import Gateway
from tests.support.load import CONNECTIONS, Load
from tests.support.load_origin import LoadOrigin
from tests.support.rest import Rest

Begin = Callable[..., Awaitable[tuple[Gateway, Rest]]]


@pytest.fixture(autouse=True)
def tidy(no_leaked_tasks: None) -> None:
    """Every fault test ends with no task of its own running."""


@pytest_asyncio.fixture
async def origin() -> AsyncIterator[LoadOrigin]:
    """An origin that serves ordinary traffic until the test has it do otherwise."""
    origin = LoadOrigin(serve)
    await origin.start()
    yield origin
    await origin.stop(settle=False)
    assert not origin.violations, f"the origin saw what it must never see: {origin.violations[:5]}"


@pytest_asyncio.fixture
async def begin(origin: LoadOrigin, tmp_path: Path) -> AsyncIterator[Begin]:
    """Starts a gateway in front of `origin` and has clients ask twice each; it, and its level at rest then."""
    started: list[Gateway] = []

    async def start(connections: int = CONNECTIONS, **sections: Any) -> tuple[Gateway, Rest]:
        patient = {"connect": "10s", **sections.get("upstream", {}).get("timeout", {})}  # the machine may be busy
        sections["upstream"] = {**sections.get("upstream", {}), "timeout": patient}
        gateway = Gateway(tmp_path, config(origin.address, **sections))
        started.append(gateway)
        await asyncio.to_thread(gateway.start)
        warm_up = Load(lambda: gateway.ingress, plan, connections=connections, rounds=2, seed="warm-up")
        assert_nothing_wrong(await warm_up.run(), {"200"})
        await origin.settle()
        origin.heads.clear()
        origin.answers.clear()
        return gateway, await Rest.of(gateway)

    yield start
    for gateway in started:
        await asyncio.to_thread(gateway.stop)
