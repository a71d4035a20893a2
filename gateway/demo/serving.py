"""Runs one of the demo's applications on loopback, for as long as a `with` block lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

HOST = "127.0.0.1"


@asynccontextmanager
async def serving(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    """Serve `app` and yield its base URL; port 0 takes any free one.

    OSError when the port cannot be had. At the end open connections are closed without ceremony: a demo has
    endless streams, and waiting for them would be waiting for ever.
    """
    # Cancelling a handler whose client has left ends its stream or its sleep. A shutdown_timeout of 0 would be
    # none at all.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
