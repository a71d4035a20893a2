"""Media types: which ranges there are, what they hold, and what a body's Content-Type says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.media_type import MediaRanges, essence, media_range

NAME = st.from_regex(r"[a-z0-9][a-z0-9.]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    "text", ["application/json", "text/*", "*/*", "application/*+json", "application/vnd.a-b.c+xml", "Image/SVG+XML"]
)
def test_ranges(text: str) -> None:
    assert media_range(text) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "json",
        "/",
        "a/",
        "/a",
        "*/json",
        "a/*b",
        "a/*+",
        "*",
        "text/html; charset=utf-8",
        "a/b, c/d",
        " a/b",
        "a/b\n",
    ],
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="not a media type"):
        media_range(text)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], b"application/octet-stream"),
        ([b"application/json"], b"application/json"),
        ([b" Text/HTML ;charset=UTF-8"], b"text/html"),
        ([b'multipart/form-data; boundary="a, b/c"'], b"multipart/form-data"),
        ([b""], None),
        ([b"json"], None),
        ([b"application/json, text/html"], None),
        ([b"application/json/x"], None),
        ([b"application /json"], None),
        ([b"application/json", b"application/json"], None),
    ],
)
def test_what_a_body_is(values: list[bytes], expected: bytes | None) -> None:
    assert essence(values) == expected


@pytest.mark.parametrize(
    ("ranges", "taken", "not_taken"),
    [
        (["application/json"], [b"application/json"], [b"application/jsonp", b"text/json", b"application/ld+json"]),
        (["text/*"], [b"text/html", b"text/x+y"], [b"application/json", b"context/a", b"text2/a"]),
        (
            ["application/*+json"],
            [b"application/ld+json", b"application/a+b+json"],
            [b"application/json", b"application/+json", b"text/ld+json", b"application/ld+jsonx"],
        ),
        (["*/*"], [b"a/b", b"application/octet-stream"], []),
        (["a/b", "c/*", "d/*+e"], [b"a/b", b"c/x", b"d/x+e"], [b"a/c", b"d/e", b"e/f"]),
        ([], [], [b"a/b"]),
    ],
)
def test_what_ranges_hold(ranges: list[str], taken: list[bytes], not_taken: list[bytes]) -> None:
    compiled = MediaRanges(ranges)
    assert [kind for kind in [*taken, *not_taken] if compiled.has(kind)] == taken


@given(NAME, NAME, NAME, st.lists(st.sampled_from(["x/y", "text/plain"])))
def test_a_type_is_in_every_range_that_is_made_of_it(kind: str, sub: str, syntax: str, others: list[str]) -> None:
    stated = essence([f"{kind}/{sub}+{syntax}; a=b".upper().encode()])
    assert stated is not None
    for one in (f"{kind}/{sub}+{syntax}", f"{kind}/*", f"{kind}/*+{syntax}", "*/*"):
        assert MediaRanges([*others, media_range(one)]).has(stated)
    for one in (f"{kind}x/{sub}+{syntax}", f"x{kind}/*", f"{kind}/*+{syntax}x", f"{kind}/{sub}"):
        assert not MediaRanges([media_range(one)]).has(stated)
