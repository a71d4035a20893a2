"""A Redis or a Valkey, whichever way it is set up: this is the only file that knows redis-py.

Its own ways to wait are turned off: no retries, and a bounded pool. Each step of a call, a connection and its login
among them, may take PATIENCE, which is long: how long a request waits is decided by redis_lane.py, whose clock knows
an event loop that was held up from a server that is slow. Cancelling a call drops its connection, so nobody reads
another's answer.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from gateway.state.redis_scripts import Script
from gateway.state.redis_url import Login, RedisUrl

#: Connections at once.
CONNECTIONS = 8
#: Seconds that a step may take: a connection, or an answer.
PATIENCE = 1.0
#: Whatever can go wrong with a call that is no mistake in this program.
ERRORS = (RedisError, RedisClusterException, OSError, EOFError)

#: Keys that a SCAN looks at in one step.
_STEP = 1000
_CODE = re.compile(r"[A-Z]{3,20}(?= |$)")


@dataclass(frozen=True, slots=True)
class RedisTls:
    """How a server's certificate is checked, and ours. Files are PEM; no `ca` means the system's."""

    verify: bool = True
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class Client:
    """Raises ERRORS. Made and used on one event loop; `close` it."""

    def __init__(self, url: RedisUrl, tls: RedisTls, timeout: float) -> None:
        """Connects to nothing yet. A step may take `timeout` seconds if that is longer than PATIENCE.

        Raises OSError when a certificate file cannot be read.
        """
        if url.tls:
            _look_at_files(tls)
        self._patience = max(PATIENCE, timeout)
        self._redis: Any
        self._cluster: RedisCluster | None = None
        self._sentinel: Sentinel | None = None
        common = self._common(tls) if url.tls else self._common(None)
        if url.kind == "cluster":
            self._redis = self._cluster = _cluster(url, common)
        elif url.kind == "sentinel":
            self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
                url.hosts,
                sentinel_kwargs={**common, **_login(url.sentinel_login)},
                **common,
                **_login(url.login),
            )
            self._redis = self._sentinel.master_for(url.master, db=url.db, max_connections=CONNECTIONS)
        else:
            self._redis = _single(url, common, self._patience)

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """A script's answer, in one round trip, but for the first time on a server."""
        try:
            return await self._redis.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._redis.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    async def ping(self) -> None:
        """Have the server answer."""
        if self._cluster is None:
            await self._redis.ping()

    async def delete(self, keys: Sequence[bytes]) -> int:
        """Delete keys; how many there were."""
        return int(await self._redis.execute_command("DEL", *keys)) if keys else 0

    async def scan(self, pattern: bytes, tag: bytes) -> AsyncIterator[list[bytes]]:
        """The keys that match, some at a time, of all that lie where `tag` does; one may come twice."""
        where: dict[str, Any] = {}
        if self._cluster is not None:
            await self._cluster.initialize()
            node = self._cluster.get_node_from_key(tag.decode())
            where["target_nodes"] = node
        cursor: Any = 0
        while True:
            answer = await self._redis.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", _STEP, **where)
            cursor, keys = answer
            if isinstance(cursor, dict):  # by node, in a cluster
                [cursor] = cursor.values()
            if keys:
                yield keys
            if int(cursor) == 0:
                return

    @property
    def commands(self) -> Any:
        """redis-py's own client, for a library that brings commands of its own."""
        return self._redis

    async def messages(self, channel: bytes) -> AsyncGenerator[bytes, None]:
        """What is published from now on, by a connection of its own; first nothing (b""), once it listens."""
        async with self._redis.pubsub() as listening:
            await listening.subscribe(channel)
            while True:
                message = await listening.get_message(timeout=None)
                if message is not None and message["type"] in ("subscribe", "message"):
                    yield b"" if message["type"] == "subscribe" else message["data"]

    async def drop(self) -> None:
        """Drop the connections that there are: what was the server may be another by now, and those lead nowhere."""
        if self._cluster is not None:
            await self._cluster.aclose()
        else:
            await self._redis.connection_pool.disconnect()

    async def close(self) -> None:
        """Drop all connections."""
        await self._redis.aclose()
        if self._sentinel is not None:
            for one in self._sentinel.sentinels:
                await one.aclose()

    def _common(self, tls: RedisTls | None) -> dict[str, Any]:
        options: dict[str, Any] = {
            "socket_timeout": self._patience,
            "socket_connect_timeout": self._patience,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            # Two round trips less with each new connection.
            "driver_info": None,
        }
        if tls is not None:
            options |= {
                "ssl": True,
                "ssl_cert_reqs": "required" if tls.verify else "none",
                "ssl_check_hostname": tls.verify,
                "ssl_ca_certs": tls.ca,
                "ssl_certfile": tls.certificate,
                "ssl_keyfile": tls.key,
                "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            }
        return options


def reason(error: BaseException) -> str:
    """What went wrong, without an address or anything that a server says in words of its own."""
    name = type(error).__name__
    if isinstance(error, ResponseError) and (code := _CODE.match(str(error))) is not None:
        return f"{name} {code[0]}"
    return name


def _look_at_files(tls: RedisTls) -> None:
    """They are read with each connection; what is wrong with one is better told now."""
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)


def _single(url: RedisUrl, common: dict[str, Any], patience: float) -> Redis:
    options = {**common, **_login(url.login), "db": url.db}
    tls = options.pop("ssl", False)
    if url.path:
        kind: Any = UnixDomainSocketConnection
        options["path"] = url.path
    else:
        kind = SSLConnection if tls else Connection
        options["host"], options["port"] = url.hosts[0]
    pool = BlockingConnectionPool(connection_class=kind, max_connections=CONNECTIONS, timeout=patience, **options)
    return Redis.from_pool(pool)


def _cluster(url: RedisUrl, common: dict[str, Any]) -> RedisCluster:
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in url.hosts],
        # One slot is all that is needed of it.
        require_full_coverage=False,
        max_connections=CONNECTIONS,
        **common,
        **_login(url.login),
    )


def _login(login: Login) -> dict[str, Any]:
    return {"username": login.username, "password": login.password}
