"""Caches of routes that depend on flags: what these say belongs to the key; a cache may be under one itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b

from gateway.cache.asked import Asked, Reading
from gateway.cache.commons import Commons
from gateway.cache.landing import Terms
from gateway.cache.ports import Counts
from gateway.cache.shelf import Shelf
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.gate import Gate, Met
from gateway.rules.cache_key import LONGEST, CacheKey
from gateway.rules.storable import Sharing
from gateway.upstreams.forward import Way

#: Ways in which flags were answered whose digests are remembered.
_REMEMBERED = 1024


class FlaggedReading(Reading):
    """Reads requests whose answers depend on what flags say to them."""

    __slots__ = ("_said",)

    def __init__(
        self,
        key: CacheKey,
        sharing: Sharing,
        tags: frozenset[bytes],
        body: str | None,
        credentials: Sequence[bytes],
        said: Callable[[Exchange], bytes],
    ) -> None:
        """`said` gives all that flags say to a request."""
        super().__init__(key, sharing, tags, body, credentials)
        self._said = said

    def plain_key(self, exchange: Exchange) -> bytes | None:
        """As `Reading.plain_key`."""
        key = super().plain_key(exchange)
        return None if key is None else _with(key, self._said(exchange))

    def read(self, exchange: Exchange, body: bytes = b"") -> Asked:
        """As `Reading.read`."""
        asked = super().read(exchange, body)
        asked.key = _with(asked.key, self._said(exchange))
        return asked


class ShelfWhen(Shelf):
    """A cache that is there only where flags say so; who does not meet it goes to the upstream."""

    __slots__ = ("_met",)

    def __init__(
        self,
        met: Met,
        reading: Reading,
        terms: Terms,
        way: Way,
        caps: Sequence[Gate],
        commons: Commons,
        counts: Counts,
        *,
        coalesces: bool,
    ) -> None:
        super().__init__(reading, terms, way, caps, commons, counts, coalesces=coalesces)
        self._met = met

    def answer(self, exchange: Exchange) -> bool:
        """As `Shelf.answer`."""
        return self._met(exchange) and super().answer(exchange)

    async def serve(self, exchange: Exchange) -> GatewayError | None:
        """As `Shelf.serve`."""
        return await (super().serve(exchange) if self._met(exchange) else self._alone.go(exchange, None))

    async def fetch(self, exchange: Exchange, most: int) -> tuple[int, bool, str, bytes]:
        """As `Shelf.fetch`."""
        return await super().fetch(exchange, most) if self._met(exchange) else (0, False, "no-cache", b"")


def _with(key: bytes, said: bytes) -> bytes:
    key += _digest(said)
    return key if len(key) <= LONGEST else b"#" + blake2b(key, digest_size=32).digest()


@lru_cache(_REMEMBERED)
def _digest(said: bytes) -> bytes:
    return b"f" + blake2b(said, digest_size=16).digest()
