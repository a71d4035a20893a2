"""Gigabytes through ingress, at full speed and at 64 KiB/s: the gateway's memory must not follow them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from tests.soak.bulk import Address, Origin, Sum, download, read_head, read_slowly, request, send_body, upload
from tests.soak.memory import MIB, Watch
from tests.soak.result import Result
from tests.support.gateway import Gateway

GIB = 1 << 30
RATE = 64 * 1024  # bytes a second
FLAT = 32.0  # MiB above idle


def at_full_speed(gateway: Gateway, origin: Origin, idle: int, gib: float) -> list[Result]:
    """Up and down, sized and in chunks. `idle`: bytes resident before there was anything to carry."""
    size = int(gib * GIB)
    address = gateway.ingress
    ways: dict[str, Callable[[], None]] = {
        f"upload of {gib:g} GiB, sized": lambda: upload(address, size, chunked=False),
        f"upload of {gib:g} GiB, chunked": lambda: upload(address, size, chunked=True),
        f"download of {gib:g} GiB, sized": lambda: download(address, origin, size, chunked=False),
        f"download of {gib:g} GiB, chunked": lambda: download(address, origin, size, chunked=True),
    }
    results = []
    for name, way in ways.items():
        began = time.monotonic()
        with Watch(gateway.pid) as watch:
            way()
        speed = size / MIB / (time.monotonic() - began)
        results += [
            Result(f"{name}: memory above idle", (watch.peak - idle) / MIB, "MiB", FLAT),
            Result(f"{name}: speed", speed, "MiB/s"),
        ]
    return results


def at_a_snails_pace(gateway: Gateway, origin: Origin, idle: int, seconds: float) -> list[Result]:
    """A client that reads at 64 KiB/s, and after it an upstream that does."""
    results = []
    for name, way in (("client", _slow_client), ("upstream", _slow_upstream)):
        with Watch(gateway.pid) as watch:
            ahead = way(gateway.ingress, origin, seconds)
        results += [
            Result(
                f"{name} reading at 64 KiB/s for {seconds:g} s: memory above idle",
                (watch.peak - idle) / MIB,
                "MiB",
                FLAT,
            ),
            Result(f"{name} reading at 64 KiB/s for {seconds:g} s: sender ahead of it", ahead / MIB, "MiB"),
        ]
    assert not origin.failures, origin.failures
    return results


def _slow_client(address: Address, origin: Origin, seconds: float) -> int:
    """How many bytes the origin has sent beyond those that the client took."""
    got = Sum()
    with request(address, f"GET /sized/{4 * GIB}") as (sock, stream):
        start, _ = read_head(stream)
        assert start == "HTTP/1.1 200 OK", start
        read_slowly(sock, RATE, seconds, got)
        ahead = origin.sent.count - got.count
    _let_go(origin)
    return ahead


def _slow_upstream(address: Address, origin: Origin, seconds: float) -> int:
    """How many bytes the client has sent beyond those that the upstream took."""
    sent = Sum()
    with request(address, "PUT /slow", f"Content-Length: {4 * GIB}") as (sock, _):

        def send() -> None:
            with contextlib.suppress(OSError):  # the upstream ends it
                send_body(sock, 4 * GIB, chunked=False, total=sent)

        sender = threading.Thread(target=send)
        sender.start()
        sender.join(seconds - 1)
        assert sender.is_alive(), f"the upload ended early: {origin.failures}"
        ahead = sent.count - int(RATE * (seconds - 1))
        sender.join(60)
        assert not sender.is_alive()
    return ahead


def _let_go(origin: Origin) -> None:
    """The client's leaving ends the origin's sending; that failure is the right one."""
    limit = time.monotonic() + 10
    while not origin.failures:
        assert time.monotonic() < limit, "the origin goes on sending though the client has left"
        time.sleep(0.01)
    origin.failures.clear()
