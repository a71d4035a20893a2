"""Readiness is the process's own; health is the worst of its parts."""

from __future__ import annotations

import pytest

from gateway.telemetry.health import Health, State


def _part(state: State, detail: str = "") -> tuple[State, str]:
    return state, detail


def test_a_process_begins_as_starting() -> None:
    health = Health()
    phases: list[str] = [health.phase]
    for turn in (health.ready, health.draining, health.starting):
        turn()
        phases.append(health.phase)
    assert phases == ["starting", "ready", "draining", "starting"]


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ([], "healthy"),
        (["healthy", "healthy"], "healthy"),
        (["healthy", "degraded"], "degraded"),
        (["degraded", "unhealthy", "healthy"], "unhealthy"),
    ],
)
def test_the_status_is_the_worst_part(states: list[State], worst: str) -> None:
    health = Health()
    health.ready()
    for number, state in enumerate(states):
        health.part(f"part-{number}", lambda state=state: _part(state, f"it is {state}"))  # type: ignore[misc]
    status, report = health.report()
    assert status == worst
    assert report["status"] == worst
    assert report["parts"] == {
        f"part-{number}": {"state": state, "detail": f"it is {state}", "action": ""}
        for number, state in enumerate(states)
    }


@pytest.mark.parametrize("phase", ["starting", "draining"])
def test_a_process_that_is_not_ready_is_degraded(phase: str) -> None:
    health = Health()
    getattr(health, phase)()
    assert health.report()[0] == "degraded"
    health.part("listener", lambda: _part("unhealthy"))
    assert health.report()[0] == "unhealthy"


@pytest.mark.parametrize("phase", ["starting", "draining"])
def test_that_it_is_not_ready_is_a_finding_like_any_other(phase: str) -> None:
    health = Health()
    getattr(health, phase)()
    (part,) = health.parts()
    assert (part.name, part.state, part.detail) == ("phase", "degraded", f"it is {phase}")
    assert part.action
    health.ready()
    assert health.parts() == []


def test_what_to_do_is_said_where_something_is_wrong() -> None:
    health = Health()
    health.ready()
    health.part("fine", lambda: _part("healthy"), "nothing is wrong")
    health.part("wrong", lambda: _part("degraded", "why"), "set it right")
    health.part("made", lambda: _part("unhealthy", "why"), lambda: "made when it is asked for")
    assert [part.action for part in health.parts()] == ["", "set it right", "made when it is asked for"]


def test_a_forgotten_part_counts_no_more() -> None:
    health = Health()
    health.ready()
    health.part("upstream", lambda: _part("unhealthy"))
    health.forget("upstream")
    health.forget("never-there")
    assert health.report() == ("healthy", {"status": "healthy", "phase": "ready", "parts": {}})


def test_a_broken_check_is_told_as_such_and_hides_nothing() -> None:
    def broken() -> tuple[State, str]:
        raise KeyError("a secret")

    health = Health()
    health.ready()
    health.part("broken", broken)
    health.part("fine", lambda: _part("healthy"))
    status, report = health.report()
    assert status == "unhealthy"
    assert report["parts"] == {
        "broken": {
            "state": "unhealthy",
            "detail": "the check itself failed: KeyError",
            "action": "this is a mistake in the gateway; what the part does is not known",
        },
        "fine": {"state": "healthy", "detail": "", "action": ""},
    }


def test_each_part_is_a_number_for_who_alerts() -> None:
    health = Health()
    states: list[State] = ["healthy", "degraded", "unhealthy"]
    for state in states:
        health.part(state, lambda state=state: _part(state))  # type: ignore[misc]
    health.part("broken", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    health.part("gone", lambda: _part("healthy"))
    health.forget("gone")
    [family] = health.families()
    assert family.labels == ("part",)
    assert dict(family.samples) == {("healthy",): 0, ("degraded",): 1, ("unhealthy",): 2, ("broken",): 2}
