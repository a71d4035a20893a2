"""Whether a shared cache may store a response, and whom a stored one may answer (RFC 9111, sections 3 and 3.5).

A route's own times, and guesses, are never for a request that carries Cookie or Authorization, unless the route's key
holds that field or the route says that its answers are shared: one user's page is never another's. Only the origin's
own word makes such a response anybody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from gateway.rules.cache_control import ANYTHING, SILENT, RequestDirectives, ResponseDirectives
from gateway.rules.freshness import BY_DEFAULT, Freshness, Source

GET_AND_HEAD = frozenset({b"GET", b"HEAD"})

#: Final statuses whose rules for caches are kept here; for the others must-understand says not to store
#: (RFC 9111, section 5.2.2.3). 206, 304 and 416 are answers to a question and never stored as the whole.
UNDERSTOOD = BY_DEFAULT | {
    201, 202, 205, 302, 303, 307, 400, 401, 402, 403, 406, 407, 408, 409, 411, 412, 413, 415, 417, 421, 422, 426,
    428, 429, 431, 451, 500, 502, 503, 504, 505, 511,
}  # fmt: skip
_PARTS = frozenset({206, 304, 416})

#: Fields besides Authorization and Cookie by which callers say who they are. No RFC knows them, so they are treated
#: as a cookie is: only the origin's own word makes the answer to a request with one anybody's.
API_KEYS = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key"})

#: A response without these would be another one, so none of them can be left out of what is stored.
_NEEDED = frozenset({b"content-encoding", b"content-length", b"content-type", b"location", b"vary"})


class Why(Enum):
    """Why a response is not stored, as metrics and Cache-Status call it."""

    METHOD = "method"
    STATUS = "status"
    PARTIAL = "partial"
    REQUEST_NO_STORE = "request-no-store"
    NO_STORE = "no-store"
    PRIVATE = "private"
    AUTHORIZATION = "authorization"
    PERSONAL = "personal"
    SET_COOKIE = "set-cookie"
    VARY = "vary"
    NO_FRESHNESS = "no-freshness"
    TOO_LARGE = "too-large"
    INCOMPLETE = "incomplete"


class Sharing(NamedTuple):
    """What a route says of its answers."""

    methods: frozenset[bytes] = GET_AND_HEAD
    #: Fields of the request that its key holds, in lower case.
    key_fields: frozenset[bytes] = frozenset()
    #: All callers get the same.
    shared_between_callers: bool = False
    #: Responses with Set-Cookie are stored, with it.
    set_cookie: bool = False
    #: Bytes of body.
    max_object: int = 1024 * 1024
    #: Cookies that its key holds.
    key_cookies: frozenset[bytes] = frozenset()
    #: Responses with Set-Cookie are stored, without it: only who it was for gets it.
    strip_cookie: bool = False


DEFAULT = Sharing()


class Asker(NamedTuple):
    """What matters of a request."""

    method: bytes = b"GET"
    wanted: RequestDirectives = ANYTHING
    #: Whether it has Authorization.
    authorization: bool = False
    #: Whether it has a cookie that the key does not hold (`other_cookies`).
    cookie: bool = False
    #: Whether it has another credential, as an API key, that the key does not hold (`other_credentials`).
    credential: bool = False

    @property
    def says_who(self) -> bool:
        """Whether it says in any way who is asking."""
        return self.cookie or self.authorization or self.credential


class Answer(NamedTuple):
    """What matters of a response."""

    status: int = 200
    said: ResponseDirectives = SILENT
    #: Whether it has a Set-Cookie, a Content-Range, a Vary with a `*`.
    set_cookie: bool = False
    content_range: bool = False
    vary_any: bool = False
    #: Whether it has an ETag or a Last-Modified to ask by.
    validator: bool = False
    #: Content-Length; None when it does not say.
    length: int | None = None


class Verdict(NamedTuple):
    """Whether to store, and without which fields (lower case)."""

    why_not: Why | None
    without: frozenset[bytes] = frozenset()


_REFUSED = {why: Verdict(why) for why in Why}
_STORED = Verdict(None)


def other_cookies(fields: Sequence[bytes], sharing: Sharing) -> bool:
    """Whether a request's Cookie fields have anything that the route's key does not hold.

    A key with one cookie is not yet one with the whole field: a key by `theme` says nothing of whose session it is.
    What has no name is held by no key.
    """
    if not fields or b"cookie" in sharing.key_fields:
        return False
    held = sharing.key_cookies
    if not held:
        return True
    for field in fields:
        for pair in field.split(b";"):
            name, mark, _ = pair.partition(b"=")
            # As rules/cache_key.py finds them.
            if pair.strip(b" \t") and (not mark or name.strip() not in held):
                return True
    return False


def other_credentials(names: Iterable[bytes], sharing: Sharing) -> bool:
    """Whether fields of these names (lower case) say by an API key who asks, and the route's key has them not."""
    return any(name in API_KEYS and name not in sharing.key_fields for name in names)


def personal(asker: Asker, sharing: Sharing) -> bool:
    """Whether the answer may be one caller's own: then judge its freshness by NO_LEEWAY, for the route has no say."""
    if sharing.shared_between_callers:
        return False
    return (
        asker.credential
        or (asker.cookie and b"cookie" not in sharing.key_fields)
        or (asker.authorization and b"authorization" not in sharing.key_fields)
    )


def may_ask(asker: Asker, sharing: Sharing) -> Why | None:
    """What is known before the response comes: why nothing that answers this request will be stored."""
    if asker.method not in sharing.methods:
        return Why.METHOD
    if asker.wanted.no_store:  # RFC 9111, section 5.2.1.5
        return Why.REQUEST_NO_STORE
    return None


def may_store(asker: Asker, answer: Answer, stored: Freshness, sharing: Sharing = DEFAULT) -> Verdict:
    """Whether to store, as known from the heads; `stored` is what freshness.judge made of the response.

    Private and no-cache with names of fields: what they name is left out and the rest is stored, as sections 5.2.2.4
    and 5.2.2.7 have it; so `private="set-cookie"` makes a page with a cookie one for all. If what they name cannot be
    left out, nothing is stored. What may be stored for HEAD is no answer to a GET: that is for the key to know.
    """
    why = may_ask(asker, sharing) or _of_status(asker, answer) or _of_words(answer.said, answer.status)
    if why is not None:
        return _REFUSED[why]
    said = answer.said
    without = said.private_fields | said.no_cache_fields
    if without & _NEEDED:
        return _REFUSED[Why.PRIVATE]
    if answer.vary_any:  # section 4.1: no request ever matches it
        return _REFUSED[Why.VARY]
    if answer.set_cookie and not sharing.set_cookie and b"set-cookie" not in without:
        if not sharing.strip_cookie:
            return _REFUSED[Why.SET_COOKIE]
        without |= {b"set-cookie"}
    why = _of_callers(asker, said, stored, sharing) or _of_times(answer, stored)
    if why is not None:
        return _REFUSED[why]
    if answer.length is not None and answer.length > sharing.max_object:
        return _REFUSED[Why.TOO_LARGE]
    return Verdict(None, without) if without else _STORED


def may_keep(*, size: int, complete: bool, length: int | None = None, sharing: Sharing = DEFAULT) -> Why | None:
    """Why a body that came is not stored after all; `length` is what Content-Length had announced (section 3.3)."""
    if size > sharing.max_object:
        return Why.TOO_LARGE
    if not complete or (length is not None and size != length):
        return Why.INCOMPLETE
    return None


def may_answer(asker: Asker, said: ResponseDirectives, stored: Freshness, sharing: Sharing = DEFAULT) -> Why | None:
    """Why a stored response may not answer this request, whoever it was stored for; to be forwarded then.

    Its key, Vary, and freshness are another's to judge.
    """
    if asker.method not in sharing.methods:
        return Why.METHOD
    return _of_callers(asker, said, stored, sharing)


def _of_status(asker: Asker, answer: Answer) -> Why | None:
    status = answer.status
    if status in _PARTS or answer.content_range:  # RFC 9111, sections 3 and 3.3
        return Why.PARTIAL
    if not 200 <= status <= 599 or (answer.said.must_understand and status not in UNDERSTOOD):
        return Why.STATUS
    if asker.method not in GET_AND_HEAD and status >= 300:  # only what came of it, never a refusal
        return Why.STATUS
    return None


def _of_words(said: ResponseDirectives, status: int) -> Why | None:
    # must-understand is written with no-store for who does not understand it, and takes it back for who does
    # (section 5.2.2.3).
    if said.no_store and not (said.must_understand and status in UNDERSTOOD):
        return Why.NO_STORE
    return Why.PRIVATE if said.private else None


def _of_callers(asker: Asker, said: ResponseDirectives, stored: Freshness, sharing: Sharing) -> Why | None:
    if not asker.says_who or not personal(asker, sharing):
        return None
    if (
        asker.authorization
        and b"authorization" not in sharing.key_fields
        and not (said.public or said.must_revalidate or said.s_maxage is not None)
    ):
        return Why.AUTHORIZATION  # section 3.5
    if stored.source is Source.ORIGIN or (said.public and stored.source is not Source.ROUTE):
        return None
    return Why.PERSONAL


def _of_times(answer: Answer, stored: Freshness) -> Why | None:
    """Whether anything allows it (RFC 9111, section 3, the last item), and whether it would ever be of use."""
    allowed = stored.source in (Source.ORIGIN, Source.ROUTE) or answer.said.public or answer.status in BY_DEFAULT
    usable = (
        answer.validator
        if stored.validate
        else answer.validator
        or stored.lifetime > stored.initial_age
        or stored.stale_while_revalidate
        or stored.stale_if_error
        or stored.stale_if_unreachable
    )
    return None if allowed and usable else Why.NO_FRESHNESS
