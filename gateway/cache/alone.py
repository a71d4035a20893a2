"""To the upstream as if there were no cache, but for what the answer does to what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, time

from gateway.cache import landing
from gateway.cache.asked import Asked, host_of
from gateway.cache.commons import Commons
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import WAIT, Gate
from gateway.rules import conditional, field_lines, stored_update
from gateway.rules.purge import Kind, Purge
from gateway.rules.response_head import ResponseHead
from gateway.rules.stored_update import HeadEffect
from gateway.upstreams import relay
from gateway.upstreams.connection import UpstreamConnection
from gateway.upstreams.forward import Way, forward


class Alone:
    """How a route's requests go by themselves."""

    __slots__ = ("_caps", "_commons", "_keeps", "_methods", "_way")

    def __init__(
        self, way: Way, caps: Sequence[Gate], commons: Commons, methods: frozenset[bytes], *, keeps: bool
    ) -> None:
        """`caps` are the gates that they pass; `methods` ask here, and change nothing."""
        self._methods = methods
        self._way = way
        self._caps = tuple(caps)
        self._commons = commons
        self._keeps = keeps

    async def go(self, exchange: Exchange, asked: Asked | None) -> GatewayError | None:
        """Forward it. An error is returned only while nothing has gone to the client."""
        for cap in self._caps:
            verdict = cap.check(exchange, monotonic())
            if verdict is WAIT:
                verdict = await cap.wait(exchange)
            if verdict is not None:
                return verdict
        exchange.asked = asked
        return await forward(exchange, self._way, self._respond)

    async def _respond(self, exchange: Exchange, response: ResponseHead, connection: UpstreamConnection) -> None:
        asked, exchange.asked = exchange.asked, None
        if not landing.TAG_FIELDS.isdisjoint(field_lines.names(response.kept)):
            response.kept = field_lines.without(response.kept, landing.TAG_FIELDS)
        head = exchange.head
        if head.method not in self._methods and stored_update.unsafe(head.method):
            invalidate(self._commons, exchange, response)
        elif head.method == b"HEAD" and asked is not None and self._keeps:
            self._after_head(asked, response)
        await relay.respond(exchange, response, connection)

    def _after_head(self, asked: Asked, response: ResponseHead) -> None:
        """RFC 9111, section 4.3.5; what is the same is left as it is, for it could only be fresh for longer."""
        store = self._commons.store
        entry = store.find(asked.key, asked.values)
        if entry is None:
            return
        now = time()
        new = conditional.validators(response.status, landing.values_of(response.kept), int(now))
        effect = stored_update.after_head(response.status, new, response.length, entry.validators, len(entry.body))
        if effect is HeadEffect.STALE:
            store.replace(entry, entry.with_freshness(entry.freshness.aged(now)))


def invalidate(commons: Commons, exchange: Exchange, response: ResponseHead) -> None:
    """Remove what an unsafe method has changed (RFC 9111, section 4.4)."""
    head = exchange.head
    values = landing.values_of(response.kept)
    locations = [*values(b"location"), *values(b"content-location")]
    host = host_of(exchange.proto, exchange.host)
    for path, query in stored_update.invalidated(
        head.method, response.status, exchange.proto, exchange.host, head.path, head.query, locations
    ):
        commons.invalidate(Purge(Kind.URL, path + query, host))
