"""`flags:` of which flags the app is told, in `X-Feature-NAME` fields, on a listener or a route."""

from __future__ import annotations

from typing import Annotated, Protocol

from gateway.settings.types import Several
from gateway.settings.wanted import FLAG

#: How each is written: a flag's name.
Name = Annotated[str, FLAG]
#: How `flags:` is written: a list of names, or one; `false` for none, on a route not the listener's either.
WAYS = Several(off=True, none=None)


class Owner(Protocol):
    """A listener or a route, as far as this is about it."""

    @property
    def flags(self) -> tuple[str, ...] | None:
        """The names that it has; None for `false`."""


def resolve(listener: Owner, route: Owner) -> tuple[str, ...]:
    """The flags that a route's requests bear: the listener's, then its own, each once."""
    if route.flags is None:
        return ()
    return tuple(dict.fromkeys((*(listener.flags or ()), *route.flags)))
