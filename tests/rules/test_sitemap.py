"""Sitemaps: what they list, and everything that a hostile one tries."""

from __future__ import annotations

import contextlib
import gzip
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import sitemap
from gateway.rules.sitemap import LARGEST, LONGEST, MAPS, Listed, read

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urlset(*entries: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><urlset {NAMESPACE}>{"".join(entries)}</urlset>'.encode()


def entry(url: str, more: str = "") -> str:
    return f"<url>\n  <loc> {escape(url)} </loc>{more}</url>"


def test_what_the_protocol_s_own_example_lists() -> None:
    document = urlset(
        entry("http://www.example.com/", "<lastmod>2005-01-01</lastmod><priority>0.8</priority>"),
        entry("http://www.example.com/catalog?item=12&desc=vacation_hawaii", "<changefreq>weekly</changefreq>"),
    )
    assert read(document, 10).urls == [
        Listed(b"http://www.example.com/", 0.8),
        Listed(b"http://www.example.com/catalog?item=12&desc=vacation_hawaii", 0.5),
    ]
    assert read(gzip.compress(document), 10) == read(document, 10)


def test_an_index_lists_sitemaps() -> None:
    listed = "".join(f"<sitemap><loc>https://a.example/{n}.xml</loc></sitemap>" for n in range(MAPS + 5))
    found = read(f"<sitemapindex {NAMESPACE}>{listed}</sitemapindex>".encode(), 10)
    assert found.urls == []
    assert (len(found.maps), found.maps[0], found.dropped) == (MAPS, b"https://a.example/0.xml", 5)


def test_other_vocabularies_beside_it() -> None:
    """An image's own loc is not the page's."""
    more = "<image:image><image:loc>https://a.example/a.png</image:loc></image:image>"
    document = (
        f'<s:urlset xmlns:s="x" xmlns:image="y"><s:url><s:loc>https://a.example/</s:loc>{more}</s:url></s:urlset>'
    )
    assert read(document.encode(), 10).urls == [Listed(b"https://a.example/")]


@given(count=st.integers(0, 30), most=st.integers(0, 20))
def test_so_many_and_no_more(count: int, most: int) -> None:
    found = read(urlset(*(entry(f"https://a.example/{number}") for number in range(count))), most)
    assert [one.url for one in found.urls] == [b"https://a.example/%d" % n for n in range(min(count, most))]
    assert found.dropped == max(count - most, 0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "ftp://a.example/",
        "https://a.example/ü",
        "https://a.example/a b",
        "https://a.example/a\u00a0b",
        "https://a.example/#fragment",
        "https://a.example/" + "a" * LONGEST,
    ],
)
def test_what_is_no_url(url: str) -> None:
    found = read(urlset(entry(url), entry("https://a.example/")), 10)
    assert ([one.url for one in found.urls], found.dropped) == ([b"https://a.example/"], 1)


@pytest.mark.parametrize("text", ["2", "-0.1", "nan", "inf", "high", ""])
def test_a_priority_that_is_none(text: str) -> None:
    assert read(urlset(entry("https://a.example/", f"<priority>{text}</priority>")), 1).urls[0].priority == 0.5


LAUGHS = """<?xml version="1.0"?><!DOCTYPE urlset [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<urlset><url><loc>https://a.example/&b;</loc></url></urlset>"""
OUTSIDE = """<?xml version="1.0"?><!DOCTYPE urlset [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<urlset><url><loc>https://a.example/&a;</loc></url></urlset>"""


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (LAUGHS.encode(), "document type"),
        (OUTSIDE.encode(), "document type"),
        (b"<!DOCTYPE urlset SYSTEM 'http://a.example/x.dtd'><urlset/>", "document type"),
        (b"<urlset><url><loc>&unknown;</loc></url></urlset>", "no XML"),
        (b"<html><body/></html>", "neither"),
        (b"<urlset>" + b"<a>" * 20, "nested"),
        (b"<urlset>", "no XML"),
        (b"", "no XML"),
        (b"\x00", "no XML"),
        (b"\x1f\x8bnonsense", "no gzip"),
        (gzip.compress(urlset())[:-9], "cut off"),
    ],
)
def test_what_is_no_sitemap(document: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(document, 10)


def test_a_bomb_of_either_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="bytes"):
        read(gzip.compress(bytes(LARGEST + 1)), 10)
    monkeypatch.setattr(sitemap, "LARGEST", 1000)
    with pytest.raises(ValueError, match="bytes"):
        read(urlset(" " * 1000), 10)


@given(st.binary(max_size=200) | st.text("<>urlsetoc/ &;!?-[]", max_size=100).map(str.encode))
def test_whatever_comes(document: bytes) -> None:
    """It is read, or ValueError says why not; nothing else comes of it."""
    with contextlib.suppress(ValueError):
        assert read(document, 5).dropped >= 0
