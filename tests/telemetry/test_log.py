"""The operational log: whole lines from any thread, faults said once, a stuck stderr waited for by nobody."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.log import MAX_KEYS, MAX_TRACEBACK, Log, capture_stdlib
from tests.telemetry.sinks import Pipe


class _File:
    """A log in a file, read when it is closed."""

    def __init__(self, path: Path, **options: str) -> None:
        self.path = path
        with path.open("wb") as file:
            self.log = Log(file, **options)

    def text(self) -> str:
        self.log.close()
        return self.path.read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[_File]:
    file = _File(tmp_path / "log")
    yield file
    file.log.close()


def test_an_event_is_a_line_with_its_fields(file: _File) -> None:
    before = time.time()
    file.log.info("listening", listener="ingress", address="127.0.0.1:43121")
    (event,) = file.events()
    stamp = event.pop("time")
    assert event == {"level": "info", "event": "listening", "listener": "ingress", "address": "127.0.0.1:43121"}
    assert abs(time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - before) < 60


def test_levels_below_the_least_are_left_out(tmp_path: Path) -> None:
    file = _File(tmp_path / "log", level="warning")
    for level in ("debug", "info", "warning", "error"):
        getattr(file.log, level)(f"an_{level}")
    file.log.configure(fmt="json", level="debug")
    file.log.debug("now_heard")
    assert [event["event"] for event in file.events()] == ["an_warning", "an_error", "now_heard"]


def test_text_format(tmp_path: Path) -> None:
    file = _File(tmp_path / "log", fmt="text")
    file.log.warning("malformed_request", client="10.0.0.1", detail="two lengths\n\x1b[2J")
    line = file.text()
    assert line[23:] == 'Z warning malformed_request client=10.0.0.1 detail="two lengths\\n\\u001b[2J"\n'


def test_a_fault_is_said_once_and_then_with_how_often(file: _File) -> None:
    for number in range(1000):
        file.log.limited("malformed:ingress", 0.2).warning("malformed_request", number=number)
    file.log.limited("malformed:egress", 0.2).warning("malformed_request", number=-1)
    time.sleep(0.25)
    file.log.limited("malformed:ingress", 0.2).error("malformed_request", number=1000)
    events = [(event["level"], event["number"], event.get("suppressed")) for event in file.events()]
    assert events == [("warning", 0, None), ("warning", -1, None), ("error", 1000, 999)]


def test_what_the_level_mutes_does_not_use_up_the_one_line(tmp_path: Path) -> None:
    file = _File(tmp_path / "log", level="warning")
    file.log.limited("key", 60).info("quiet")
    file.log.limited("key", 60).warning("loud")
    assert [event["event"] for event in file.events()] == ["loud"]


def test_keys_are_bounded(file: _File) -> None:
    for number in range(3 * MAX_KEYS):
        file.log.limited(f"key-{number}", 60).info("written")
    assert len(file.log._silences) == MAX_KEYS


def test_a_bug_has_its_traceback_in_bounds(file: _File) -> None:
    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        raise ValueError("x" * 10_000)

    try:
        deep(1)
    except ValueError as error:
        file.log.failure("task_failed", error, task="probe")
    (event,) = file.events()
    assert (event["level"], event["event"], event["task"], event["error"]) == (
        "error",
        "task_failed",
        "probe",
        "ValueError",
    )
    assert len(event["traceback"]) == MAX_TRACEBACK


def test_a_bug_that_strikes_every_request_is_told_once(file: _File) -> None:
    for _ in range(100):
        file.log.limited("bug", 60).failure("internal_error", RuntimeError("again"), where="pipeline")
    (event,) = file.events()
    assert (event["error"], event["where"]) == ("RuntimeError", "pipeline")
    assert event["traceback"] == "RuntimeError: again\n"


def test_lines_of_many_threads_stay_whole(file: _File) -> None:
    def speak(name: int) -> None:
        for number in range(300):
            file.log.info("spoken", thread=name, number=number)

    threads = [threading.Thread(target=speak, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = file.events()
    for name in range(4):
        assert [event["number"] for event in events if event["thread"] == name] == list(range(300))


def test_a_line_logged_while_another_is_made_locks_nothing_up(file: _File) -> None:
    class Chatty:
        def __str__(self) -> str:
            file.log.limited("inner", 60).info("inner")
            return "done"

    def speak() -> None:
        file.log.limited("outer", 60).info("outer", field=Chatty())

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    speaker.join(10)
    assert not speaker.is_alive(), "it waits for itself"
    assert [(event["event"], event.get("field")) for event in file.events()] == [("inner", None), ("outer", "done")]


def test_a_stuck_stderr_holds_nothing_up() -> None:
    with Pipe() as pipe:
        log = Log(pipe.writer)
        begun = time.monotonic()
        for _ in range(2000):
            log.error("x" * 1000)
        assert time.monotonic() - begun < 3, "the caller waited for the pipe"
        assert log.dropped > 0
        pipe.stop_reading()
        log.close()


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # so that nothing closes pytest's own
    yield
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("root_logger")
def test_what_libraries_log_becomes_lines(file: _File) -> None:
    capture_stdlib(file.log)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("careful: %s\n", "a b")
    logging.getLogger("some.library").warning("broken: %d", "text")
    try:
        int("no number")
    except ValueError:
        logging.getLogger("other").exception("it failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    first, broken, failed, warned = file.events()
    assert first | {"time": ""} == {
        "time": "",
        "level": "warning",
        "event": "library",
        "logger": "some.library",
        "message": "careful: a b\n",
    }
    assert broken["message"] == "broken: %d"
    assert (failed["level"], failed["message"], failed["error"]) == ("error", "it failed", "ValueError")
    assert "ValueError: invalid literal" in failed["traceback"]
    assert (warned["logger"], warned["level"]) == ("py.warnings", "warning")


@pytest.mark.usefixtures("root_logger")
async def test_a_lost_tasks_failure_becomes_a_line(file: _File) -> None:
    capture_stdlib(file.log)

    async def fail() -> None:
        raise RuntimeError("nobody awaits me")

    task = asyncio.create_task(fail())
    while not task.done():
        await asyncio.sleep(0)
    del task
    (event,) = file.events()
    assert (event["logger"], event["error"]) == ("asyncio", "RuntimeError")


def test_stderr_is_where_it_goes_unless_told(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.info("ready")
    log.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "ready"


def test_descriptors_are_given_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = Log()
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before
