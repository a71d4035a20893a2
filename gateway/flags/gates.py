"""What flags do to a request on its way: what the client says of them goes, what they say is told.

`Strip` stands before any change of fields, so that the config may still set some of these names itself; `Tell` behind
what refuses requests, which then costs no evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.flags.answering import Book
from gateway.flags.evaluator import Evaluator
from gateway.flags.request_context import RequestContext
from gateway.flags.said import PREFIX
from gateway.flags.together import Together
from gateway.gate import Met
from gateway.rules.field_edits import LIKE_CGI

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

    __slots__ = ("_among", "_book", "_evaluator", "_names", "_others", "_together")

    def __init__(self, evaluator: Evaluator, names: Sequence[str]) -> None:
        self._evaluator = evaluator
        self._names = tuple(names)
        self._book: Book | None = None
        # What most flags are is asked together, and goes first.
        self._together = Together({})
        self._among = frozenset[str]()
        self._others: tuple[str, ...] = ()

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
        if context.book is not self._book:
            self._open(context.book)
        if context.said and not self._among.isdisjoint(context.said):  # some were asked already, or are forced
            context.lines = b"".join([context.ask(name).line for name in self._names])
            return context.lines
        others = b"".join([context.ask(name).line for name in self._others])
        told = self._together.ask(context)
        context.told = self._together, told.said
        context.lines = told.lines + others
        return context.lines

    def _open(self, book: Book) -> None:
        self._book = book
        self._together, self._others = book.together(self._names)
        self._names = (*self._together.names, *self._others)
        self._among = frozenset(self._together.names)


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
