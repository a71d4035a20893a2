"""A headless chromium, driven by the DevTools protocol over its WebSocket: enough to open a page and ask it things.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

EXECUTABLE = shutil.which("chromium")
START = 60.0  # seconds; a cold start on a busy machine
PATIENCE = 20.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._target = ""
        self._session: str | None = None

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result. Events that come meanwhile are passed over."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._socket.receive_json()
                if answer.get("id") == number:
                    break
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def attach(self) -> None:
        self._target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]

    async def close(self) -> None:
        """Close the tab, as its user does."""
        self._session = None
        await self.call("Target.closeTarget", targetId=self._target)

    async def open(self, url: str) -> None:
        """Go there. The page may not have been loaded when this returns; `evaluate` waits for what it needs."""
        result = await self.call("Page.navigate", url=url)
        assert "errorText" not in result, result

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise's, once it is kept."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, timeout=PATIENCE * 1000
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until a JavaScript expression is true, looked at whenever the page changes."""
        await self.evaluate(
            f"""new Promise(done => {{
                const look = () => document.body && ({condition}) && done()
                new MutationObserver(look).observe(document, {{attributes: true, childList: true, subtree: true}})
                look()
            }})"""
        )


@asynccontextmanager
async def browser(directory: Path) -> AsyncIterator[Page]:
    """A chromium of its own with a new profile in `directory`, ended with all its processes."""
    assert EXECUTABLE is not None
    process = await asyncio.create_subprocess_exec(
        *(EXECUTABLE, *_FLAGS, f"--user-data-dir={directory}"),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        start_new_session=True,
    )
    reading: asyncio.Task[bytes] | None = None
    try:
        address = await _address(process)
        assert process.stderr is not None
        reading = asyncio.create_task(process.stderr.read())  # what it says later must not fill the pipe
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            page = Page(socket)
            await page.attach()
            yield page
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if reading is not None:
            await reading


async def _address(process: Process) -> str:
    """Where its DevTools listen, which it says on stderr."""
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(START):
        while line := await process.stderr.readline():
            said += line
            if found := re.search(rb"DevTools listening on (ws://\S+)", line):
                return found[1].decode()
    raise AssertionError(f"chromium did not start:\n{said.decode(errors='replace')}")
