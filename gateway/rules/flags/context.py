"""What a flag may ask of a request, and how it reads the field that a definition names.

The names are those of Unleash's context: `userId`, `sessionId`, `remoteAddress`, `environment`, `appName`,
`currentTime`. Any other is a property, which `get` answers; what properties there are is for whoever makes the
context to say, and a name may well be `header:X-Plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from operator import attrgetter, methodcaller
from typing import Protocol

from gateway.rules.http_date import DAY, civil


class Asked(Protocol):
    """A request as flags see it. Texts have no lone surrogates; None, or an empty one, is for what is not known."""

    @property
    def user(self) -> str | None:
        """Who it is."""

    @property
    def session(self) -> str | None:
        """The session it belongs to."""

    @property
    def address(self) -> str | None:
        """The client's address, without port or brackets."""

    @property
    def environment(self) -> str | None:
        """Where this runs."""

    @property
    def app(self) -> str | None:
        """What this stands in front of."""

    @property
    def groups(self) -> Collection[str]:
        """The user's groups."""

    @property
    def now(self) -> float:
        """Seconds since 1970."""

    @property
    def random(self) -> str:
        """What a request without an id is bucketed by: drawn once, so that one request gets one answer."""

    def get(self, name: str) -> str | None:
        """A property."""


@dataclass(slots=True)
class Context:
    """A context whose every field is known beforehand."""

    user: str | None = None
    session: str | None = None
    address: str | None = None
    environment: str | None = None
    app: str | None = None
    groups: Collection[str] = ()
    now: float = 0.0
    random: str = ""
    properties: Mapping[str, str | None] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """A property."""
        return self.properties.get(name)


Read = Callable[[Asked], str | None]

_FIELDS = {
    "userId": "user",
    "sessionId": "session",
    "remoteAddress": "address",
    "environment": "environment",
    "appName": "app",
}

#: The fields that every context has, by their names in a definition.
KNOWN = frozenset({*_FIELDS, "currentTime"})

#: What the gateway's own config calls some of these.
SHORT = {"user": "userId", "session": "sessionId", "address": "remoteAddress", "app": "appName", "now": "currentTime"}


def reader(name: str) -> Read:
    """What reads the field of this name."""
    if name in _FIELDS:
        return attrgetter(_FIELDS[name])
    return _time if name == "currentTime" else methodcaller("get", name)


def _time(asked: Asked) -> str:
    """Now as RFC 3339 has it, to the second."""
    day, clock = divmod(int(asked.now), DAY)
    year, month, of_month = civil(day)
    return f"{year:04}-{month:02}-{of_month:02}T{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}Z"
