"""`cache:` what a route's responses may be kept for, by what key, and for whom.

The decisions are in rules, the flow and the stores in cache; here are the settings, in the words of the rules.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field, field_validator

from gateway.rules.cache_key import CREDENTIALS, CacheKey
from gateway.rules.freshness import Leeway
from gateway.rules.storable import Sharing
from gateway.settings.cache_forms import (
    MOST,
    STRIP,
    WHOLE_QUERY,
    CookieForm,
    Query,
    QueryForm,
    Seconds,
    parse_cookie,
    parse_field,
    parse_tag,
)
from gateway.settings.types import Alternative, Choice, Section, Several, Size, Switch, Text
from gateway.settings.wanted import Wants

_YEAR = 365 * 86_400
_METHOD = Choice(words=("GET", "HEAD", "POST"))
_TIME = Seconds(off=True, low=1, high=_YEAR)
_GRACE = Seconds(high=_YEAR)
_MANY = Field(max_length=MOST)


class Key(Section):
    """Which requests are the same to a cache. Method, scheme and route always belong to the key."""

    host: Annotated[bool, Switch()] = True
    """The host that the client asked for, with its scheme."""
    path: Annotated[bool, Switch()] = True
    """The path as it is forwarded."""
    query: Annotated[Query, QueryForm()] = WHOLE_QUERY
    """All of it as it came; `sorted` by names, a list of the parameters that count, or `{without: [...]}`."""
    headers: Annotated[tuple[Annotated[str, Text(read=parse_field)], ...], _MANY, Several()] = ()
    """Request fields whose values count."""
    cookies: Annotated[tuple[Annotated[str, Text(read=parse_cookie)], ...], _MANY, Several()] = ()
    """Cookies whose values count."""
    body: Annotated[str | None, Choice(optional=True, words=("raw", "json"))] = None
    """The request's body: its bytes, or the JSON that it means; `raw` where POST is cached."""


class Cache(Section):
    """What is kept of a route's responses; on a listener, of its routes', whose keys win."""

    ttl: Annotated[int | None, _TIME] = None
    """How long a response is fresh where the origin says nothing."""
    negative_ttl: Annotated[int | None, _TIME] = None
    """The same for 404, 405, 410, 414 and 501, for which `ttl` does not count."""
    override: Annotated[bool, Switch()] = False
    """`ttl` counts whatever the origin says of times; never what it says of who may store."""
    stale_while_revalidate: Annotated[int, _GRACE] = 0
    """How long a stale response still answers at once, while a new one is fetched."""
    stale_if_error: Annotated[int, _GRACE] = 0
    """How long a stale response answers where the upstream does not, or with 500, 502, 503 or 504."""
    stale_if_unreachable: Annotated[int, _GRACE] = 0
    """The same only where there is no answer at all."""
    tags: Annotated[tuple[Annotated[str, Text(read=parse_tag)], ...], _MANY, Several()] = ()
    """Names by which its responses can be purged, besides those that the responses bear."""
    methods: Annotated[frozenset[Annotated[str, _METHOD]], Field(min_length=1), Several()] = frozenset({"GET"})
    """Methods whose responses are kept: GET, with which comes HEAD, and POST, with the body in the key."""
    key: Key = Key()
    """Which requests are the same."""
    shared_between_callers: Annotated[bool, Switch()] = False
    """All callers of one key get the same: Cookie and Authorization say nothing of the response."""
    set_cookie: Annotated[bool | Literal["strip"], CookieForm()] = False
    """Responses with Set-Cookie are kept: `strip` without it, `true` with it, so that every caller gets it."""
    max_object: Annotated[int, Size(low=1, high=256 << 20)] = 1 << 20
    """Bytes of a body; a larger one is passed on and not kept."""
    when: Wants = ()
    """Flags without which a request meets no cache."""

    @field_validator("methods")
    @classmethod
    def _head_comes_with_get(cls, methods: frozenset[str]) -> frozenset[str]:
        if "HEAD" in methods and "GET" not in methods:
            raise ValueError("HEAD is answered from what GET has stored: write GET, which takes HEAD too")
        return methods

    @property
    def body(self) -> str | None:
        """Which reading of a body belongs to the key, `raw` or `json`; None for none: what has one is passed on."""
        return self.key.body or ("raw" if "POST" in self.methods else None)

    @property
    def credentials(self) -> tuple[bytes, ...]:
        """The fields of which `cache_key.credential_digest` makes the key's `caller`, in lower case; often none."""
        return CREDENTIALS if self.body is not None and not self.shared_between_callers else ()

    @property
    def fields_read(self) -> frozenset[bytes]:
        """The request fields that its key is made of, in lower case."""
        cookies = {b"cookie"} if self.key.cookies else set()
        return frozenset({*_lower(self.key.headers), *self.credentials, *cookies})

    def sharing(self) -> Sharing:
        """Who may be answered with what, as the rule that decides has it."""
        methods = self.methods | {"HEAD"} if "GET" in self.methods else self.methods
        return Sharing(
            frozenset(method.encode("ascii") for method in methods),
            frozenset({*_lower(self.key.headers), *self.credentials}),
            self.shared_between_callers,
            self.set_cookie is True,
            self.max_object,
            frozenset(name.encode("ascii") for name in self.key.cookies),
            self.set_cookie == STRIP,
        )

    def leeway(self) -> Leeway:
        """The route's own times, as the rule that decides has them."""
        return Leeway(
            self.ttl,
            self.negative_ttl,
            self.override,
            self.stale_while_revalidate,
            self.stale_if_error,
            self.stale_if_unreachable,
        )

    def cache_key(self, space: bytes = b"") -> CacheKey:
        """How its keys are made; `space` tells apart routes that share a store."""
        query, key = self.key.query, self.key
        return CacheKey(
            space,
            host=key.host,
            path=key.path,
            sorted_query=query.sorted,
            only=None if query.only is None else [name.encode() for name in query.only],
            without=[name.encode() for name in query.without],
            headers=_lower(key.headers),
            cookies=[name.encode("ascii") for name in key.cookies],
            terms=(self.shared_between_callers, self.set_cookie),
        )


#: How `cache:` is written: a mapping, or `false` for none, on a route not the listener's either.
WAYS = Alternative()


class Owner(Protocol):
    """A listener or a route, as far as this is about it."""

    @property
    def cache(self) -> Cache | None:
        """What it says of its cache; None for `false`, and where it says nothing."""

    @property
    def model_fields_set(self) -> set[str]:
        """The keys that were written."""


def resolve(listener: Owner, route: Owner) -> Cache | None:
    """What holds on a route: its own keys, and the listener's where it has none; None for no cache."""
    around, own = listener.cache, route.cache
    if "cache" not in route.model_fields_set:
        return around
    if own is None or around is None:
        return own
    return around.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})


def _lower(names: tuple[str, ...]) -> list[bytes]:
    return [name.lower().encode("ascii") for name in names]
