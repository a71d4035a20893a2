"""The example app: what a team's own service might be, in one file.

It has one endpoint for each thing that a proxy may get wrong: plain JSON that says what arrived, a stream
of events, a WebSocket, an answer that takes its time, and a failing one; and a list that is slow to make
and the same for all. `/` is a page that uses the stream and the WebSocket from a browser.
"""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime

from aiohttp import WSMsgType, web

from gateway.demo.event_stream import send_events
from gateway.demo.page import PAGE

MAX_MESSAGE = 1024 * 1024  # bytes in one WebSocket message
MAX_BODY = 16 * 1024 * 1024  # bytes in one request body
LISTING = 0.5  # seconds that it takes to list the models


def make_app() -> web.Application:
    """The example app, ready to be served."""
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_get("/", page)
    app.router.add_get("/api/events", events)
    app.router.add_get("/api/ws", socket)
    app.router.add_get("/api/models", models)
    app.router.add_route("*", "/api/slow", slow)
    app.router.add_route("*", "/api/fail", fail)
    app.router.add_route("*", "/{anything:.*}", echo)
    return app


async def page(_request: web.Request) -> web.Response:
    """A page for a browser."""
    return web.Response(text=PAGE, content_type="text/html")


async def echo(request: web.Request) -> web.Response:
    """What arrived here, as JSON; fields in the order and case in which they came."""
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers],
            "body_bytes": len(body),
        }
    )


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events, `?count=` of them (3600), one every `?interval=` seconds (1)."""
    count = int(number(request, "count", default=3600, low=1, high=3600))
    interval = number(request, "interval", default=1, low=0.001, high=60)
    return await send_events(request, ticks(count), pace=interval)


def ticks(count: int) -> Iterator[str]:
    """Events that say when they were made, to show that none was held back."""
    for tick in range(1, count + 1):
        data = json.dumps({"tick": tick, "time": datetime.now(UTC).isoformat(timespec="milliseconds")})
        yield f"id: {tick}\ndata: {data}"


async def socket(request: web.Request) -> web.WebSocketResponse:
    """A WebSocket that says everything back."""
    websocket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket


async def models(_request: web.Request) -> web.Response:
    """The list of models, and when it was made. Nothing is said of how long it is good for."""
    await asyncio.sleep(LISTING)
    made = datetime.now(UTC).isoformat(timespec="milliseconds")
    return web.json_response({"models": ["demo", "demo-failing"], "made": made})


async def slow(request: web.Request) -> web.Response:
    """An answer after `?seconds=` (5)."""
    seconds = number(request, "seconds", default=5, low=0, high=600)
    await asyncio.sleep(seconds)
    return web.json_response({"slept": seconds})


async def fail(request: web.Request) -> web.Response:
    """An answer with the status `?status=` (500)."""
    status = int(number(request, "status", default=500, low=400, high=599))
    return web.json_response({"error": "failed, as asked"}, status=status)


def number(request: web.Request, name: str, default: float, low: float, high: float) -> float:
    """A number from the query; a 400 when it is none, or out of bounds."""
    text = request.query.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise web.HTTPBadRequest(
            text=json.dumps({"error": f"{name} is a number from {low} to {high}"}),
            content_type="application/json",
        )
    return value
