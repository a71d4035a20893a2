"""Several gateways on one config, in front of one origin: the replicas of a deployment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.client import Address
from tests.support.config import config
from tests.support.gateway import Gateway


@asynccontextmanager
async def fleet(
    directory: Path, origin: Address, count: int, *, known: bool = False, **sections: Any
) -> AsyncIterator[list[Gateway]]:
    """So many gateways, started one after the other.

    Each learns at its start how many share its state, and again after 10 s only. known: all know of all at once.
    """
    gateways: list[Gateway] = []
    patient = {"timeout": {"connect": "10s"}, **sections.pop("upstream", {})}  # the machine may be busy
    settings = config(origin, upstream=patient, log={"access": False}, **sections)

    async def start() -> Gateway:
        place = directory / f"gateway-{len(gateways)}"
        place.mkdir()
        gateways.append(Gateway(place, settings))
        await asyncio.to_thread(gateways[-1].start)
        return gateways[-1]

    try:
        running = [await start() for _ in range(count)]
        for number in range(count - 1 if known else 0):
            await asyncio.to_thread(running[number].stop)
            running[number] = await start()
        yield running
    finally:
        for gateway in gateways:
            await asyncio.to_thread(gateway.stop)
