from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest
import zstandard

from gateway.cache import codec, compression
from gateway.cache.codec import COMPRESSED, ENTRY, NAMES, Garbage, Record
from gateway.cache.compression import Busy, Packing
from tests.cache.entries import entry, same

EPOCH, STAMP = b"epoch..1", b"stamp..2"
LARGE = b"a page of some length, " * 10_000


@pytest.fixture
def packing() -> Iterator[Packing]:
    packing = Packing(100 * 1024)
    yield packing
    packing.close()


async def test_what_is_small_stays_as_it_is(packing: Packing) -> None:
    stored = entry(body=LARGE[: 100 * 1024])
    record, found = await packing.unpack(await packing.pack(stored, 0, EPOCH, STAMP))
    assert record.kind == ENTRY
    assert found is not None
    assert same(found, stored)


async def test_what_is_large_is_compressed_in_a_thread(packing: Packing, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()
    encode = codec.encode

    def watched(*arguments: object) -> bytes:
        threads.add(threading.current_thread().name)
        return encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(codec, "encode", watched)
    stored = entry(body=LARGE)
    data = await packing.pack(stored, 0, EPOCH, STAMP)
    assert len(data) < len(LARGE) / 20
    assert all(name.startswith("cache") for name in threads)
    record, found = await packing.unpack(data)
    assert record.kind == COMPRESSED
    assert found is not None
    assert same(found, stored)


@pytest.mark.parametrize(("body", "coding"), [(LARGE, b"gzip"), (os.urandom(200_000), b"")])
async def test_what_gains_nothing_is_left_alone(packing: Packing, body: bytes, coding: bytes) -> None:
    stored = entry(body=body, coding=coding)
    record, found = await packing.unpack(await packing.pack(stored, 0, EPOCH, STAMP))
    assert record.kind == ENTRY
    assert found is not None
    assert same(found, stored)


async def test_where_it_is_off_nothing_is_compressed() -> None:
    packing = Packing(None)
    stored = entry(body=LARGE)
    record, found = await packing.unpack(await packing.pack(stored, 0, EPOCH, STAMP))
    packing.close()
    assert record.kind == ENTRY
    assert found is not None
    assert same(found, stored)


async def test_names_are_no_entry(packing: Packing) -> None:
    data = codec.seal(Record(NAMES, EPOCH, STAMP, codec.encode_names([(b"accept",)])))
    record, found = await packing.unpack(data)
    assert found is None
    assert codec.decode_names(record.payload) == [(b"accept",)]


def frame(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nonsense",
        frame(b""),
        frame(b"no response"),
        zstandard.ZstdCompressor(write_content_size=False).compress(codec.encode(entry(), 0)),
        # Magic, one segment with a size of 8 bytes, 2^40: it would be a tebibyte.
        b"\x28\xb5\x2f\xfd\xe0" + (2**40).to_bytes(8, "little") + b"\x01\x00\x00",
        frame(codec.encode(entry(body=LARGE), 0))[:-10],
    ],
)
async def test_what_is_not_compressed_by_us_is_refused(packing: Packing, payload: bytes) -> None:
    with pytest.raises(Garbage):
        await packing.unpack(codec.seal(Record(COMPRESSED, EPOCH, STAMP, payload)))


async def test_few_wait_for_a_thread(packing: Packing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_WAITING", 2)
    go_on = threading.Event()
    encode = codec.encode

    def held(*arguments: object) -> bytes:
        go_on.wait(10)
        return encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(codec, "encode", held)
    stored = entry(body=LARGE)
    work = [asyncio.create_task(packing.pack(stored, 0, EPOCH, STAMP)) for _ in range(6)]
    done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_EXCEPTION)
    assert [type(one.exception()) for one in done] == [Busy, Busy]
    go_on.set()
    await asyncio.wait(work)
    assert len([one for one in work if one.exception() is None]) == 4
    assert (await packing.pack(stored, 0, EPOCH, STAMP))[:4] == b"gwc\x00"
