"""Whether the process is ready, and how each of its parts does; what `/readyz` and `/health` tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from gateway.telemetry.metrics import Family

State = Literal["healthy", "degraded", "unhealthy"]
Phase = Literal["starting", "ready", "draining"]
#: Runs on the event loop at each look; answers at once.
Check = Callable[[], tuple[State, str]]

#: The worst first.
STATES: tuple[State, ...] = ("unhealthy", "degraded", "healthy")
_NUMBERS: dict[str, int] = {"healthy": 0, "degraded": 1, "unhealthy": 2}

_NOT_READY = {
    "starting": (
        "it is starting",
        "listeners open, or the cache is being warmed (`gateway cache` shows how far); /readyz says 503 till then",
    ),
    "draining": (
        "it is draining",
        "it ends when what is in flight has ended: `gateway status connections` shows what that is",
    ),
}
_BROKEN = "this is a mistake in the gateway; what the part does is not known"


class Part(NamedTuple):
    """How a part does. Where it is not healthy, why, and what to do about it."""

    name: str
    state: State
    detail: str
    action: str


class Health:
    """Readiness depends on the process's own phase only: an upstream that is down must not take a pod away."""

    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self._parts: dict[str, tuple[Check, str | Callable[[], str]]] = {}

    def starting(self) -> None:
        """Not all listeners are up yet; this is where a process begins."""
        self.phase = "starting"

    def ready(self) -> None:
        """All listeners are up."""
        self.phase = "ready"

    def draining(self) -> None:
        """The process is about to end; no new traffic should come."""
        self.phase = "draining"

    def part(self, name: str, check: Check, action: str | Callable[[], str] = "") -> None:
        """Have `check` tell how the part `name` does: its state, and a sentence or nothing about why.

        `action` is what to do where it is not healthy, and what holds meanwhile.
        """
        self._parts[name] = check, action

    def forget(self, name: str) -> None:
        """Leave out a part that is no more."""
        self._parts.pop(name, None)

    def parts(self) -> list[Part]:
        """How each does; that the process is not ready is told as a part, too."""
        found = [_look(name, check, action) for name, (check, action) in self._parts.items()]
        if self.phase != "ready":
            found.append(Part("phase", "degraded", *_NOT_READY[self.phase]))
        return found

    def report(self) -> tuple[State, dict[str, object]]:
        """The worst state of all, and the report as `/health` shows it."""
        parts = self.parts()
        status = worst(parts)
        shown = {part.name: {"state": part.state, "detail": part.detail, "action": part.action} for part in parts}
        return status, {"status": status, "phase": self.phase, "parts": shown}

    def families(self) -> Iterator[Family]:
        """Each part's state, for who graphs and alerts."""
        yield Family(
            "gauge",
            "gateway_health",
            "0 healthy, 1 degraded, 2 unhealthy.",
            ("part",),
            [((name,), _NUMBERS[_look(name, *part).state]) for name, part in self._parts.items()],
        )


def worst(parts: Iterable[Part]) -> State:
    """The worst state of all."""
    states = {part.state for part in parts}
    return next((state for state in STATES if state in states), "healthy")


def _look(name: str, check: Check, action: str | Callable[[], str]) -> Part:
    try:
        state, detail = check()
        advice = "" if state == "healthy" else action if isinstance(action, str) else action()
    except Exception as error:  # noqa: BLE001 - one broken check must not hide how the other parts do
        return Part(name, "unhealthy", f"the check itself failed: {type(error).__name__}", _BROKEN)
    return Part(name, state, detail, advice)
