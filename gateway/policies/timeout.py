"""`timeout:` how long an upstream may take, on an upstream, a listener or a route.

An upstream's timeouts are complete: what the file leaves out has a default. A listener and a route only override,
key by key, and the route wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final

from gateway.settings.types import Alternative, Duration, Section


class Inherit(Enum):
    """Stands where an override says nothing."""

    INHERIT = "inherit"


INHERIT: Final = Inherit.INHERIT

# Zero would be over before it began; whoever wants none writes false.
_LIMIT = Duration(low=0.001, off=True)
_KEYS = ("connect", "headers", "idle", "total", "tunnel")


class Timeout(Section):
    """An upstream's timeouts in seconds; None for none, written `false`."""

    connect: Annotated[float | None, _LIMIT] = 1.0
    """From looking up the name to the end of the TLS handshake."""
    headers: Annotated[float | None, _LIMIT] = 30.0
    """From the request's last byte to the end of the response's header section."""
    idle: Annotated[float | None, _LIMIT] = 30.0
    """Between two pieces of a body; the gateway's own pauses for a slow reader are not counted."""
    total: Annotated[float | None, _LIMIT] = None
    """The whole exchange; event streams and tunnels are cut only where it is set on the route."""
    tunnel: Annotated[float | None, _LIMIT] = 3600.0
    """Without a byte either way on an upgraded connection."""


class TimeoutOverride(Section):
    """A listener's or route's timeouts in seconds: only what differs; None for none, written `false`."""

    connect: Annotated[float | Inherit | None, _LIMIT] = INHERIT
    """From looking up the name to the end of the TLS handshake."""
    headers: Annotated[float | Inherit | None, _LIMIT] = INHERIT
    """From the request's last byte to the end of the response's header section."""
    idle: Annotated[float | Inherit | None, _LIMIT] = INHERIT
    """Between two pieces of a body; the gateway's own pauses for a slow reader are not counted."""
    total: Annotated[float | Inherit | None, _LIMIT] = INHERIT
    """The whole exchange; on a route, event streams and tunnels too."""
    tunnel: Annotated[float | Inherit | None, _LIMIT] = INHERIT
    """Without a byte either way on an upgraded connection."""


#: How `timeout:` is written: a mapping, `60s` for `{total: 60s}`, or `false` for no timeout at all.
WAYS = Alternative(none=lambda: dict.fromkeys(_KEYS), short=Duration(low=0.001), key="total")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What holds on one route, in seconds; None for none."""

    connect: float | None
    headers: float | None
    idle: float | None
    total: float | None
    tunnel: float | None
    #: `total` was set on the route itself, so it cuts event streams and tunnels too.
    total_on_route: bool


def resolve(upstream: Timeout, listener: TimeoutOverride, route: TimeoutOverride) -> Timeouts:
    """Lay the overrides over an upstream's timeouts, key by key; the route's win over the listener's."""

    def pick(key: str) -> float | None:
        overrides: tuple[float | Inherit | None, ...] = (getattr(route, key), getattr(listener, key))
        for value in overrides:
            if not isinstance(value, Inherit):
                return value
        own: float | None = getattr(upstream, key)
        return own

    connect, headers, idle, total, tunnel = map(pick, _KEYS)
    return Timeouts(connect, headers, idle, total, tunnel, total_on_route=not isinstance(route.total, Inherit))
