"""A running admin listener, and raw questions to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest_asyncio

from gateway.admin.listener import AdminListener
from tests.admin.memory import Insides

TOKEN = "correct-horse-battery-staple"


class Said(NamedTuple):
    """What came back."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Running:
    """The listener, its insides, and its address."""

    def __init__(self, token: str | None, host: str = "127.0.0.1") -> None:
        self.insides = Insides()
        self.token = token
        self.listener = AdminListener(self.insides.ports, host, token)
        self.address = ("", 0)

    async def raw(self, data: bytes) -> bytes:
        """Send these bytes; all that comes until the end."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(data)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        fields: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> Said:
        """Ask as a decent client does, with the token where there is one; `fields` go over what it would say."""
        head = {"Host": f"127.0.0.1:{self.address[1]}", "Connection": "close"}
        if self.token is not None:
            head["Authorization"] = f"Bearer {self.token}"
        payload = b"" if body is None and data is None else data if data is not None else json.dumps(body).encode()
        if payload:
            head |= {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        head |= fields or {}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return parse(await self.raw(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + payload))

    async def get(self, path: str) -> Any:
        said = await self.ask("GET", path)
        assert said.status == 200, said
        return said.json


def parse(raw: bytes) -> Said:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return Said(int(status.split(" ")[1]), fields, body)


@pytest_asyncio.fixture
async def running(no_leaked_tasks: None) -> AsyncIterator[Running]:
    """Without a token."""
    running = Running(None)
    running.address = await running.listener.start("127.0.0.1", 0)
    yield running
    await running.listener.stop()


@pytest_asyncio.fixture
async def guarded(no_leaked_tasks: None) -> AsyncIterator[Running]:
    """With one."""
    running = Running(TOKEN)
    running.address = await running.listener.start("127.0.0.1", 0)
    yield running
    await running.listener.stop()
