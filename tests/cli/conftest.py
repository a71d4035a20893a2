"""An admin listener on a thread of its own, for commands, which wait for their answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from gateway.admin.listener import AdminListener
from tests.admin.memory import Insides

TOKEN = "correct-horse-battery-staple"


class Background:
    """The listener, its insides and its URL."""

    def __init__(self, token: str | None) -> None:
        self.insides = Insides()
        self._token = token
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._listener: AdminListener | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        self.serve()

    def serve(self, port: int = 0) -> None:
        """Listen, anew as another process would."""

        async def serve() -> None:
            self._listener = AdminListener(self.insides.ports, "127.0.0.1", self._token)
            _, self.port = await self._listener.start("127.0.0.1", port)

        asyncio.run_coroutine_threadsafe(serve(), self._loop).result(10)

    def close(self) -> None:
        """Stop listening, as a process that has ended."""

        async def close() -> None:
            if self._listener is not None:
                await self._listener.stop()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    def later(self, seconds: float, do: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(seconds, do)
        timer.start()
        return timer

    def stop(self) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _background(token: str | None) -> Iterator[Background]:
    background = Background(token)
    background.start()
    yield background
    background.stop()


@pytest.fixture
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATEWAY_ADMIN_URL", "GATEWAY_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def admin(nothing_in_the_environment: None) -> Iterator[Background]:
    """Without a token."""
    yield from _background(None)


@pytest.fixture
def guarded(nothing_in_the_environment: None) -> Iterator[Background]:
    """With one."""
    yield from _background(TOKEN)
