"""A demo server takes the port it is given or says so, and leaves nothing behind."""

import asyncio
import errno
import socket

import aiohttp
import pytest

from gateway.demo.app import make_app
from gateway.demo.serving import HOST, serving


async def test_taken_port_is_an_os_error() -> None:
    with socket.create_server((HOST, 0)) as taken, pytest.raises(OSError, match=str(errno.EADDRINUSE)):
        await serving(make_app(), taken.getsockname()[1]).__aenter__()


async def test_end_does_not_wait_for_open_streams() -> None:
    async with aiohttp.ClientSession() as session:
        async with serving(make_app()) as url:
            answer = await session.get(f"{url}/api/events?interval=60")
            await answer.content.readuntil(b"\n\n")
            ended = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - ended < 15
        with pytest.raises(aiohttp.ClientError):
            await answer.content.read()
        answer.close()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


async def test_client_who_leaves_ends_the_handler() -> None:
    """Or every abandoned stream would go on ticking for an hour."""
    before = asyncio.all_tasks()
    async with serving(make_app()) as url, aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await session.get(f"{url}/api/slow?seconds=600", timeout=aiohttp.ClientTimeout(total=0.2))
        deadline = asyncio.get_running_loop().time() + 15
        while asyncio.all_tasks() - before and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        assert not asyncio.all_tasks() - before
