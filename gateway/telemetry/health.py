"""Whether the process is ready, and how each of its parts does; what `/readyz` and `/health` tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from gateway.telemetry.metrics import Family

State = Literal["healthy", "degraded", "unhealthy"]
Phase = Literal["starting", "ready", "draining"]
#: Runs on the event loop at each look; answers at once.
Check = Callable[[], tuple[State, str]]

_WORST: tuple[State, ...] = ("unhealthy", "degraded", "healthy")
_NUMBERS: dict[str, int] = {"healthy": 0, "degraded": 1, "unhealthy": 2}


class Health:
    """Readiness depends on the process's own phase only: an upstream that is down must not take a pod away."""

    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self._parts: dict[str, Check] = {}

    def starting(self) -> None:
        """Not all listeners are up yet; this is where a process begins."""
        self.phase = "starting"

    def ready(self) -> None:
        """All listeners are up."""
        self.phase = "ready"

    def draining(self) -> None:
        """The process is about to end; no new traffic should come."""
        self.phase = "draining"

    def part(self, name: str, check: Check) -> None:
        """Have `check` tell how the part `name` does: its state, and a sentence or nothing about why."""
        self._parts[name] = check

    def forget(self, name: str) -> None:
        """Leave out a part that is no more."""
        self._parts.pop(name, None)

    def report(self) -> tuple[State, dict[str, object]]:
        """The worst state of all, and the report as `/health` shows it."""
        parts = {name: _look(check) for name, check in self._parts.items()}
        states: set[str] = {part["state"] for part in parts.values()}
        if self.phase != "ready":
            states.add("degraded")
        worst: State = next((state for state in _WORST if state in states), "healthy")
        return worst, {"status": worst, "phase": self.phase, "parts": parts}

    def families(self) -> Iterator[Family]:
        """Each part's state, for who graphs and alerts."""
        yield Family(
            "gauge",
            "gateway_health",
            "0 healthy, 1 degraded, 2 unhealthy.",
            ("part",),
            [((name,), _NUMBERS[_look(check)["state"]]) for name, check in self._parts.items()],
        )


def _look(check: Check) -> dict[str, str]:
    try:
        state, detail = check()
    except Exception as error:  # noqa: BLE001 - one broken check must not hide how the other parts do
        return {"state": "unhealthy", "detail": f"the check itself failed: {type(error).__name__}"}
    return {"state": state, "detail": detail}
