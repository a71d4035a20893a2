"""Both ends of very large bodies: blocking sockets in threads, quick enough that the gateway is what is measured.

Nothing is kept: each end counts the bytes and sums them up, and the two sums are compared.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO
from zlib import crc32

BLOCK = os.urandom((1 << 20) + 13)  # of no round size, so that no buffer's end falls on its end
STEP = 16 * 1024  # bytes that a slow reader takes at once
Address = tuple[str, int]


class Sum:
    """Bytes counted and summed up."""

    def __init__(self) -> None:
        self.count = 0
        self.crc = 0

    def add(self, data: bytes | memoryview) -> None:
        self.count += len(data)
        self.crc = crc32(data, self.crc)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and (self.count, self.crc) == (other.count, other.crc)

    __hash__ = None  # type: ignore[assignment]


def send_body(sock: socket.socket, size: int, *, chunked: bool, total: Sum) -> None:
    """Send `size` bytes of body as fast as they are taken."""
    while total.count < size:
        piece = BLOCK[: min(size - total.count, len(BLOCK))]
        sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        total.add(piece)
    if chunked:
        sock.sendall(b"0\r\n\r\n")


def read_head(stream: BinaryIO) -> tuple[str, dict[str, str]]:
    """The start line and the fields, names in lower case."""
    start = stream.readline().decode().rstrip("\r\n")
    fields = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    return start, fields


def read_body(stream: BinaryIO, fields: dict[str, str], total: Sum) -> None:
    """Read the body to its end. Raises EOFError when it is cut."""
    if fields.get("transfer-encoding") != "chunked":
        _read(stream, int(fields.get("content-length", "0")), total)
        return
    while size := int(stream.readline() or b"cut", 16):
        _read(stream, size, total)
        stream.readline()
    stream.readline()


def read_slowly(sock: socket.socket, rate: int, seconds: float, total: Sum) -> None:
    """Take `rate` bytes a second for so long, in steps. Raises EOFError when the other side ends it meanwhile."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        if total.count > rate * passed:
            time.sleep(total.count / rate - passed)
        data = sock.recv(STEP)
        if not data:
            raise EOFError(f"ended after {total.count} bytes and {passed:.1f} s")
        total.add(data)


def _read(stream: BinaryIO, size: int, total: Sum) -> None:
    buffer = memoryview(bytearray(min(size, len(BLOCK))))
    while size:
        count = stream.readinto(buffer[: min(size, len(buffer))])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"the body was cut after {total.count} bytes")
        total.add(buffer[:count])
        size -= count


class Origin:
    """PUT takes a body and tells its sum; GET /sized/N and /chunked/N give one of N bytes; PUT /slow takes slowly."""

    def __init__(self, rate: int, seconds: float) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address: Address = self._listener.getsockname()
        self._rate = rate
        self._seconds = seconds
        self.sent = Sum()  # of the last GET
        self.failures: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            start, fields = read_head(stream)
            method, target, _ = start.split()
            try:
                if method == "GET":
                    self._give(sock, *target.split("/")[1:])
                elif target == "/slow":
                    read_slowly(sock, self._rate, self._seconds, Sum())
                else:
                    took = Sum()
                    read_body(stream, fields, took)
                    answer = json.dumps({"count": took.count, "crc": took.crc}).encode()
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer))
                    sock.sendall(answer)
            except (OSError, EOFError, ValueError) as error:
                self.failures.append(f"{start}: {error!r}")

    def _give(self, sock: socket.socket, framing: str, size: str) -> None:
        self.sent = Sum()
        field = "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {size}"
        sock.sendall(f"HTTP/1.1 200 OK\r\n{field}\r\nConnection: close\r\n\r\n".encode())
        send_body(sock, int(size), chunked=framing == "chunked", total=self.sent)


@contextlib.contextmanager
def request(address: Address, start: str, *lines: str) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """A connection on which that request's head has been sent: its socket, and a stream to read the answer from."""
    with socket.create_connection(address) as sock, sock.makefile("rb") as stream:
        sock.settimeout(60)
        sock.sendall("\r\n".join([f"{start} HTTP/1.1", "Host: soak.example", *lines, "", ""]).encode())
        yield sock, stream


def upload(address: Address, size: int, *, chunked: bool) -> None:
    """Upload and compare the sums. Raises AssertionError, EOFError, OSError."""
    sent = Sum()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with request(address, "PUT /take", framing) as (sock, stream):
        send_body(sock, size, chunked=chunked, total=sent)
        start, fields = read_head(stream)
        assert start == "HTTP/1.1 200 OK", start
        said: dict[str, Any] = json.loads(stream.read(int(fields["content-length"])))
    assert (said["count"], said["crc"]) == (size, sent.crc), said


def download(address: Address, origin: Origin, size: int, *, chunked: bool) -> None:
    """Download and compare the sums. Raises AssertionError, EOFError, OSError."""
    got = Sum()
    with request(address, f"GET /{'chunked' if chunked else 'sized'}/{size}") as (_, stream):
        start, fields = read_head(stream)
        assert start == "HTTP/1.1 200 OK", start
        assert ("transfer-encoding" in fields) == chunked, fields
        read_body(stream, fields, got)
    assert got == origin.sent, (got.count, origin.sent.count)
    assert got.count == size
