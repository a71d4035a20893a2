"""Records of a shared tier, large ones compressed with zstd, and that off the event loop: two at once, in threads.

Content that comes in a coding of its own (Content-Encoding) is left as it is, and so is what hardly gets smaller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import TypeVar

import zstandard

from gateway.cache import codec
from gateway.cache.codec import COMPRESSED, ENTRY, Garbage, Record
from gateway.cache.entry import Entry
from gateway.rules import field_lines

#: Threads, each of which has one value at a time.
_THREADS = 2
#: Values that wait for a thread; more are refused.
_WAITING = 64
#: Bytes of a value that is worth a thread.
_LARGE = 100 * 1024
#: Where not even so much is gained, bytes stay as they are.
_WORTH = 0.9
#: zstd's own default is 3; 1 takes half the time and gives a tenth less.
_LEVEL = 1
#: Bytes that a value may have when it is no longer compressed.
_LARGEST = 256 * 1024 * 1024

#: Where a record's kind stands.
_KIND = 8

_Result = TypeVar("_Result")


class Busy(Exception):
    """Too many values wait to be compressed."""


class Packing:
    """Entries to records and back. `close` it."""

    def __init__(self, compress_over: int | None) -> None:
        """Content of more bytes than this is compressed; None is never."""
        self._over = inf if compress_over is None else compress_over
        self._threads = ThreadPoolExecutor(_THREADS, "cache")
        self._at_work = 0

    async def pack(self, entry: Entry, version: int, epoch: bytes, stamp: bytes) -> bytes:
        """A record's bytes. Raises Busy."""
        compress = len(entry.body) > self._over and b"content-encoding" not in field_lines.names(entry.kept)
        if not compress and len(entry.body) <= _LARGE:
            return codec.seal(Record(ENTRY, epoch, stamp, codec.encode(entry, version)))
        return await self._in_thread(lambda: _pack(entry, version, epoch, stamp, compress=compress))

    async def unpack(self, data: bytes) -> tuple[Record, Entry | None]:
        """A record, and its entry if it is one. Raises Busy, and Garbage."""
        if len(data) <= _LARGE and data[_KIND : _KIND + 1] != COMPRESSED:
            return _unpack(data)
        return await self._in_thread(lambda: _unpack(data))

    def close(self) -> None:
        """Take nothing more; what a thread has is finished and forgotten."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        if self._at_work >= _THREADS + _WAITING:
            raise Busy
        self._at_work += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(self._worked)
        return await future

    def _worked(self, _future: object) -> None:
        self._at_work -= 1


def _pack(entry: Entry, version: int, epoch: bytes, stamp: bytes, *, compress: bool) -> bytes:
    payload = codec.encode(entry, version)
    if compress:
        smaller = zstandard.ZstdCompressor(level=_LEVEL).compress(payload)
        if len(smaller) < _WORTH * len(payload):
            return codec.seal(Record(COMPRESSED, epoch, stamp, smaller))
    return codec.seal(Record(ENTRY, epoch, stamp, payload))


def _unpack(data: bytes) -> tuple[Record, Entry | None]:
    record = codec.open_record(data)
    if record.kind == ENTRY:
        return record, codec.decode(record.payload)
    if record.kind == COMPRESSED:
        return record, codec.decode(_decompressed(record.payload))
    return record, None


def _decompressed(payload: bytes) -> bytes:
    try:
        # Ours always say how large they are; what does not, or lies, is not worth its memory.
        size = zstandard.get_frame_parameters(payload).content_size
        if not 0 < size <= _LARGEST:
            raise Garbage("not of a size that is kept")
        return zstandard.ZstdDecompressor().decompress(payload, max_output_size=size)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Garbage(type(error).__name__) from None
