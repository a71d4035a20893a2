"""This process's memory keeps what a store promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from gateway.flags.memory_store import MemoryStore
from tests.flags.contract import Open, StoreContract
from tests.flags.replicas import Replica


class TestMemoryStore(StoreContract):
    """The contract."""

    @pytest_asyncio.fixture
    async def replica(self) -> AsyncIterator[Open]:
        async def start() -> Replica:
            return Replica(lambda _moved, _bug: MemoryStore())

        yield start
