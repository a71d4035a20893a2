"""A sitemap's URLs (sitemaps.org, protocol 0.9), or those of the sitemaps that a sitemap index lists.

It is parsed as a stream and within bounds: no DTD, so no entity but XML's own five can be made or fetched; no more
bytes, depth or URLs than are said here. Namespaces are not looked at, for not every maker has them right.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple
from xml.parsers import expat

#: Bytes of a sitemap, packed or not. The protocol allows 50 MiB, with 50,000 URLs; those have 1 KiB each here.
LARGEST = 16 * 1024 * 1024
#: Characters of one URL; the protocol's.
LONGEST = 2048
#: Sitemaps that one index may list.
MAPS = 100
#: What a URL has that says nothing (the protocol's default).
PRIORITY = 0.5
_DEPTH = 16
_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"


class Listed(NamedTuple):
    """One URL, and how it stands among its like, from 0 to 1."""

    url: bytes
    priority: float = PRIORITY


class Sitemap(NamedTuple):
    """What a document lists: pages, or other sitemaps. `dropped` are those left out."""

    urls: list[Listed]
    maps: list[bytes]
    dropped: int = 0


def read(document: bytes, most: int) -> Sitemap:
    """The first `most` URLs of a sitemap, as XML or as gzip of it. Raises ValueError, with what is wrong with it."""
    if document.startswith(_GZIP):
        document = _unpacked(document)
    if len(document) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    reading = _Reading(most)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reading.begin
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        for start in range(0, len(document), _CHUNK):
            parser.Parse(document[start : start + _CHUNK], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML: {expat.errors.messages[error.code]}") from None
    return Sitemap(reading.urls, reading.maps, reading.dropped)


def _unpacked(document: bytes) -> bytes:
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = unpacking.decompress(document, LARGEST + 1)
    except zlib.error:
        raise ValueError("it is no gzip") from None
    if not unpacking.eof and len(found) <= LARGEST:
        raise ValueError("its gzip is cut off")
    return found


def _refuse(*_: object) -> None:
    raise ValueError("it has a document type, which no sitemap needs")


class _Reading:
    """The state of one parse."""

    def __init__(self, most: int) -> None:
        self.urls: list[Listed] = []
        self.maps: list[bytes] = []
        self.dropped = 0
        self._most = most
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._url = ""
        self._priority = PRIORITY

    def begin(self, name: str, _: object) -> None:
        name = name.rpartition(":")[2]
        if not self._path and name not in ("urlset", "sitemapindex"):
            raise ValueError("it is neither a urlset nor a sitemapindex")
        if len(self._path) >= _DEPTH:
            raise ValueError("it is nested too deeply")
        self._path.append(name)
        self._text, self._length = [], 0
        if len(self._path) == 2:
            self._url, self._priority = "", PRIORITY

    def text(self, data: str) -> None:
        # What goes on behind the longest URL is cut, and then no URL.
        if self._length <= LONGEST:
            self._text.append(data)
            self._length += len(data)

    def end(self, _: str) -> None:
        match self._path:
            case [_, "url" | "sitemap", "loc"]:
                self._url = "".join(self._text).strip()
            case ["urlset", "url", "priority"]:
                self._priority = _share("".join(self._text).strip())
            case ["urlset", "url"]:
                self._take_url()
            case ["sitemapindex", "sitemap"]:
                self._take_map()
        self._path.pop()

    def _take_url(self) -> None:
        if not _fits(self._url) or len(self.urls) >= self._most:
            self.dropped += 1
        else:
            self.urls.append(Listed(self._url.encode("ascii"), self._priority))

    def _take_map(self) -> None:
        if not _fits(self._url) or len(self.maps) >= MAPS:
            self.dropped += 1
        else:
            self.maps.append(self._url.encode("ascii"))


def _fits(url: str) -> bool:
    return (
        0 < len(url) <= LONGEST
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and "#" not in url
        and url.startswith(("http://", "https://"))
    )


def _share(text: str) -> float:
    """A priority; the usual one where it is no number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        return PRIORITY
    return value if 0.0 <= value <= 1.0 else PRIORITY
