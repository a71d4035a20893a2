"""Ways to a server: a Unix socket, a database, a login, TLS, a sentinel, a cluster's third node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.rules.gcra import Rate
from gateway.state.ports import Charge, Limit, Unavailable
from gateway.state.redis import RedisState
from gateway.state.redis_client import RedisTls
from gateway.state.redis_url import parse_redis_url
from tests.state.reports import Reports
from tests.support.redis import RedisServer, TlsFront, sentinel
from tests.support.tls import Authority

LIMIT = Limit("kinds/one", Rate(60, 60, 5))

#: What config/reference/state.md says that a user needs.
PAGE = Path(__file__).parents[2] / "config/reference/state.md"
COMMANDS = [f"+{name.lower()}" for name in re.findall(r"`(EVAL [A-Z \n]+)`", PAGE.read_text())[0].split()]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(requirepass="pa/ss") as server:
        with server.client(password="pa/ss") as client:
            client.execute_command("ACL", "SETUSER", "gw", "on", ">w@rd", "~{gateway}:*", *COMMANDS)
        yield server


async def take(url: str, tls: RedisTls | None = None) -> bool:
    """Whether a token is there, of five."""
    state = RedisState(parse_redis_url(url), tls or RedisTls(), "gateway", 5.0, Reports())
    try:
        assert await state.say_alive() == 1
        [standing] = await state.take([Charge(LIMIT, b"k", 1)])
        lease = await state.acquire("cap", b"", 1)
        assert lease
        assert await state.in_use("cap", b"") == await state.renew() == 1
        await state.release("cap", b"", lease)
        await state.give_back([Charge(LIMIT, b"k", 1)])
        await state.force(Charge(LIMIT, b"k", 1))
        assert await state.forget(LIMIT, None) == 1
        return standing.allowed
    finally:
        await state.close(leave=True)


async def test_a_password(server: RedisServer) -> None:
    assert await take(f"redis://:pa%2Fss@127.0.0.1:{server.port}")


async def test_a_user_who_may_touch_our_keys_only(server: RedisServer) -> None:
    assert await take(f"redis://gw:w%40rd@127.0.0.1:{server.port}")


async def test_a_database(server: RedisServer) -> None:
    state = RedisState(
        parse_redis_url(f"redis://:pa%2Fss@127.0.0.1:{server.port}/3"), RedisTls(), "gateway", 5.0, Reports()
    )
    await state.take([Charge(LIMIT, b"k", 1)])
    with server.client(password="pa/ss", db=3) as client:
        assert len(client.keys("*")) == 1
        client.flushdb()
    await state.close(leave=True)


async def test_a_unix_socket(server: RedisServer) -> None:
    assert await take(f"unix://:pa%2Fss@{server.socket_path}")


@pytest.mark.parametrize(("login", "word"), [(":wrong@", "AuthenticationError"), ("", "AuthenticationError")])
async def test_a_wrong_password_is_told_without_it(server: RedisServer, login: str, word: str) -> None:
    with pytest.raises(Unavailable) as raised:
        await take(f"redis://{login}127.0.0.1:{server.port}")
    assert "wrong" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)
    assert word in str(raised.value)


async def test_tls(server: RedisServer, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    front = TlsFront(server, authority.server("localhost"))
    try:
        assert await take(f"rediss://:pa%2Fss@localhost:{front.port}", RedisTls(ca=str(authority.file)))
        assert await take(f"rediss://:pa%2Fss@127.0.0.1:{front.port}", RedisTls(verify=False))
        for url, tls in (
            (f"rediss://:pa%2Fss@localhost:{front.port}", RedisTls()),  # nobody vouches for it
            (f"rediss://:pa%2Fss@127.0.0.1:{front.port}", RedisTls(ca=str(authority.file))),  # another's name
            (f"redis://:pa%2Fss@127.0.0.1:{front.port}", RedisTls()),  # no TLS
        ):
            with pytest.raises(Unavailable):
                await take(url, tls)
    finally:
        front.close()


@pytest.mark.parametrize("files", [{"ca": "missing.pem"}, {"certificate": "missing.pem"}, {"ca": __file__}])
async def test_a_certificate_that_cannot_be_read_is_told_at_once(files: dict[str, str]) -> None:
    with pytest.raises(OSError, match=r"."):
        RedisState(parse_redis_url("rediss://localhost"), RedisTls(**files), "gateway", 5.0, Reports())


async def test_a_sentinel_says_where_the_master_is() -> None:
    with RedisServer() as master, sentinel(master) as watcher:
        assert await take(f"redis+sentinel://127.0.0.1:{watcher.port}/mymaster")
        with pytest.raises(Unavailable):
            await take(f"redis+sentinel://127.0.0.1:{watcher.port}/another")


async def test_a_sentinel_says_where_the_new_master_is() -> None:
    with RedisServer() as old, sentinel(old) as watcher, RedisServer() as new:
        with new.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", old.port)
        state = RedisState(
            parse_redis_url(f"redis+sentinel://127.0.0.1:{watcher.port}/mymaster"), RedisTls(), "g", 5.0, Reports()
        )
        await state.take([Charge(LIMIT, b"k", 1)])
        with new.client() as client, old.client() as other, watcher.client() as asked:
            client.execute_command("REPLICAOF", "NO", "ONE")
            other.execute_command("REPLICAOF", "127.0.0.1", new.port)
            asked.execute_command("SENTINEL REMOVE", "mymaster")
            asked.execute_command("SENTINEL MONITOR", "mymaster", "127.0.0.1", new.port, 1)
        with pytest.raises(Unavailable):
            await state.take([Charge(LIMIT, b"k", 1)])  # the old one takes no writes any more
        assert (await state.take([Charge(LIMIT, b"k", 1)]))[0].allowed
        with new.client() as client:
            assert client.keys("{g}:*")
        await state.close(leave=True)
