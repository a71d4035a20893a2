"""Stored responses for tests, and strategies that make any."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import Any

from hypothesis import strategies as st

from gateway.cache.entry import Entry
from gateway.rules import cache_control, field_lines, vary
from gateway.rules.cache_control import ResponseDirectives
from gateway.rules.conditional import Validators
from gateway.rules.freshness import Freshness, Source
from gateway.rules.purge import Subject
from gateway.rules.vary import Names


def fields(**named: str) -> Any:
    """A request's fields: `accept_language` is Accept-Language."""
    found = {name.replace("_", "-").encode(): [value.encode()] for name, value in named.items()}
    return lambda name: found.get(name, ())


_NOTHING = fields()
_lines = st.binary(max_size=40).filter(lambda line: not set(line) & set(b"\r\n\x00"))
_times = st.none() | st.integers(0, 2**31)
_seconds = st.integers(0, 2**31)
_names = st.frozensets(st.binary(min_size=1, max_size=10), max_size=4)


def entry(
    key: bytes = b"key",
    body: bytes = b"content",
    *,
    lifetime: int = 60,
    received: float | None = None,
    nominated: Names = (),
    values: Any = _NOTHING,
    tags: Sequence[bytes] = (),
    version: int = 0,
    etag: bytes | None = b'"1"',
    coding: bytes = b"",
) -> Entry:
    """A response that has just come."""
    now = time() if received is None else received
    kept = field_lines.of([(b"Content-Length", b"%d" % len(body)), (b"Date", b"Mon, 23 Nov 2026 12:00:00 GMT")])
    if coding:
        field_lines.keep(kept, b"Content-Encoding", coding)
    return Entry(
        Subject(key, b"example.org", b"/page?a=1", frozenset(tags)),
        200,
        b"OK",
        kept,
        body,
        said=cache_control.response([b"max-age=%d" % lifetime]),
        freshness=Freshness(lifetime, Source.ORIGIN, 0.5, now),
        validators=Validators(200, etag, None, None, 1795608000, int(now)),
        nominated=nominated,
        secondary=vary.secondary(nominated, values),
        route="pages",
        version=version,
    )


def same(one: Entry, other: Entry) -> bool:
    """Whether two are alike in all that there is."""
    return all(getattr(one, name) == getattr(other, name) for name in Entry.__slots__)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Any response."""
    flags = set(ResponseDirectives._fields[4:]) - {"no_cache_fields", "private_fields"}
    said = ResponseDirectives(
        *(draw(_times) for _ in range(4)),
        no_cache_fields=draw(_names),
        private_fields=draw(_names),
        **{name: draw(st.booleans()) for name in sorted(flags)},
    )
    return Entry(
        Subject(*(draw(st.binary(max_size=30)) for _ in range(3)), draw(_names)),
        draw(st.integers(100, 999)),
        draw(_lines),
        field_lines.of(draw(st.lists(st.tuples(_lines, _lines), max_size=8))),
        draw(st.binary(max_size=300)),
        said=said,
        freshness=Freshness(
            draw(_seconds),
            draw(st.sampled_from(Source)),
            draw(st.floats(0, 2**31)),
            draw(st.floats(0, 2**32)),
            draw(st.booleans()),
            draw(st.booleans()),
            *(draw(_seconds) for _ in range(3)),
        ),
        validators=Validators(
            draw(st.integers(100, 999)), draw(st.none() | _lines), draw(st.none() | _lines), draw(_times),
            draw(_times), draw(_seconds),
        ),
        nominated=tuple(sorted(draw(_names))),
        secondary=draw(st.binary(max_size=30)),
        route=draw(st.text(max_size=10)),
        version=draw(st.integers(0, 2**53)),
    )  # fmt: skip
