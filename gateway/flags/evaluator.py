"""Asks flags on behalf of requests, by one config: the gates and conditions of its listeners share it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.exchange import Exchange
from gateway.flags.answering import Book, Tally
from gateway.flags.registry import Registry
from gateway.flags.request_context import Reading, RequestContext
from gateway.gate import Met
from gateway.rules.flags.flag import Prerequisite
from gateway.rules.flags.forced import Forced


class Evaluator:
    """Makes contexts, one an exchange, and remembers what of the current flags is ready to be asked."""

    __slots__ = ("_book", "_forced", "_reading", "_registry", "_tally")

    def __init__(self, registry: Registry, tally: Tally, reading: Reading, forced: Forced | None = None) -> None:
        """`forced` is who may say what flags say."""
        self._registry = registry
        self._tally = tally
        self._reading = reading
        self._forced = forced
        self._book = Book(registry.current, tally)

    def of(self, exchange: Exchange) -> RequestContext:
        """An exchange's context, made when it is first asked for."""
        context: RequestContext | None = exchange.flags
        if context is None:
            book = self._book
            if book.flag_set is not self._registry.current:
                book = self._book = Book(self._registry.current, self._tally)
            context = exchange.flags = RequestContext(exchange.head, exchange.client, self._reading, book)
            if self._forced is not None:
                for name, value in self._forced.of(exchange.head, exchange.client).items():
                    said = book.forced(name, value, context)
                    if said is not None:
                        context.said[name] = said
        return context

    def met(self, wanted: Sequence[Prerequisite]) -> Met | None:
        """What tells whether all flags are as they must; None where nothing is wanted of any."""
        if len(wanted) == 1:
            return self._one(*wanted[0])
        every = [self._one(*one) for one in wanted]
        return (lambda exchange: all(met(exchange) for met in every)) if every else None

    def _one(self, name: str, on: bool, variants: frozenset[str]) -> Met:
        def met(exchange: Exchange) -> bool:
            said = self.of(exchange).ask(name)
            return said.on is on and (not variants or said.value in variants)

        return met
