"""`coalesce:` whether requests that want the same at the same time share one fetch, on a listener or a route."""

from __future__ import annotations

from typing import Protocol

from gateway.policies.cache import Cache
from gateway.settings.types import Switch

#: How `coalesce:` is written: `true` or `false`; not written, a listener's word holds, or else that there is a cache.
WAY = Switch(optional=True)


class Owner(Protocol):
    """A listener or a route, as far as this is about it."""

    @property
    def coalesce(self) -> bool | None:
        """What it says; None for nothing."""


def resolve(listener: Owner, route: Owner, cache: Cache | None) -> bool:
    """Whether a route's requests share fetches; `cache` is what holds on it. Without one only GETs ever do."""
    for said in (route.coalesce, listener.coalesce):
        if said is not None:
            return said
    return cache is not None
