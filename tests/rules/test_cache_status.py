"""Cache-Status: RFC 9211, read by a parser of structured fields."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import cache_status

MEMBER = re.compile(rb'("(?:[^"\\]|\\.)*"|[^;,\s"]+)((?:;\s*[a-z-]+(?:=(?:"(?:[^"\\]|\\.)*"|[^;,\s"]+))?)*)')


def members(value: bytes) -> list[tuple[bytes, dict[bytes, bytes | None]]]:
    found = []
    for member in MEMBER.finditer(value):
        pairs = [part.strip().partition(b"=") for part in member[2].split(b";")[1:]]
        found.append((member[1], {name: said if mark else None for name, mark, said in pairs}))
    return found


def test_hits() -> None:
    assert cache_status.hit(30) == b"gateway; hit; ttl=30"
    assert cache_status.hit(-412) == b"gateway; hit; ttl=-412"


def test_misses() -> None:
    assert cache_status.forwarded("uri-miss") == b"gateway; fwd=uri-miss"
    assert cache_status.forwarded("stale", 304, stored=True) == b"gateway; fwd=stale; fwd-status=304; stored"
    assert cache_status.forwarded("uri-miss", collapsed=True) == b"gateway; fwd=uri-miss; collapsed"
    assert cache_status.forwarded("bypass", detail="no-share") == b"gateway; fwd=bypass; detail=no-share"
    whole = cache_status.forwarded("vary-miss", 200, stored=True, collapsed=True, detail="x")
    assert members(whole) == [
        (
            b"gateway",
            {b"fwd": b"vary-miss", b"fwd-status": b"200", b"stored": None, b"collapsed": None, b"detail": b"x"},
        )
    ]


# The examples of RFC 9211, section 3.
@pytest.mark.parametrize(
    "said",
    [
        b"ExampleCache; hit",
        b'OriginCache; hit; ttl=1100, "CDN Company Here"; hit; ttl=545',
        b"ExampleCache; fwd=uri-miss; collapsed",
        b"ExampleCache; fwd=stale; fwd-status=304",
        b'ExampleCache; hit; ttl=30; key="https://example.com/\\"?a"; detail=MEMORY',
        b"ReverseProxyCache; hit, ForwardProxyCache; fwd=uri-miss; collapsed; stored",
        b"Nginx;hit;ttl=-1;x=1.5;y=?0;z=:aGk=:",
    ],
)
def test_others_come_first(said: bytes) -> None:
    own = cache_status.hit(1)
    assert cache_status.appended([said], own) == said + b", " + own
    assert members(cache_status.appended([said], own))[-1][0] == b"gateway"


def test_several_lines_are_one_list() -> None:
    assert (
        cache_status.appended([b" A; hit ", b"", b"B"], b"gateway; hit; ttl=0") == b"A; hit, B, gateway; hit; ttl=0"
    )


@pytest.mark.parametrize(
    "said",
    [b"", b",", b"A;", b"A; hit,", b'"A', b"A B", b"A; Hit", b"(a b)", b"A; x=", b"1", b"A;x=1.2.3", b"A" * 3000],
)
def test_what_is_no_list_is_left_out(said: bytes) -> None:
    assert cache_status.appended([said], b"gateway; hit; ttl=0") == b"gateway; hit; ttl=0"


@given(st.lists(st.one_of(st.binary(), st.text('A"\\; =,h1').map(str.encode)), max_size=3))
def test_no_bytes_are_an_error(said: list[bytes]) -> None:
    value = cache_status.appended(said, b"gateway; hit; ttl=0")
    assert value.endswith(b"gateway; hit; ttl=0")
    assert members(value)[-1] == (b"gateway", {b"hit": None, b"ttl": b"0"})
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)
