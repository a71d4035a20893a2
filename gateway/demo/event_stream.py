"""Sends server-sent events at a pace (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
from collections.abc import Iterable, Mapping

from aiohttp import web


async def send_events(
    request: web.Request,
    events: Iterable[str],
    *,
    pace: float,
    headers: Mapping[str, str] | None = None,
    cut_after: int | None = None,
) -> web.StreamResponse:
    """Answer with `events` (fields and values, without the empty line), `pace` seconds apart.

    After `cut_after` of them the connection is reset, as by a provider that crashes in the middle.
    """
    response = web.StreamResponse(headers=headers)
    response.content_type = "text/event-stream"
    response.headers["Cache-Control"] = "no-store"
    await response.prepare(request)
    for number, event in enumerate(events):
        if number:
            await asyncio.sleep(pace)
        if number == cut_after:
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write(f"{event}\n\n".encode())
    await response.write_eof()
    return response
