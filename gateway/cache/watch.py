"""Routes without a cache, beside some with one: what goes through them may change what is stored."""

from __future__ import annotations

from gateway.cache.alone import invalidate
from gateway.cache.commons import Commons
from gateway.cache.shelf import Shelf
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.rules import stored_update
from gateway.rules.response_head import ResponseHead
from gateway.upstreams import relay
from gateway.upstreams.connection import UpstreamConnection
from gateway.upstreams.forward import Way, forward


class Watch:
    """Stores nothing, and sees to it that unsafe methods invalidate what others have stored (RFC 9111, 4.4)."""

    __slots__ = ("_carrier", "_commons", "_way")

    def __init__(self, way: Way, commons: Commons, carrier: Shelf) -> None:
        """`carrier` stores nothing either."""
        self._way = way
        self._commons = commons
        self._carrier = carrier

    def answer(self, exchange: Exchange) -> bool:  # noqa: ARG002 - it has nothing
        """Leave everything to `serve`."""
        return False

    async def serve(self, exchange: Exchange) -> GatewayError | None:
        """Forward it."""
        if not stored_update.unsafe(exchange.head.method):
            return await forward(exchange, self._way)
        return await forward(exchange, self._way, self._respond)

    async def fetch(self, exchange: Exchange, most: int) -> tuple[int, bytes]:
        """Fetch for the gateway itself: status and content, as Shelf.fetch. Raises GatewayError."""
        status, _, _, content = await self._carrier.fetch(exchange, most)
        return status, content

    async def _respond(self, exchange: Exchange, response: ResponseHead, connection: UpstreamConnection) -> None:
        invalidate(self._commons, exchange, response)
        await relay.respond(exchange, response, connection)
