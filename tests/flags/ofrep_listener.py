"""A listener whose one route is OFREP's: a real pipeline on a real socket, and flags without a config."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from gateway.entropy import Entropy
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.flags.answering import Tally
from gateway.flags.ofrep import PATTERN, Ofrep
from gateway.flags.registry import Registry
from gateway.listeners.listener import Limits, Listener
from gateway.pipeline import Pipeline, Route, Snapshot
from gateway.policies.correlation import Correlation, Stamp
from gateway.policies.trusted_proxies import ClientAddress
from gateway.rules.flags.given import Here
from gateway.rules.request_head import Interest
from gateway.rules.routing import Router
from gateway.settings import Limits as LimitSettings
from tests.listeners.memory import Counts
from tests.support.client import Address

HERE = Here("production", "shop", {"user": "header:X-User-Id", "plan": "header:X-Plan"})


class Told:
    """What the pipeline told of."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bugs: list[BaseException] = []

    def begin(self) -> None:
        """A request begins."""

    def end(self, method: bytes, status: int, seconds: float) -> None:
        self.statuses.append(status)

    def finished(self, exchange: Exchange, now: float) -> None:
        """An exchange is over."""

    def malformed(self, exchange: Exchange, error: GatewayError, now: float) -> None:
        """What was no request."""

    def bug(self, where: str, error: BaseException) -> None:
        self.bugs.append(error)


class Serving:
    """The listener's address, the flags behind it, and what was told of."""

    def __init__(self, define: Mapping[str, Any], base: str, token: str | None) -> None:
        self.registry = Registry({})
        self.registry.configure(define, {})
        assert not self.registry.current.wrong
        self.tally = Tally()
        self.told = Told()
        self.address: Address = ("", 0)
        entropy = Entropy()
        ofrep = Ofrep(
            base,
            lambda: self.registry.current,
            entropy.take,
            self.tally,
            HERE,
            token,
        )
        route = Route("ofrep", None, self.told, shelf=ofrep, egress=True)
        snapshot = Snapshot(
            stamp=Stamp(Correlation(), entropy),
            address=ClientAddress([], lambda _: None, ingress=False),
            router=Router([(base.rstrip("/") + PATTERN, None)]),
            routes=[route],
            no_route=Route("none", None, self.told, egress=True),
        )
        self.listener = Listener(
            "egress",
            cast("Limits", LimitSettings()),
            Interest("X-Correlation-ID", ingress=False),
            Pipeline(snapshot, self.told),
            self.told.bug,
            Counts(),
        )

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"


@asynccontextmanager
async def serving(
    define: Mapping[str, Any], base: str = "/flags", token: str | None = None
) -> AsyncIterator[Serving]:
    """Serve these flags below a path."""
    one = Serving(define, base, token)
    one.address = await one.listener.start("127.0.0.1", 0)
    try:
        yield one
    finally:
        await one.listener.drain(asyncio.get_running_loop().time())
    assert one.told.bugs == []
