"""A request's content, taken in whole where it belongs to the key."""

from __future__ import annotations

import asyncio
from enum import Enum

from gateway.cache.flight import Budget
from gateway.exchange import Exchange, Fields

#: Bytes of content that belong to a key; requests with more pass by.
LONGEST = 1024 * 1024


class Unkeyed(Enum):
    """Why a content is in no key."""

    #: Its length is not known beforehand, or there is too much of it.
    LENGTH = "length"
    #: Too much of others' is held already.
    CROWDED = "crowded"


class _Whole:
    """Takes a body."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def chunk(self, data: bytes) -> None:
        """Keep it."""
        self.parts.append(data)

    def end(self, trailers: Fields) -> None:  # noqa: ARG002 - a request's trailers are not taken
        """It is whole."""
        if not self.done.done():
            self.done.set_result(None)


async def collect(exchange: Exchange, budget: Budget) -> bytes | Unkeyed:
    """The whole content; nothing has been taken of it where the answer is Unkeyed.

    Raises CancelledError when the client leaves, or sends it wrongly or too slowly.
    """
    length = exchange.head.length
    if length is None or length > LONGEST:
        return Unkeyed.LENGTH
    if budget.held + length > budget.limit:
        return Unkeyed.CROWDED
    budget.held += length
    try:
        return await whole(exchange)
    finally:
        budget.held -= length


async def whole(exchange: Exchange) -> bytes:
    """The whole content, however much of it comes; raises as `collect`."""
    if exchange.head.expects_continue and not exchange.http10 and not exchange.body.received:
        exchange.continued = True
        exchange.client_side.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    taken = _Whole()
    exchange.body.attach(taken)
    await taken.done
    return b"".join(taken.parts)
