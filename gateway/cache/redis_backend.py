"""Records in a Redis or a Valkey, through aiocache's backend for it: this is the only file that knows aiocache.

It connects as the rest of the gateway does (state/redis_client.py): one server, Sentinel, Cluster, with TLS or not;
no retries, a bounded pool of connections of its own, so that large bodies hold up nobody's rate limit. aiocache's own
timeouts, locks and `clear` (which runs KEYS) are not used; its client is ours, for it would only know single servers.

Every question is over within its time and raises nothing but Unavailable (state/redis_calls.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiocache import RedisCache  # type: ignore[import-untyped]
from aiocache.backends.redis import RedisBackend  # type: ignore[import-untyped]
from aiocache.serializers import BaseSerializer  # type: ignore[import-untyped]

from gateway.state.availability import Availability
from gateway.state.redis_calls import Calls
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import RedisUrl


class _Bytes(BaseSerializer):  # type: ignore[misc]  # aiocache has no types
    """Bytes stay bytes; aiocache's other serializers make strings of them or fail."""

    DEFAULT_ENCODING = None

    def dumps(self, value: Any) -> Any:
        """As it is."""
        return value

    def loads(self, value: Any) -> Any:
        """As it is."""
        return value


class _Cache(RedisCache):  # type: ignore[misc]
    """aiocache's, over a client of ours: the one that it makes is for a host and a port."""

    def __init__(self, client: Any) -> None:
        super(RedisBackend, self).__init__(serializer=_Bytes(), timeout=None)
        self.client = client

    async def _set(self, key: Any, value: Any, ttl: Any = None, _cas_token: Any = None, _conn: Any = None) -> Any:
        """As it was, without the SETEX that redis-py warns of."""
        return await self.client.set(key, value, ex=ttl)


class Backend(Calls):
    """Records by their keys. Made and used on one event loop; `close` it. All that asks raises Unavailable."""

    def __init__(self, url: RedisUrl, tls: RedisTls, timeout: float, availability: Availability) -> None:
        """See `Calls`."""
        super().__init__(url, tls, timeout, availability)
        self._cache = _Cache(self._client.commands)

    async def get(self, key: bytes) -> bytes | None:
        """A value; None where there is none."""
        value: bytes | None = await self.ask(lambda: self._cache.get(key), self._timeout)
        return value

    async def get_several(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of their keys."""
        values: list[bytes | None] = await self.ask(lambda: self._cache.multi_get(keys), self._timeout)
        return values

    async def put(self, key: bytes, value: bytes, ttl: int) -> None:
        """Store a value for `ttl` seconds, more than 0. Nobody waits for it, so it may take a second."""
        await self.ask(lambda: self._cache.set(key, value, ttl=ttl), self._patience)
