"""Opening connections over real sockets: each failure by its name, in time, and none leaves a socket behind."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway import build
from gateway.errors import ConnectFailed, ConnectTimeout, PoolExhausted, TlsFailed
from gateway.settings import Tls
from gateway.upstreams.connector import Connector, Endpoint
from tests.support.client import Address
from tests.support.exchanges import exchange
from tests.support.expect import assert_within
from tests.support.faults import black_hole, refusing, unreachable
from tests.support.origin import Origin, listen
from tests.support.tls import Authority
from tests.upstreams.memory import Peer
from tests.upstreams.rig import rigged, sockets

pytestmark = pytest.mark.both_loops


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test leaves a socket open. (Its loop, with sockets of its own, is there at both looks.)"""
    before = sockets()
    yield
    assert sockets() <= before


@asynccontextmanager
async def no_socket_left() -> AsyncIterator[None]:
    """What happens inside leaves no open socket behind, and that at once."""
    before = sockets()
    yield
    for _ in range(5):
        await asyncio.sleep(0)
    assert sockets() <= before


def connector(address: Address, tls: ssl.SSLContext | None = None, name: str | None = None) -> Connector:
    return Connector(Endpoint(address[0], address[1], tls, name))


async def connect(one: Connector, limit: float | None = 5.0) -> Any:
    return await one.connect(lambda: Peer().connection, limit)


# ---- plain


async def test_refused() -> None:
    with refusing() as address:
        async with no_socket_left(), rigged(address) as rig:
            began = time.monotonic()
            got, error = await rig.forward(exchange())
            assert isinstance(error, ConnectFailed)
            assert got == b""
            assert time.monotonic() - began < 0.5
            assert str(address[1]) not in error.detail
            assert rig.calls.outcomes == ["connection-refused"]


async def test_a_host_that_does_not_answer_is_given_its_time() -> None:
    with unreachable() as address:
        async with no_socket_left(), rigged(address, timeout={"connect": 0.2}) as rig:
            began = time.monotonic()
            error = (await rig.forward(exchange()))[1]
            assert isinstance(error, ConnectTimeout)
            assert_within(time.monotonic() - began, 0.2)


async def test_leaving_while_connecting() -> None:
    with unreachable() as address:
        async with no_socket_left(), rigged(address, timeout={"connect": 5.0}) as rig:
            for after in (0.0, 0.001, 0.05):
                task = asyncio.create_task(rig.forward(exchange()))
                await asyncio.sleep(after)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await rig.states()


async def test_leaving_at_any_moment_of_a_connect() -> None:
    """One turn of the loop later each time, until it is through."""
    async with Origin() as origin:
        one = connector(origin.address)
        await one.resolver.addresses()
        before, outcomes = sockets(), set()
        for turns in range(41):
            task = asyncio.create_task(connect(one))
            for _ in range(turns):
                await asyncio.sleep(0)
            if turns == 40:
                await asyncio.wait([task])  # on a slow machine it may take longer than so many turns
            task.cancel()
            try:
                (await task).abort()
            except asyncio.CancelledError:
                outcomes.add("left")
            else:
                outcomes.add("through")
        await origin.settle()
        await asyncio.sleep(0.05)
        assert sockets() <= before
        assert outcomes == {"left", "through"}


async def test_no_descriptor_left_is_our_own_affair() -> None:
    async with Origin() as origin:
        one = connector(origin.address)
        await one.resolver.addresses()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = [os.dup(0)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))  # the lowest free one was the last
        try:
            with pytest.raises(PoolExhausted):
                await connect(one)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            os.close(taken[0])
        (await connect(one)).abort()
        await asyncio.sleep(0)


async def test_the_connection_knows_its_address() -> None:
    async with Origin() as origin:
        connection = await connect(connector(origin.address))
        assert connection.address == "127.0.0.1"
        assert not connection.closed
        connection.abort()
        await asyncio.sleep(0)


async def test_a_connection_that_the_upstream_closes_at_once() -> None:
    with listen() as sock:

        async def slam() -> None:
            while True:
                peer, _ = await asyncio.get_running_loop().sock_accept(sock)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.close()

        sock.setblocking(False)
        slamming = asyncio.create_task(slam())
        async with rigged(sock.getsockname()[:2]) as rig:
            for _ in range(10):
                got, error = await rig.forward(exchange())
                assert error is not None
                assert error.slug in ("connection-broken", "connection-refused")
                assert got == b""
            await rig.states()
        slamming.cancel()
        await asyncio.gather(slamming, return_exceptions=True)


# ---- TLS


def context(**tls: Any) -> ssl.SSLContext:
    """As the settings make it."""
    return build._tls("app", Tls(**tls))


async def forwarded(origin: Origin, name: str, **tls: Any) -> bytes | TlsFailed:
    """A request over TLS; the answer, or why there is none."""
    async with rigged(origin.address, tls=context(**tls), name=name) as rig:
        got, error = await rig.forward(exchange())
        assert error is None or isinstance(error, TlsFailed), repr(error)
        if error is not None:
            assert got == b""
            assert rig.calls.outcomes == ["tls-error"]
            assert error.status == 502
            await rig.states()
        return error or got


async def test_a_certificate_that_is_good(authority: Authority) -> None:
    async with Origin(tls=authority.server("app.test")) as origin:
        got = await forwarded(origin, "app.test", ca=str(authority.file))
        assert isinstance(got, bytes)
        assert got.startswith(b"HTTP/1.1 200")
        assert authority.asked == ["app.test"]


async def test_for_an_address(authority: Authority) -> None:
    async with Origin(tls=authority.server("127.0.0.1")) as origin:
        assert isinstance(await forwarded(origin, "127.0.0.1", ca=str(authority.file)), bytes)
    async with Origin(tls=authority.server("127.0.0.2")) as origin:
        assert isinstance(await forwarded(origin, "127.0.0.1", ca=str(authority.file)), TlsFailed)


async def test_for_another_name(authority: Authority) -> None:
    async with Origin(tls=authority.server("other.test")) as origin:
        error = await forwarded(origin, "app.test", ca=str(authority.file))
        assert isinstance(error, TlsFailed)
        assert origin.requests == []
        assert isinstance(await forwarded(origin, "app.test", verify=False), bytes)
        assert isinstance(await forwarded(origin, "other.test", ca=str(authority.file)), bytes)


def server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


@pytest.mark.parametrize("kind", ["expired", "not yet valid", "self-signed", "of another authority"])
async def test_a_certificate_that_is_not_good(tmp_path: Path, authority: Authority, kind: str) -> None:
    now = dt.datetime.now(dt.UTC)
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(str(tmp_path / "issuer.pem"))
    trusted = str(tmp_path / "issuer.pem")
    if kind == "expired":
        leaf = issuer.issue_cert("app.test", not_before=now - dt.timedelta(2), not_after=now - dt.timedelta(1))
    elif kind == "not yet valid":
        leaf = issuer.issue_cert("app.test", not_before=now + dt.timedelta(1))
    else:
        leaf, trusted = issuer.issue_cert("app.test"), str(authority.file)
    if kind == "self-signed":
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*self_signed(tmp_path, issuer))
    else:
        made = server(leaf)
    async with Origin(tls=made) as origin:
        error = await forwarded(origin, "app.test", ca=trusted)
        assert isinstance(error, TlsFailed)
        assert "certificate" in error.detail
        assert origin.requests == []
        assert isinstance(await forwarded(origin, "app.test", verify=False), bytes)


def self_signed(directory: Path, issuer: trustme.CA) -> tuple[str, str]:
    """The authority's own certificate, used as a server's."""
    issuer.cert_pem.write_to_path(str(directory / "own.pem"))
    issuer.private_key_pem.write_to_path(str(directory / "own.key"))
    return str(directory / "own.pem"), str(directory / "own.key")


async def test_an_upstream_that_speaks_no_tls() -> None:
    async with Origin() as origin:
        origin.hold()
        async with rigged(origin.address, tls=context(verify=False), name="app.test") as rig:
            task = asyncio.create_task(rig.forward(exchange()))
            upstream = await origin.accept()
            await upstream.wire.read_some()
            upstream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert isinstance((await task)[1], TlsFailed)


async def test_a_handshake_that_never_ends_is_part_of_connecting() -> None:
    with black_hole() as address:
        async with no_socket_left():
            one = connector(address, context(verify=False), "app.test")
            began = time.monotonic()
            with pytest.raises(ConnectTimeout):
                await connect(one, 0.2)
            assert_within(time.monotonic() - began, 0.2)


async def test_leaving_during_a_handshake() -> None:
    with black_hole() as address:
        one = connector(address, context(verify=False), "app.test")
        await one.resolver.addresses()
        async with no_socket_left():
            for after in (0.0, 0.001, 0.01, 0.05):
                task = asyncio.create_task(connect(one, 5.0))
                await asyncio.sleep(after)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task


async def test_an_upstream_that_hangs_up_during_the_handshake() -> None:
    async with Origin() as origin:
        origin.hold()
        for end in ("close", "reset"):
            task = asyncio.create_task(connect(connector(origin.address, context(verify=False), "app.test")))
            upstream = await origin.accept()
            await upstream.wire.read_some()
            getattr(upstream.wire, end)()
            with pytest.raises((TlsFailed, ConnectFailed)):
                await task


async def test_a_goodbye_that_is_not_answered_holds_up_nobody(authority: Authority) -> None:
    """The upstream neither reads nor closes; a next request gets a new connection, and the old one ends soon."""
    with listen() as sock:
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        made = authority.server("app.test")

        def serve_one(answered: int) -> ssl.SSLSocket:
            sock.setblocking(True)
            plain, _ = sock.accept()
            peer = made.wrap_socket(plain, server_side=True)
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % answered)
            return peer

        before = sockets()
        async with rigged(
            sock.getsockname()[:2], tls=context(ca=str(authority.file)), name="app.test", connections=1, idle=0.05
        ) as rig:
            peers = []
            for number in range(2):
                serving = loop.run_in_executor(None, serve_one, number)
                began = time.monotonic()
                got, error = await rig.forward(exchange())
                assert error is None
                assert got.endswith(b"%d" % number)
                assert time.monotonic() - began < 0.5
                peers.append(await serving)
                await asyncio.sleep(0.1)
            await rig.states()
            await asyncio.sleep(1.3)
            assert sockets() <= before + len(peers)
            for peer in peers:
                peer.close()
