"""A fetched response, judged: what readers get of it, whether it is stored, and as what entry."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate

from gateway.cache.asked import Asked
from gateway.cache.entry import Entry, Values
from gateway.cache.flight import Landed
from gateway.rules import (
    cache_control,
    cache_status,
    conditional,
    event_stream,
    field_lines,
    freshness,
    storable,
    vary,
)
from gateway.rules.cache_control import RequestDirectives, ResponseDirectives
from gateway.rules.field_lines import Pieces
from gateway.rules.freshness import NO_LEEWAY, Freshness, Leeway, Source, Use
from gateway.rules.purge import Subject
from gateway.rules.response_head import ResponseHead
from gateway.rules.storable import Answer, Sharing, Why

#: Fields that tell caches by what to purge; they stop here.
TAG_FIELDS = frozenset({b"cache-tag", b"surrogate-key"})
#: Tags of one response, and bytes of one.
_MOST_TAGS, _LONGEST_TAG = 256, 256
#: What is not stored for these reasons is nobody's own all the same.
_SHARED_ALL_THE_SAME = frozenset({None, Why.NO_FRESHNESS, Why.TOO_LARGE})
_USABLE = frozenset({Use.FRESH, Use.STALE, Use.STALE_REVALIDATE})
_STATUS = frozenset({b"cache-status"})
#: An age has its own place in an entry; trailers have none in what has its length beforehand.
_NOT_KEPT = frozenset({b"age", b"trailer"})
_DEFAULT_TAGS: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a route's responses are judged."""

    sharing: Sharing
    leeway: Leeway
    #: Whether anything is stored at all.
    keeps: bool
    route: str


def values_of(pieces: Pieces) -> Values:
    """Look fields up by lower-case name."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in field_lines.pairs(pieces):
        found.setdefault(name.lower(), []).append(value)
    return lambda name: found.get(name, ())


def directives(values: Values) -> tuple[ResponseDirectives, bool]:
    """What a response says to a cache like this one, and whether by CDN-Cache-Control (RFC 9213)."""
    targeted = cache_control.targeted(values(b"cdn-cache-control"))
    if targeted is not None:
        return targeted, True
    return cache_control.response(values(b"cache-control")), False


def times(
    status: int,
    values: Values,
    said: ResponseDirectives,
    asked: Asked,
    terms: Terms,
    sent: float,
    now: float,
    *,
    targeted: bool,
) -> Freshness:
    """How long it is fresh. One caller's own answer is judged by the origin's words alone."""
    return freshness.judge(
        status,
        said,
        asked=sent,
        received=now,
        age=values(b"age"),
        date=values(b"date"),
        expires=() if targeted else values(b"expires"),
        last_modified=values(b"last-modified"),
        leeway=NO_LEEWAY if storable.personal(asked.asker, terms.sharing) else terms.leeway,
    )


def judge(
    response: ResponseHead, asked: Asked, terms: Terms, sent: float, now: float, *, over_tls: bool
) -> tuple[Landed, frozenset[bytes]]:
    """What has landed, and the tags of it. `sent` and `now` are when it was asked for and when its head came."""
    kept = response.kept
    values = values_of(kept)
    if not values(b"date"):  # RFC 9110, section 6.6.1: whoever stores or passes on without one adds it
        kept = [*kept, b"Date", b": ", formatdate(now, usegmt=True).encode("ascii"), b"\r\n"]
    said, targeted = directives(values)
    lasting = times(response.status, values, said, asked, terms, sent, now, targeted=targeted)
    nominated = vary.names(values(b"vary"))
    content = Answer(
        response.status,
        said,
        bool(values(b"set-cookie")),
        bool(values(b"content-range")),
        nominated is None,
        conditional.can_ask(validators := conditional.validators(response.status, values, int(now))),
        response.length,
    )
    verdict = storable.may_store(asked.asker, content, lasting, terms.sharing)
    tags = _tags(values) if values(b"cache-tag") or values(b"surrogate-key") else _DEFAULT_TAGS
    if values(b"cache-tag") or values(b"surrogate-key"):
        kept = field_lines.without(kept, TAG_FIELDS)
    upstreams = values(b"cache-status")
    if upstreams and cache_status.appended(upstreams, b"") == b"":
        kept = field_lines.without(kept, _STATUS)  # with what is no list, nobody could read ours
    open_ended = response.until_close and over_tls
    why_not = Why.INCOMPLETE if open_ended and verdict.why_not is None else verdict.why_not
    landed = Landed(
        response.status,
        response.reason,
        kept,
        verdict.without,
        response.has_body,
        response.length,
        open_ended,
        response.endless,
        said,
        lasting,
        validators,
        nominated,
        vary.secondary(nominated, asked.values) if nominated else b"",
        why_not,
    )
    return landed, tags


def is_for(landed: Landed, asked: Asked, wanted: RequestDirectives, sharing: Sharing) -> bool:
    """Whether what has landed for one request answers another that wants the same."""
    if landed.why_not not in _SHARED_ALL_THE_SAME or landed.nominated is None:
        return False
    if landed.nominated and landed.secondary != vary.secondary(landed.nominated, asked.values):
        return False
    if storable.may_answer(asked.asker, landed.said, landed.freshness, sharing) is not None:
        return False
    if landed.why_not is Why.NO_FRESHNESS:
        # Nothing is said of it at all: it is of now for whoever asked before it came.
        silent = landed.freshness.source is Source.NONE and not landed.freshness.validate
        return silent and not asked.asker.says_who
    return freshness.decide(landed.freshness, wanted, landed.freshness.received) in _USABLE


def entry(
    landed: Landed, body: bytes, asked: Asked, terms: Terms, tags: frozenset[bytes], version: int
) -> Entry | Why:
    """What is stored of a flight that has come to its end, or why nothing is."""
    why = storable.may_keep(size=len(body), complete=True, length=landed.length, sharing=terms.sharing)
    if why is not None:
        return why
    if landed.endless and not event_stream.ended(body):
        return Why.INCOMPLETE
    kept = field_lines.without(landed.kept, landed.without | _NOT_KEPT)
    if landed.length is None and landed.has_body:
        kept = [*kept, b"Content-Length", b": ", b"%d" % len(body), b"\r\n"]
    subject = asked.subject
    if tags:
        subject = Subject(subject.key, subject.host, subject.target, subject.tags | tags)
    return Entry(
        subject,
        landed.status,
        landed.reason,
        kept,
        body,
        said=landed.said,
        freshness=landed.freshness,
        validators=landed.validators,
        nominated=landed.nominated or (),
        secondary=landed.secondary,
        route=terms.route,
        version=version,
    )


def _tags(values: Values) -> frozenset[bytes]:
    """The tags of a response: of Cache-Tag by commas, of Surrogate-Key by space."""
    found = [tag.strip(b" \t") for value in values(b"cache-tag") for tag in value.split(b",")]
    found += [tag for value in values(b"surrogate-key") for tag in value.split()]
    return frozenset([tag for tag in found if 0 < len(tag) <= _LONGEST_TAG][:_MOST_TAGS])
