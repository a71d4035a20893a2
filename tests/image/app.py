"""What stands beside the gateway in the pod: the example app, whose `/ask` calls a provider through egress.

Run inside the container. The provider, which a real pod has elsewhere, is served here too: the network namespace
has loopback and nothing else.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from aiohttp import ClientSession, web

from gateway.demo.app import make_app
from gateway.demo.provider import make_provider
from gateway.demo.serving import serving

APP, PROVIDER = 3000, 3001
EGRESS = "http://127.0.0.1:8081/openai/v1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "known-to-gateway-and-provider"  # the app never sends it


@web.middleware
async def asking(request: web.Request, handler: Handler) -> web.StreamResponse:
    """`/ask`: what the provider answers, through egress; after `?seconds=`, so that it can be late."""
    if request.path != "/ask":
        return await handler(request)
    await asyncio.sleep(float(request.query.get("seconds", 0)))
    call = {"model": "demo", "messages": [{"role": "user", "content": request.query["say"]}]}
    async with ClientSession() as session, session.post(f"{EGRESS}/chat/completions", json=call) as answer:
        return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")


async def main() -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = make_app()
    app.middlewares.append(asking)
    async with serving(app, APP), serving(make_provider(KEY, pace=0), PROVIDER):
        print("serving", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
