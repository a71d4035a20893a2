"""A gateway at rest: its idle level, and the proof that it has come back to it after whatever was done to it.

In-flight gauges at 0, no client connection, no upstream connection in use or awaited, idle ones as many as the
origin has, descriptors as few as before, memory bounded. A task or an exchange that leaked would hold one of these.
"""

from __future__ import annotations

import asyncio
import time

from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import Gateway
from tests.support.load_origin import LoadOrigin
from tests.support.wire import DEADLINE

#: Bytes that resident memory may lie above the idle level: buffers kept by the allocator, not exchanges.
MARGIN = 24 << 20

_LABELS = ("scope", "name", "upstream", "state", "listener")
_BUSY = ("busy", "connecting", "waiting")


class Rest:
    """A gateway's idle level, in descriptors and bytes."""

    def __init__(self, gateway: Gateway, descriptors: int, memory: int) -> None:
        self._gateway = gateway
        self.descriptors = descriptors
        self.memory = memory

    @classmethod
    async def of(cls, gateway: Gateway) -> Rest:
        """Its level now; call it when nothing is under way and no upstream connection is open."""
        rest = cls(gateway, 1 << 30, 1 << 60)
        await rest.regained()
        await _until_stable(gateway)
        return cls(gateway, gateway.fds(), gateway.rss())

    async def regained(self, *origins: LoadOrigin, within: float = DEADLINE) -> None:
        """Wait until the gateway is at rest again. The origins end their connections in the course of it."""
        limit = time.monotonic() + within
        while left := [*await self._activity(), *await self._idle_beyond(origins)]:
            assert time.monotonic() < limit, f"not at rest after {within} s: {left}"
            await asyncio.sleep(0.02)
        for origin in origins:
            await origin.settle()
        while left := [*await self._activity(), *await self._upstream_connections(), *self._above()]:
            assert time.monotonic() < limit + within, f"not let go after {2 * within} s: {left}"
            await asyncio.sleep(0.02)
        assert self._gateway.alive, f"the gateway died:\n{self._gateway.stderr}"
        self._gateway.check_output()

    async def _activity(self) -> list[str]:
        gauges = await _gauges(self._gateway)
        return [
            f"{name} {value:g}"
            for name, value in gauges.items()
            if value
            and (
                name.startswith(("gateway_in_flight", "gateway_connections "))
                or (name.startswith("gateway_upstream_connections") and name.endswith(_BUSY))
            )
        ]

    async def _idle_beyond(self, origins: tuple[LoadOrigin, ...]) -> list[str]:
        """The pools' idle connections, where they are not those that the origins have."""
        if not origins:
            return []
        gauges = await _gauges(self._gateway)
        idle = sum(value for name, value in gauges.items() if name.endswith(" idle"))
        have = sum(origin.open for origin in origins)
        return [] if idle == have else [f"{idle:g} idle connections, of which the origins have {have}"]

    async def _upstream_connections(self) -> list[str]:
        gauges = await _gauges(self._gateway)
        return [f"{k} {v:g}" for k, v in gauges.items() if v and k.startswith("gateway_upstream_connections")]

    def _above(self) -> list[str]:
        descriptors, memory = self._gateway.fds(), self._gateway.rss()
        left = []
        if descriptors > self.descriptors:
            left.append(f"{descriptors} descriptors, at first {self.descriptors}")
        if memory > self.memory + MARGIN:
            left.append(f"{memory >> 20} MiB resident, at first {self.memory >> 20}")
        return left


async def _gauges(gateway: Gateway) -> dict[str, float]:
    """Every sample of the gateway's own gauges, by its name and label values."""
    text = (await gateway.get("/metrics")).body.decode()
    return {
        " ".join([sample.name, *(sample.labels[key] for key in _LABELS if key in sample.labels)]): sample.value
        for family in text_string_to_metric_families(text)
        if family.type == "gauge" and family.name.startswith("gateway_")
        for sample in family.samples
    }


async def _until_stable(gateway: Gateway) -> None:
    """Wait until the number of descriptors no longer changes: connections just closed are gone."""
    before = -1
    while (now := gateway.fds()) != before:
        before = now
        await asyncio.sleep(0.05)
