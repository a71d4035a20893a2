"""Names to addresses: one look-up for all, fresh for seconds, the last known ones while the name server is away."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.errors import ConnectTimeout, NameNotResolved
from gateway.upstreams import resolver
from gateway.upstreams.connection import NEVER
from gateway.upstreams.resolver import Resolver
from tests.support.exchanges import exchange
from tests.support.origin import Origin
from tests.upstreams.rig import rigged

Answer = list[str] | Exception


class NameServer:
    """Stands at aiohttp's resolver, the boundary to the system: answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.answer: Answer = ["127.0.0.1"]
        self.asked: list[tuple[str, int, int]] = []
        self.answering = asyncio.Event()
        self.answering.set()

    def __call__(self) -> NameServer:
        return self

    async def resolve(self, host: str, port: int, family: int) -> list[dict[str, Any]]:
        self.asked.append((host, port, family))
        await self.answering.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": 0,
            }
            for address in self.answer
        ]


@pytest_asyncio.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    names = NameServer()
    monkeypatch.setattr(resolver, "ThreadedResolver", names)
    yield names
    names.answering.set()
    await asyncio.sleep(0)


def stale(one: Resolver) -> None:
    """As if the last answer were from long ago."""
    one._stale_at = one._patient_until = float("-inf")


def found(addresses: list[Any]) -> list[str]:
    return [info[4][0] for info in addresses]


async def test_an_answer_as_connecting_wants_it(names: NameServer) -> None:
    names.answer = ["127.0.0.2", "::1"]
    assert await Resolver("app.test", 8080).addresses() == [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.2", 8080)),
        (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", 8080, 0, 0)),
    ]
    assert names.asked == [("app.test", 8080, socket.AF_UNSPEC)]


async def test_it_is_good_for_a_while_and_looked_up_again_then(names: NameServer) -> None:
    one = Resolver("app.test", 80)
    for _ in range(3):
        assert found(await one.addresses()) == ["127.0.0.1"]
    assert len(names.asked) == 1
    names.answer = ["127.0.0.9"]
    stale(one)
    assert found(await one.addresses()) == ["127.0.0.9"]
    assert not one.knows("127.0.0.1")
    assert one.knows("127.0.0.9")
    assert len(names.asked) == 2
    assert one._stale_at == pytest.approx(time.monotonic() + resolver.FRESH, abs=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.7"])
async def test_a_literal_is_looked_up_once_and_always_known(names: NameServer, host: str) -> None:
    one = Resolver(host, 80)
    names.answer = [host]
    for _ in range(2):
        assert found(await one.addresses()) == [host]
        stale(one)
    assert len(names.asked) == 1
    assert one.knows(host)
    assert one.knows("anything")


async def test_all_who_wait_share_a_look_up_and_none_ends_it_by_leaving(names: NameServer) -> None:
    one = Resolver("app.test", 80)
    names.answering.clear()
    tasks = [asyncio.create_task(one.addresses()) for _ in range(5)]
    await asyncio.sleep(0.01)
    for task in tasks[:4]:
        task.cancel()
    await asyncio.sleep(0.01)
    names.answering.set()
    assert found(await tasks[4]) == ["127.0.0.1"]
    assert len(names.asked) == 1
    assert all(task.cancelled() for task in tasks[:4])


async def test_an_answer_that_nobody_waits_for_is_kept(names: NameServer) -> None:
    one = Resolver("app.test", 80)
    names.answering.clear()
    task = asyncio.create_task(one.addresses())
    await asyncio.sleep(0.01)
    task.cancel()
    names.answering.set()
    await asyncio.sleep(0.01)
    assert found(await one.addresses()) == ["127.0.0.1"]
    assert len(names.asked) == 1


FAILURES = [socket.gaierror(-3, "try again"), OSError("no"), UnicodeError("label empty or too long")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_a_name_without_an_address(names: NameServer, failure: Exception) -> None:
    one = Resolver("app.test", 80)
    names.answer = failure
    for _ in range(2):
        with pytest.raises(NameNotResolved) as error:
            await one.addresses()
        assert "app.test" not in error.value.detail
    names.answer = ["127.0.0.1"]
    assert found(await one.addresses()) == ["127.0.0.1"]


async def test_an_empty_answer_is_none(names: NameServer) -> None:
    names.answer = []
    with pytest.raises(NameNotResolved):
        await Resolver("app.test", 80).addresses()


@pytest.mark.parametrize("failure", [*FAILURES, []], ids=lambda failure: type(failure).__name__)
async def test_a_failure_keeps_the_last_known(names: NameServer, failure: Answer) -> None:
    one = Resolver("app.test", 80)
    await one.addresses()
    names.answer = failure
    stale(one)
    for _ in range(3):
        assert found(await one.addresses()) == ["127.0.0.1"]
    assert one.knows("127.0.0.1")
    assert len(names.asked) == 2  # not again with every connection
    names.answer = ["127.0.0.2"]
    stale(one)
    assert found(await one.addresses()) == ["127.0.0.2"]


async def test_a_name_server_that_says_nothing_is_waited_for_once_and_shortly(names: NameServer) -> None:
    one = Resolver("app.test", 80)
    await one.addresses()
    names.answering.clear()
    stale(one)
    began = time.monotonic()
    assert found(await one.addresses()) == ["127.0.0.1"]
    assert time.monotonic() - began < 0.4
    began = time.monotonic()
    for _ in range(100):
        await one.addresses()
    assert time.monotonic() - began < 0.1
    assert len(names.asked) == 2
    names.answer = ["127.0.0.3"]
    names.answering.set()
    await asyncio.sleep(0.01)
    assert found(await one.addresses()) == ["127.0.0.3"]


async def test_closing_ends_a_look_up(names: NameServer) -> None:
    one = Resolver("app.test", 80)
    names.answering.clear()
    task = asyncio.create_task(one.addresses())
    await asyncio.sleep(0.01)
    await one.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    await one.close()


# ---- with a pool and real connections


async def test_when_the_answer_changes_connections_follow(names: NameServer) -> None:
    """New ones go to the new address; idle ones to the old address are closed."""
    async with Origin() as origin, rigged(("app.test", origin.address[1])) as rig:
        await rig.forward(exchange())
        (connection,) = rig.pool._open
        assert connection.address == "127.0.0.1"
        names.answer = ["127.0.0.2"]
        stale(rig.connector.resolver)
        await rig.connector.resolver.addresses()
        await rig.states()
        assert connection.closed
        names.answer = ["127.0.0.1"]
        stale(rig.connector.resolver)
        assert (await rig.forward(exchange()))[1] is None
        assert len(origin.connections) == 2
        assert await origin.connections[0].gone() == "fin"


async def test_a_silent_name_server_costs_a_new_upstream_its_connect_time_and_no_more(names: NameServer) -> None:
    names.answering.clear()
    async with rigged(("app.test", 80), timeout={"connect": 0.1}) as rig:
        with pytest.raises(ConnectTimeout):
            await rig.pool.obtain(time.monotonic(), 0.1, NEVER)


async def test_the_next_address_is_tried_when_one_refuses(names: NameServer) -> None:
    async with Origin() as origin:
        names.answer = ["127.0.0.99", "127.0.0.1"]
        async with rigged(("app.test", origin.address[1])) as rig:
            got, error = await rig.forward(exchange())
            assert error is None
            assert got.startswith(b"HTTP/1.1 200")
