"""What a request wants of a cache: its key, its directives, whose it is."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cache.entry import Values
from gateway.exchange import Exchange
from gateway.rules import cache_control, cache_key
from gateway.rules.cache_control import ANYTHING, RequestDirectives
from gateway.rules.cache_key import CacheKey
from gateway.rules.conditional import CONDITIONS
from gateway.rules.purge import Subject
from gateway.rules.storable import API_KEYS, Asker, Sharing, other_cookies, other_credentials

#: The request fields that are read here, in lower case; the usual ones of Vary are with them, to be found quickly.
FIELDS = (
    CONDITIONS
    | API_KEYS
    | {
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"cache-control",
        b"cookie",
        b"origin",
        b"pragma",
    }
)
_PLAIN = frozenset({b"accept-encoding", b"accept-language", b"origin"})
_TELLING = FIELDS - _PLAIN

#: So many keys are remembered, of hosts and targets that have so many bytes together.
_KNOWN, _SHORT = 4096, 256

_GET = Asker()
_HEAD = Asker(b"HEAD")


class Asked:
    """What a request wants. `exchange` is whoever asks; only what outlives it is taken out of it."""

    __slots__ = (
        "_subject",
        "asker",
        "body",
        "conditional",
        "key",
        "proto",
        "tags",
        "target",
        "values",
        "wanted",
        "whom",
    )

    def __init__(
        self, key: bytes, asker: Asker, wanted: RequestDirectives, exchange: Exchange, tags: frozenset[bytes]
    ) -> None:
        head = exchange.head
        self.key = key
        self.asker = asker
        self.wanted = wanted
        self.values: Values = head.values
        self.proto = exchange.proto
        self.whom = exchange.host
        self.target = head.path + head.query
        self.tags = tags
        self._subject: Subject | None = None
        #: Whether it has preconditions or a range.
        self.conditional = False
        #: The content that belongs to its key.
        self.body = b""

    @property
    def insists(self) -> bool:
        """It wants the origin's word of now, so nobody else's fetch will do."""
        return self.wanted.no_cache or self.wanted.max_age == 0

    @property
    def subject(self) -> Subject:
        """By what purges know what answers it."""
        if self._subject is None:
            self._subject = Subject(self.key, host_of(self.proto, self.whom), self.target, self.tags)
        return self._subject


class Reading:
    """How a route reads its requests."""

    __slots__ = ("_body", "_credentials", "_key", "_known", "_tags", "sharing")

    def __init__(
        self, key: CacheKey, sharing: Sharing, tags: frozenset[bytes], body: str | None, credentials: Sequence[bytes]
    ) -> None:
        """`body` says how content belongs to the key, `raw` or `json`; `credentials` are the fields that do then."""
        self.sharing = sharing
        self._key = key
        self._credentials = credentials
        self._body = body
        self._tags = tags
        #: The keys of targets that were asked for lately.
        self._known: dict[tuple[bytes, bytes, bytes, bytes], bytes] = {}

    @property
    def of_bodies(self) -> bool:
        """Whether a request's content belongs to its key."""
        return self._body is not None

    def plain_key(self, exchange: Exchange) -> bytes | None:
        """The key of a GET that says nothing about itself or its answer; None for any other request."""
        head = exchange.head
        if head.method != b"GET" or self._body is not None or not _TELLING.isdisjoint(head.noted):
            return None
        host = exchange.host
        parts = (exchange.proto, host, head.path, head.query)
        if head.host is host and parts in self._known:
            return self._known[parts]
        key = self._key.of(b"GET", exchange.proto, _site(exchange), head.path, head.query, head.values)
        if head.host is host and self._key.is_of_target and len(host) + len(head.path) + len(head.query) <= _SHORT:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[parts] = key
        return key

    def read(self, exchange: Exchange, body: bytes = b"") -> Asked:
        """What a request wants; `body` is its content, where that belongs to the key."""
        head = exchange.head
        noted = head.noted
        method = head.method
        digest = caller = b""
        if self._body is not None:
            caller = cache_key.credential_digest(head.values, self._credentials) if self._credentials else b""
            if body:
                digest = cache_key.json_digest(body) if self._body == "json" else cache_key.body_digest(body)
                digest += _variety(head.values)
        key = self._key.of(
            method, exchange.proto, _site(exchange), head.path, head.query, head.values, body=digest, caller=caller
        )
        if _TELLING.isdisjoint(noted):
            asker = _GET if method == b"GET" else _HEAD if method == b"HEAD" else Asker(method)
            return Asked(key, asker, ANYTHING, exchange, self._tags)
        wanted = cache_control.request(
            noted.get(b"cache-control", ()), noted.get(b"pragma", ()) if head.http10 else ()
        )
        cookies = noted.get(b"cookie")
        asker = Asker(
            method,
            wanted,
            b"authorization" in noted,
            cookies is not None and other_cookies(cookies, self.sharing),
            other_credentials(noted, self.sharing),
        )
        asked = Asked(key, asker, wanted, exchange, self._tags)
        asked.conditional = not CONDITIONS.isdisjoint(noted)
        return asked


#: What makes another answer of the same content, at the providers whose APIs are asked so.
_VARIETY = (
    b"content-type", b"content-encoding", b"accept", b"openai-organization", b"openai-project", b"openai-beta",
    b"anthropic-version", b"anthropic-beta",
)  # fmt: skip


def _variety(values: Values) -> bytes:
    return cache_key.body_digest(repr([list(values(name)) for name in _VARIETY]).encode())


def _site(exchange: Exchange) -> bytes:
    """The host for the key. Where a trusted proxy names another than it asks for, the app sees both: both count."""
    host, asked = exchange.host, exchange.head.host
    return host if host == asked else host + b" " + asked


def host_of(scheme: bytes, authority: bytes) -> bytes:
    """The host as the client called it, in lower case without its scheme's own port."""
    return cache_key.remembered_origin(scheme, authority).partition(b"://")[2]
