"""A stored response: what it is made of, and what is counted for it."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from gateway.cache.entry import Entry
from gateway.cache.memory_store import MemoryStore
from gateway.rules.cache_control import SILENT
from gateway.rules.conditional import Validators
from gateway.rules.freshness import Freshness, Source
from gateway.rules.purge import Subject
from tests.cache.entries import entry


def test_its_head_is_ready_to_be_sent() -> None:
    one = entry(body=b"content", received=1000.0)
    assert one.head.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nDate: ")
    assert (one.born, one.fresh_until) == (999.5, 1059.5)


def test_with_other_times_it_is_another_one() -> None:
    one = entry(received=1000.0, version=7, tags=[b"t"])
    aged = one.with_freshness(one.freshness.aged(1010.0))
    assert one.freshness.left(1010.0) > 0 >= aged.freshness.left(1010.0)
    assert aged.fresh_until <= 1010.0 < one.fresh_until
    assert (aged.head, aged.body, aged.subject, aged.version) == (one.head, one.body, one.subject, 7)


def made(number: int, size: int, fields: int, tags: int, target: int, variant: int | None) -> Entry:
    """A response whose parts are its own, as if it had come over a socket."""
    kept = []
    for field in range(fields):
        kept += [b"X-Field-%d-%d" % (number, field), b": ", b"value of some length %d" % (number + field), b"\r\n"]
    path = b"/path/%d?" % number + b"q" * target
    return Entry(
        Subject(b"GET http://a" + path, b"a", path, frozenset(b"tag-%d-%d" % (number, tag) for tag in range(tags))),
        200,
        b"OK",
        kept,
        bytes(size),
        said=SILENT._replace(max_age=number + 1000),
        freshness=Freshness(60 + number, Source.ORIGIN, number / 7, number / 3),
        validators=Validators(200, b'"%d"' % number, None, None, number + 10**9, number + 10**9),
        nominated=() if variant is None else (b"foo",),
        secondary=b"" if variant is None else b"3:foo1:%d" % variant,
    )


@pytest.mark.parametrize(
    ("size", "fields", "tags", "target", "variants"),
    [
        (0, 3, 0, 10, 0), (1000, 8, 0, 20, 0), (20_000, 20, 0, 20, 0), (500, 8, 5, 20, 0), (500, 8, 0, 1000, 0),
        (500, 8, 0, 20, 2), (500, 8, 0, 20, 20),
    ],
)  # fmt: skip
def test_what_is_counted_is_what_it_takes(size: int, fields: int, tags: int, target: int, variants: int) -> None:
    """The store's bounds are of memory, so its count must be: within a fifth."""
    store = MemoryStore(10_000, 1 << 40, lambda: 0.0)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(600):
            if not variants:
                store.put(made(number, size, fields, tags, target, None), lambda _: ())
                continue
            variant = number % variants
            line = [b"%d" % variant]
            store.put(made(number // variants, size, fields, tags, target, variant), lambda _, line=line: line)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(store) == 600
    assert 0.8 < store.size / (after - before) < 1.2
