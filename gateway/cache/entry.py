"""A stored response: what came, what was judged of it once, and its bytes made ready for a hit.

An entry never changes. What a validation or a purge makes of it is another entry in its place, so whoever is being
answered with the old one goes on undisturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.rules.cache_control import ResponseDirectives
from gateway.rules.conditional import Validators
from gateway.rules.field_lines import Pieces
from gateway.rules.freshness import Freshness
from gateway.rules.purge import Subject
from gateway.rules.response_head import status_line
from gateway.rules.vary import Names

#: A request's fields: the values of a lower-case name, none where it is absent.
Values = Callable[[bytes], Sequence[bytes]]

#: Bytes that an entry takes in memory besides what is counted by length, its place in the store among them; and so
#: does each piece of its fields, and each tag. Measured: tests/cache/test_entry.py holds the sum against what is so.
OVERHEAD = 1800
_PIECE = 25
_TAG = 150


class Entry:
    """A stored response."""

    __slots__ = (
        "body",
        "born",
        "fresh_until",
        "freshness",
        "head",
        "kept",
        "nominated",
        "reason",
        "route",
        "said",
        "secondary",
        "size",
        "status",
        "subject",
        "validators",
        "version",
    )

    def __init__(
        self,
        subject: Subject,
        status: int,
        reason: bytes,
        kept: Pieces,
        body: bytes,
        *,
        said: ResponseDirectives,
        freshness: Freshness,
        validators: Validators,
        nominated: Names = (),
        secondary: bytes = b"",
        route: str = "",
        version: int = 0,
    ) -> None:
        self.subject = subject
        self.status = status
        self.reason = reason
        #: Fields as they are passed on, Date and Content-Length among them; no Age, no Cache-Status of ours.
        self.kept = kept
        self.body = body
        self.said = said
        self.freshness = freshness
        #: When it was of age 0, and until when it answers whoever asks for nothing special.
        self.born = freshness.received - freshness.initial_age
        self.fresh_until = 0.0 if freshness.validate else self.born + freshness.lifetime
        self.validators = validators
        #: The request fields that Vary names, and what the request had in them (rules/vary.py).
        self.nominated = nominated
        self.secondary = secondary
        #: The route that stored it.
        self.route = route
        #: The purges that it has seen (rules/purge.py): later ones may mean it.
        self.version = version
        #: Status line and fields, ready to be sent.
        self.head = b"".join([status_line(status, reason), *kept])
        #: Bytes that it takes in memory, about.
        self.size = OVERHEAD + len(body) + 2 * len(self.head) + _PIECE * len(kept) + len(secondary) + _named(subject)

    def with_freshness(self, freshness: Freshness) -> Entry:
        """The same with other times."""
        return self.renewed(self.kept, self.said, freshness, self.validators, self.version)

    def renewed(
        self, kept: Pieces, said: ResponseDirectives, freshness: Freshness, validators: Validators, version: int
    ) -> Entry:
        """The same content with what a validation has told of it."""
        return Entry(
            self.subject,
            self.status,
            self.reason,
            kept,
            self.body,
            said=said,
            freshness=freshness,
            validators=validators,
            nominated=self.nominated,
            secondary=self.secondary,
            route=self.route,
            version=version,
        )


def _named(subject: Subject) -> int:
    size = len(subject.key) + len(subject.host) + len(subject.target)
    return size + sum(_TAG + len(tag) for tag in subject.tags) if subject.tags else size
