"""`require:` flags without which a route, or all of a listener, is not there: 404."""

from __future__ import annotations

from typing import Protocol

from gateway.settings.types import Several
from gateway.settings.wanted import Wanted

#: How `require:` is written: a name, a mapping, or a list; `false` for none, on a route not the listener's either.
WAYS = Several(off=True, none=None)


class Owner(Protocol):
    """A listener or a route, as far as this is about it."""

    @property
    def require(self) -> tuple[Wanted, ...] | None:
        """What it wants; None for `false`."""


def resolve(listener: Owner, route: Owner) -> tuple[Wanted, ...]:
    """What must hold on a route, all of it: the listener's, then its own."""
    if route.require is None:
        return ()
    return (*(listener.require or ()), *route.require)
