"""Exchanges without a listener: a head as the rules read it, a body that is fed, a client that keeps all it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic

from gateway.exchange import NO_BODY, Exchange, RequestBody, Source
from gateway.rules import request_head
from gateway.rules.field_lines import COLON, END, Pieces
from gateway.rules.request_head import Interest, Noted, RequestHead

INGRESS = Interest("X-Correlation-ID", ingress=True)
EGRESS = Interest("X-Correlation-ID", ingress=False)
Fields = Iterable[tuple[bytes, bytes]]


def sorted_fields(fields: Fields, interest: Interest = INGRESS) -> tuple[Pieces, Noted]:
    """Fields as a connection sorts them: the pieces to pass on, and the values that are read."""
    kept: Pieces = []
    noted: Noted = {}
    for name, value in fields:
        lower = name.lower()
        if lower in interest.noted:
            noted.setdefault(lower, []).append(value)
        if lower not in interest.noted or lower in interest.passed_on:
            kept += (name, COLON, value, END)
    return kept, noted


def read(
    method: bytes = b"GET",
    target: bytes = b"/",
    fields: Fields = ((b"Host", b"a.example"),),
    version: str = "1.1",
    interest: Interest = INGRESS,
) -> RequestHead:
    """A request's head. Raises request_head.Malformed."""
    return request_head.read(method, target, version, *sorted_fields(fields, interest))


class Taker:
    """The client's side of an exchange: keeps what is written, and may be slow to take it."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.end = ""
        self.write_paused = False
        self.source: Source | None = None
        self.draining = False
        self.wrote = asyncio.Event()
        self._ready = asyncio.Event()
        self._ready.set()

    def write(self, data: bytes) -> None:
        assert not self.end, f"written after {self.end}: {data!r}"
        self.written += data
        self.wrote.set()

    def close(self) -> None:
        self.end = "closed"

    def cut(self) -> None:
        self.end = "cut"

    def pause(self) -> None:
        """Take no more, as a transport whose buffer is full."""
        self.write_paused = True
        self._ready.clear()
        if self.source is not None:
            self.source.pause_reading()

    def resume(self) -> None:
        self.write_paused = False
        self._ready.set()
        if self.source is not None:
            self.source.resume_reading()

    async def drained(self) -> None:
        await self._ready.wait()

    def into_tunnel(self) -> tuple[asyncio.Transport, asyncio.Protocol, bytes]:
        raise AssertionError("nobody asked for a tunnel")


class Uploading:
    """Where a request's body comes from; knows whether it is to hold back."""

    def __init__(self) -> None:
        self.paused = False
        self.pauses = 0

    def pause_reading(self) -> None:
        self.pauses += not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def exchange(
    method: bytes = b"GET",
    target: bytes = b"/",
    fields: Fields = (),
    *,
    version: str = "1.1",
    interest: Interest = INGRESS,
    listener: str = "ingress",
    peer: str = "192.0.2.1",
    client: Taker | None = None,
) -> Exchange:
    """An exchange as a listener makes it; a head that announces a body gets one, fed through `exchange.body`."""
    head = read(method, target, [(b"Host", b"a.example"), *fields], version, interest)
    body = RequestBody(Uploading()) if head.length or head.chunked else NO_BODY
    return Exchange(listener, head, body, client or Taker(), peer, monotonic())
