"""The example app and the stand-in provider, with the gateway on its shipped config between them and the clients."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from gateway.demo import CONFIG
from gateway.demo.app import make_app
from gateway.demo.provider import make_provider
from gateway.demo.serving import serving
from tests.support.gateway import Gateway

PACE = 0.05  # seconds between two words of a stream
KEY = "known-to-gateway-and-provider"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Sidecar:
    """A gateway between an app and a provider. `asked` counts what came to the provider, by path."""

    def __init__(self, gateway: Gateway, app: str, provider: str, asked: Counter[str]) -> None:
        self.gateway = gateway
        self.app = app
        self.provider = provider
        self.asked = asked

    @property
    def ingress(self) -> str:
        return "http://{}:{}".format(*self.gateway.ingress)

    @property
    def egress(self) -> str:
        return "http://{}:{}".format(*self.gateway.egress)


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Sidecar]:
    asked: Counter[str] = Counter()

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked[request.path] += 1
        return await handler(request)

    stand_in = make_provider(KEY, pace=PACE)
    stand_in.middlewares.append(count)
    gateway = Gateway(directory, None, "run", "--config", str(CONFIG))
    anywhere = dict.fromkeys(("GATEWAY_INGRESS", "GATEWAY_EGRESS", "GATEWAY_METRICS", "GATEWAY_ADMIN"), "127.0.0.1:0")
    async with serving(make_app()) as app, serving(stand_in) as provider:
        given = {"APP_URL": app, "PROVIDER_URL": provider, "PROVIDER_KEY": KEY, **anywhere}
        await asyncio.to_thread(gateway.start, given)
        try:
            yield Sidecar(gateway, app, provider, asked)
        finally:
            await asyncio.to_thread(gateway.stop)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sidecar(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sidecar]:
    """One for all tests of a module."""
    async with running(tmp_path_factory.mktemp("sidecar")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def own_sidecar(tmp_path: Path) -> AsyncIterator[Sidecar]:
    """One whose breakers only this test has moved."""
    async with running(tmp_path) as made:
        yield made
