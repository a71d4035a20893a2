"""A level set by hand holds for its time, and until the config says another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.log import Log
from gateway.telemetry.log_level import LEVELS, LogLevel

_LEVEL = st.sampled_from(sorted(LEVELS))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_by_hand_for_a_time() -> None:
    clock = Clock()
    level = LogLevel("warning", clock)
    level.hold("debug", 600)
    assert (level.in_force, level.configured, level.by_hand, level.left) == ("debug", "warning", True, 600)
    clock.now += 599.9
    assert level.writes("debug")
    clock.now += 0.1
    assert not level.writes("debug")
    assert (level.in_force, level.by_hand, level.left) == ("warning", False, None)


def test_by_hand_without_an_end() -> None:
    clock = Clock()
    level = LogLevel("info", clock)
    level.hold("error", None)
    clock.now += 1e9
    assert (level.in_force, level.by_hand, level.left) == ("error", True, None)
    level.release()
    assert (level.in_force, level.by_hand) == ("info", False)


def test_a_reload_ends_it_only_with_another_level() -> None:
    level = LogLevel("info", Clock())
    level.hold("debug", 60)
    level.configure("info")
    assert level.in_force == "debug"
    level.configure("error")
    assert (level.in_force, level.by_hand) == ("error", False)


@given(st.lists(st.tuples(_LEVEL, _LEVEL, st.none() | st.floats(0, 100), st.floats(0, 100))))
def test_what_holds_is_always_the_latest_word(
    steps: list[tuple[str, str, float | None, float]],
) -> None:
    clock = Clock()
    level = LogLevel("info", clock)
    for config, by_hand, seconds, passes in steps:
        level.configure(config)
        level.hold(by_hand, seconds)
        until = None if seconds is None else clock.now + seconds
        clock.now += passes
        holds = until is None or clock.now < until
        assert level.in_force == (by_hand if holds else config)
        assert level.by_hand == holds


@pytest.mark.parametrize("limited", [False, True])
def test_the_log_goes_by_it(limited: bool, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = Log(file, level="error")
    said = log.limited("key", 0.0) if limited else log
    said.warning("unheard")
    log.level.hold("info", None)
    said.warning("heard")
    log.configure(fmt="json", level="error")
    said.warning("still_heard")
    log.level.release()
    said.warning("unheard_again")
    log.close()
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events == ["heard", "still_heard"]
