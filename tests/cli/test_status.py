"""`gateway status`: pages for people, JSON for programs, codes for scripts; again and again until Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.cli.main import main
from tests.cli.conftest import Background

Capture = pytest.CaptureFixture[str]


def test_the_summary(admin: Background, capsys: Capture) -> None:
    admin.insides.breakers.open("app")
    assert main(["status", "--url", admin.url]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0].startswith("gateway 0.1.0: degraded, ready, up 62m, instance ")
    for part in ("upstream:app", "the breaker is open", "`gateway breakers` shows it", "open (held)"):
        assert part in said
    assert ["ingress", "1m", "2.0", "5.0%", "3", "12.0ms", "250.0ms", "1.50s"] in [line.split() for line in lines]
    assert "state: memory up, redis down" in lines
    assert "in flight: ingress 2, egress 0" in lines


def test_json(admin: Background, capsys: Capture) -> None:
    assert main(["status", "--url", admin.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"][0]["name"] == "upstream:app"


def test_codes_for_scripts(admin: Background, capsys: Capture) -> None:
    assert main(["status", "--check", "--url", admin.url]) == 1
    assert "degraded" in capsys.readouterr().out
    assert main(["status", "--check", "--url", admin.url, "health"]) == 1
    admin.insides.watch.fine = True
    assert main(["status", "--check", "--url", admin.url]) == 0
    admin.close()
    assert main(["status", "--check", "--url", admin.url]) == 3


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["health"], ["upstream:app", "event_loop", "`gateway breakers` shows it"]),
        (["connections", "--over", "60"], ["TUNNELS", "CONNECTING", "43s", "answering", "GET /events", "3.1 KiB"]),
        (["slow", "-n", "5"], ["Slowest of the last hour:", "2.50s", "2.40s of app", "POST /api/generate", "61.00s"]),
        (["routes", "--window", "1m"], ["route-0", "250.0ms", "10 more"]),
    ],
)
def test_pages(admin: Background, words: list[str], parts: list[str], capsys: Capture) -> None:
    assert main(["status", *words, "--url", admin.url]) == 0
    said = capsys.readouterr().out
    assert [part for part in parts if part not in said] == []


def test_what_is_asked_for_is_what_the_arguments_say(admin: Background) -> None:
    for words in (["connections", "--over", "60", "-n", "3"], ["slow", "-n", "5"], ["routes", "--window", "start"]):
        assert main(["status", *words, "--url", admin.url]) == 0
    assert admin.insides.watch.asked == [(60.0, 3), 5, "start"]


@pytest.mark.parametrize(
    "words",
    [
        ["speed"],
        ["slow", "-n", "0"],
        ["routes", "--window", "2m"],
        ["--every", "1ms"],
        ["connections", "--over", "x"],
    ],
)
def test_wrong_usage(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["status", *words])
    assert raised.value.code == 2


# ---- again and again


@contextmanager
def watching(*words: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gateway", "status", "--watch", "--every", "200ms", *words]
    with subprocess.Popen(command, **options) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def read_until(fd: int, ready: bytes, count: int, within: float = 30.0) -> bytes:
    """What comes until `ready` has come so often."""
    said, limit = b"", time.monotonic() + within
    while said.count(ready) < count:
        assert select.select([fd], [], [], max(0.0, limit - time.monotonic()))[0], said
        read = os.read(fd, 65536)
        assert read, said
        said += read
    return said


def test_it_is_watched_through_a_pipe(admin: Background) -> None:
    with watching("--url", admin.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        read_until(process.stdout.fileno(), b"gateway 0.1.0: degraded", 2)
        port = admin.port
        admin.close()
        read_until(process.stdout.fileno(), b"cannot be reached", 1)
        admin.serve(port)
        said = read_until(process.stdout.fileno(), b"gateway 0.1.0: degraded", 1)
        assert b"\x1b" not in said
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr.read() == b""


def test_it_is_watched_as_lines_of_json(admin: Background) -> None:
    with watching("routes", "--json", "--url", admin.url, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert json.loads(process.stdout.readline())["total"] == 30
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_it_ends_with_who_reads_it(admin: Background, words: list[str]) -> None:
    with watching(*words, "--url", admin.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(10) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize(("term", "in_place"), [("xterm-256color", True), ("dumb", False)])
def test_it_is_watched_on_a_terminal(admin: Background, term: str, in_place: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "80", "LINES": "40"}
    try:
        with watching("--url", admin.url, stdout=theirs, stderr=theirs, env=environment) as process:
            said = read_until(ours, b"gateway 0.1.0: degraded", 2)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
    finally:
        os.close(theirs)
        os.close(ours)
    assert (b"\x1b[?1049h" in said) == in_place  # the other screen of the terminal
    assert in_place or b"\x1b" not in said
