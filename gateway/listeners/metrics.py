"""The metrics listener: `/metrics`, `/livez`, `/readyz` and `/health`, for whoever watches; it changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import orjson
from aiohttp import web

from gateway.listeners.bounded_server import BoundedServer, problem

#: A scraper or two, the kubelet, some people looking: more than this many at a time is a mistake or an attack.
CONNECTIONS = 64


class HealthReport(Protocol):
    """How the process does."""

    @property
    def phase(self) -> str:
        """`starting`, `ready` or `draining`."""

    def report(self) -> tuple[str, Mapping[str, object]]:
        """The overall state and the whole report."""


class Scraper(Protocol):
    """Makes the metrics' text."""

    async def scrape(self, accept: str) -> tuple[str, bytes]:
        """Content type and text for an Accept header's value."""


class MetricsListener:
    """Answers GET and HEAD on four paths."""

    def __init__(self, health: HealthReport, scraper: Scraper) -> None:
        self._health = health
        self._scraper = scraper
        self._pages: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/health": self._report,
            "/metrics": self._metrics,
        }
        app = web.Application()
        # One route for all, so that refusals are ours to word, and so that no `Expect` is ever answered with 100.
        app.router.add_route("*", "/{path:.*}", self._dispatch, expect_handler=_expect_nothing)
        self._server = BoundedServer(app, CONNECTIONS)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; gives the address in use. Raises OSError when it cannot be had."""
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Close everything, within a second or two."""
        await self._server.stop()

    async def _dispatch(self, request: web.Request) -> web.Response:
        page = self._pages.get(request.path)
        if page is None:
            return problem(404, f"There are {', '.join(self._pages)}.")
        if request.method not in ("GET", "HEAD"):
            return problem(405, "This listener is for reading.", {"Allow": "GET, HEAD"})
        if request.body_exists:
            return problem(413, "No request body is taken here.")
        return await page(request)

    async def _livez(self, _: web.Request) -> web.Response:
        """That the event loop came to this is all there is to know."""
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        phase = self._health.phase
        if phase != "ready":
            return problem(503, f"The gateway is {phase}.")
        return web.Response(text="ready\n")

    async def _report(self, _: web.Request) -> web.Response:
        state, report = self._health.report()
        return web.Response(
            status=503 if state == "unhealthy" else 200,
            body=orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
            content_type="application/json",
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        accept = ",".join(request.headers.getall("Accept", []))
        content_type, text = await self._scraper.scrape(accept)
        return web.Response(body=text, headers={"Content-Type": content_type, "Vary": "Accept"})


async def _expect_nothing(_: web.Request) -> None:
    return None
