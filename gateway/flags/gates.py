"""What flags do to a request on its way: what the client says of them goes, what they say is told.

`Strip` stands before any change of fields, so that the config may still set some of these names itself; `Tell` behind
what refuses requests, which then costs no evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.flags.answering import PREFIX, Asking, Book, Said
from gateway.flags.evaluator import Evaluator
from gateway.flags.request_context import RequestContext
from gateway.gate import Met
from gateway.rules.field_edits import LIKE_CGI
from gateway.rules.flags.bucket import One, each

#: Characters of an id, and of the groups with it, that are worth remembering.
_LONGEST = 200

_PREFIX = PREFIX.translate(LIKE_CGI)


class Strip:
    """Takes out what only the gateway may say: every field called `X-Feature-…`, in any spelling.

    To a CGI-style app `X_Feature_A` is the same field.
    """

    __slots__ = ("_also", "_evaluator")

    def __init__(self, evaluator: Evaluator, also: bytes | None) -> None:
        """`also` is the field by which flags may be forced: it is for the gateway alone."""
        self._evaluator = evaluator
        self._also = None if also is None else also.translate(LIKE_CGI)

    def check(self, exchange: Exchange, now: float) -> GatewayError | None:  # noqa: ARG002 - time is no matter here
        """See Gate; refuses nothing."""
        head = exchange.head
        names = b":".join(head.kept[::4]).translate(LIKE_CGI)
        if _PREFIX in names or (self._also is not None and self._also in names):
            self._evaluator.of(exchange)  # which reads the field that forces flags
            before = head.kept
            head = exchange.head = head.copy()
            head.kept = []
            for place, name in enumerate(names.split(b":")):
                if not self._goes(name):
                    head.kept += before[4 * place : 4 * place + 4]
            for noted in [one for one in head.noted if self._goes(one.translate(LIKE_CGI))]:
                del head.noted[noted]
        return None

    async def wait(self, exchange: Exchange) -> None:
        """Nothing here waits."""

    def _goes(self, name: bytes) -> bool:
        return name.startswith(_PREFIX) or name == self._also


class Tell:
    """Tells the upstream what flags say, a field each, and the cache."""

    __slots__ = ("_book", "_evaluator", "_names", "_others", "_usual")

    def __init__(self, evaluator: Evaluator, names: Sequence[str]) -> None:
        self._evaluator = evaluator
        self._names = tuple(names)
        self._book: Book | None = None
        # What most flags are can be asked together, and goes first.
        self._usual: list[One[Said]] = []
        self._others: list[Asking] = []

    def check(self, exchange: Exchange, now: float) -> GatewayError | None:  # noqa: ARG002 - time is no matter here
        """See Gate; refuses nothing."""
        exchange.added.append(self.lines(self._evaluator.of(exchange)))
        return None

    async def wait(self, exchange: Exchange) -> None:
        """Nothing here waits."""

    def lines(self, context: RequestContext) -> bytes:
        """The header lines, made once for each request."""
        if context.lines:
            return context.lines
        book, before = context.book, context.said
        if book is not self._book:
            self._open(book)
        user, groups = context.user, context.groups
        session = None if user else context.session
        plain = not (before or self._others) and bool(user or session)
        known = book.known.get((self, user, session, groups)) if plain else None
        if known is not None:
            known.count += 1
            context.told, context.lines = (self._names, known.said), known.lines
            return known.lines
        said = self._ask(context)
        context.told, context.lines = (self._names, said), b"".join([one.line for one in said])
        if plain and len(user or session or "") + sum(map(len, groups)) <= _LONGEST:
            book.know((self, user, session, groups), said, context.lines)
        return context.lines

    def _ask(self, context: RequestContext) -> list[Said]:
        """Ask and count."""
        names, said, before = self._names, each(self._usual, context), context.said
        if self._others:
            said += [flag.ask(context) for flag in self._others]
        if before:  # some were asked already, or are forced
            said = [before.get(name) or one for name, one in zip(names, said, strict=True)]
            for name, one in zip(names, said, strict=True):
                one.count += name not in before
        else:
            for one in said:
                one.count += 1
        return said

    def _open(self, book: Book) -> None:
        flags = sorted(book.several(self._names), key=lambda flag: flag.one is None)
        self._book = book
        self._names = tuple(flag.name for flag in flags)
        self._usual = [flag.one for flag in flags if flag.one is not None]
        self._others = [flag for flag in flags if flag.one is None]


class FlaggedRoute(NamedTuple):
    """What a route has of flags, None where it has none of it; `said` is all that they say, for its cache."""

    when: Met | None
    require: Met | None
    tell: Tell | None
    said: Callable[[Exchange], bytes] | None


class Flagged(NamedTuple):
    """What a listener's routes have of flags, in their order."""

    strip: Strip | None
    routes: Sequence[FlaggedRoute]


def said_by(evaluator: Evaluator, tell: Tell | None, others: Sequence[str]) -> Callable[[Exchange], bytes]:
    """What gives all that an answer may depend on: what the app is told, and what these flags say."""

    def said(exchange: Exchange) -> bytes:
        context = evaluator.of(exchange)
        lines = b"" if tell is None else tell.lines(context)
        return b"".join((lines, *(context.ask(name).line for name in others)))

    return said
