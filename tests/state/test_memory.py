"""The memory of one process: the contract, what its table lets go, and what a clock that is set does."""

from __future__ import annotations

import pytest

from gateway.state.memory import MemoryBuckets
from tests.state.contract import BucketsContract
from tests.state.shared import SharedMemory


class Clock:
    """Both clocks, which stand still until they are moved."""

    def __init__(self) -> None:
        self.monotonic = 5000.125
        self.seconds = 1_790_000_000.25

    def now(self) -> float:
        return self.monotonic

    def wall(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.monotonic += seconds
        self.seconds += seconds


class MemorySubject(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.buckets = SharedMemory(MemoryBuckets(wall=self.wall), self.now)


class TestContract(BucketsContract):
    @pytest.fixture
    def subject(self) -> MemorySubject:
        return MemorySubject()
