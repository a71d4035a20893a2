"""Tests of the upstream side run on uvloop, as the program does; those marked so run on asyncio's loop too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import uvloop

Factory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Factory]:
    """The loops to run a test on."""
    factories: dict[str, Factory] = {"uvloop": uvloop.new_event_loop}
    if item.get_closest_marker("both_loops"):
        factories["asyncio"] = asyncio.new_event_loop
    return factories


@pytest_asyncio.fixture(autouse=True)
async def tidy(no_leaked_tasks: None) -> AsyncIterator[None]:
    """Every test ends with no task of its own running, and nothing was told to the loop's handler of bugs."""
    bugs: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: bugs.append(context))
    yield
    assert not bugs
