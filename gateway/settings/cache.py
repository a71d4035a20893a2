"""`cache:` at the top: how much the cache holds, whether replicas share it, and what is fetched ahead.

What is kept of a route's responses is said on the route (policies/cache.py).
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from gateway.rules import field_syntax, request_target
from gateway.settings.types import Alternative, Duration, Section, Size, Switch, Text, Whole
from gateway.settings.values import Url, parse_url

_LONGEST = 2000
# The request's frame, and what would make another answer of it than a client's.
_NOT_SENT = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding"),
        *("cache-control", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
        *("pragma", "range", "upgrade"),
    }
)


def _target(text: str) -> str:
    """An http or https URL, or its path and query alone. Messages do not show it: it may hold a key."""
    if not 0 < len(text) <= _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"a URL has 1 to {_LONGEST} printable ASCII characters and no space")
    if "#" in text:
        raise ValueError("the URL must not hold a fragment")
    if text.startswith("/") and not text.startswith("//"):
        return str(text)
    try:
        parts = urlsplit(str(text))
    except ValueError:
        raise ValueError("the URL has a host or port that is not valid") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(
            "a URL begins with http:// or https:// and names a host, or is a path below origin, as in /a"
        )
    _origin(f"{parts.scheme}://{parts.netloc}")
    return str(text)


def _origin(text: str) -> Url:
    url = parse_url(text)
    if url.path:
        raise ValueError("an origin is a scheme and a host, as in https://shop.example, without a path")
    return url


def _field(text: str) -> str:
    if field_syntax.name(text).lower() in _NOT_SENT:
        raise ValueError("this field frames the request, or asks for something else than what is to be stored")
    return text


def _value(text: str) -> SecretStr:
    return SecretStr(field_syntax.value(text).decode())


class WarmUrl(Section):
    """One URL to fetch ahead."""

    url: Annotated[str, Text(read=_target)]
    """As clients ask for it, or a path below `origin`."""
    priority: Annotated[int, Whole(high=100)] = 0
    """Those with more come first."""
    critical: Annotated[bool, Switch()] = False
    """Readiness waits for it, `critical_wait` at most."""
    headers: Annotated[
        dict[Annotated[str, Text(read=_field)], Annotated[SecretStr, Text(read=_value)]], Field(max_length=1000)
    ] = Field(default_factory=dict)
    """Request fields to ask with: those of the key, or of Vary."""

    @property
    def path(self) -> bytes:
        """Its path, in the reading for matching routes."""
        return request_target.read((urlsplit(self.url).path or "/").encode()).match


class Warm(Section):
    """What is fetched before it is asked for, at the start and when the admin API is told to."""

    urls: Annotated[
        tuple[Annotated[WarmUrl, Alternative(short=Text(read=_target), key="url")], ...], Field(max_length=1000)
    ] = ()
    """URLs as clients ask for them, each alone or with its keys."""
    sitemap: Annotated[str | None, Text(optional=True, read=_target)] = None
    """URL of a sitemap, fetched through the gateway too; what it lists comes after `urls`."""
    origin: Annotated[Url | None, Text(optional=True, read=_origin)] = None
    """Scheme and host, as clients call them, of URLs that are paths."""
    at_start: Annotated[bool, Switch()] = True
    """Warm when the gateway starts; else only when told to."""
    concurrency: Annotated[int, Whole(low=1, high=100)] = 4
    """Fetches at once."""
    retries: Annotated[int, Whole(high=10)] = 2
    """Further tries of one that failed."""
    timeout: Annotated[float, Duration(low=0.1, high=3600)] = 30.0
    """For each fetch."""
    max_urls: Annotated[int, Whole(low=1, high=100_000)] = 10_000
    """URLs in all; what a sitemap lists beyond is left out."""
    critical_wait: Annotated[float, Duration(high=3600)] = 60.0
    """How long readiness waits for the critical ones at most; then it goes without."""

    @model_validator(mode="after")
    def _complete(self) -> Warm:
        if not self.urls and self.sitemap is None:
            raise ValueError("nothing to warm: needs urls, sitemap or both")
        written = [one.url for one in self.urls] + ([] if self.sitemap is None else [self.sitemap])
        if self.origin is None and any(url.startswith("/") for url in written):
            raise ValueError("URLs that are paths need origin, as in https://shop.example: whom clients ask for them")
        return self


class CacheStore(Section):
    """What all routes' caches have together."""

    entries: Annotated[int, Whole(low=1, high=10_000_000)] = 1000
    """Responses in this process's memory."""
    max_bytes: Annotated[int, Size(low=64 << 10, high=1 << 40)] = 64 << 20
    """Bytes that they take there, with their heads and keys."""
    shared: Annotated[bool, Switch()] = True
    """Replicas share what they store by way of the Redis under `state`, where there is one."""
    compress_over: Annotated[int | None, Size(off=True, high=1 << 30)] = 100 << 10
    """Bytes of a body from which on it is compressed in the Redis; `false` for never."""
    warm: Annotated[Warm | None, Alternative()] = None
    """What is fetched before it is asked for."""
