"""`when:` flags without which a route does not match, or a cache, limit, cap or breaker does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from gateway.settings.wanted import Wanted


class Owner(Protocol):
    """A route, or a policy of its own, as far as this is about it."""

    @property
    def when(self) -> tuple[Wanted, ...]:
        """What it stands under; empty for nothing."""


def names(owners: Iterable[Owner | None]) -> Iterator[str]:
    """The flags that these stand under."""
    for owner in owners:
        if owner is not None:
            yield from (wanted.flag for wanted in owner.when)
