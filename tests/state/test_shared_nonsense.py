"""What listens where the Redis was may speak its protocol and be none: that is no more than a state that is gone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.state.memory import MemoryBuckets
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from gateway.state.shared import Shared
from tests.support.redis import RedisServer


async def _ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while await reader.read(65536):
            writer.write(b"+OK\r\n")
    writer.close()


def _shared(port: int, moved: asyncio.Queue[bool]) -> Shared:
    return Shared(
        parse_redis_url(f"redis://127.0.0.1:{port}"),
        RedisTls(),
        "gateway",
        0.5,
        2,
        0.1,
        MemoryBuckets(),
        lambda up, _: moved.put_nowait(up),
    )


async def test_nonsense_at_the_start_is_no_reason_to_stop() -> None:
    nonsense = await asyncio.start_server(_ok, "127.0.0.1", 0)
    async with nonsense:
        shared = _shared(nonsense.sockets[0].getsockname()[1], asyncio.Queue())
        await shared.start()
        assert not shared.up
        await shared.close()


async def test_after_nonsense_the_state_comes_back() -> None:
    moved: asyncio.Queue[bool] = asyncio.Queue()
    server = RedisServer()
    nonsense = await asyncio.start_server(_ok, "127.0.0.1", server.port)
    shared = _shared(server.port, moved)
    try:
        async with nonsense:
            await shared.start()
            assert await moved.get() is False
            await asyncio.sleep(0.3)  # a try or two
        await asyncio.to_thread(server.start)
        assert await asyncio.wait_for(moved.get(), 10) is True
    finally:
        await shared.close()
        server.close()
