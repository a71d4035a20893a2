"""Lines go out in order and whole; a sink that is slow, full or gone costs lines, which are counted, never time."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gateway.telemetry.line_writer import BATCH, CLOSE_TIMEOUT, LineWriter
from tests.telemetry.sinks import Pipe, wait_until

Told = list[tuple[bool, str, int]]


def _line(number: int, size: int = 100) -> bytes:
    return b"%d " % number + b"x" * size + b"\n"


def _writer(sink: int, told: Told, *, max_buffered: int = 64 * 1024, delay: float = 0.01) -> LineWriter:
    return LineWriter(sink, max_buffered, delay=delay, on_dropping=lambda *what: told.append(what))


def test_all_lines_arrive_in_order(tmp_path: Path) -> None:
    told: Told = []
    with (tmp_path / "log").open("wb") as file:
        writer = _writer(file.fileno(), told, max_buffered=8 * BATCH)
        for number in range(5000):
            writer.write(_line(number))
        writer.close()
    assert (tmp_path / "log").read_bytes() == b"".join(map(_line, range(5000)))
    assert (writer.dropped, writer.buffered, told) == (0, 0, [])


def test_a_line_does_not_wait_for_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        writer = LineWriter(file, 1000, delay=0.01)
        writer.write(b"one\n")
        wait_until(lambda: path.read_bytes() == b"one\n")
        writer.write(b"two\n")
        wait_until(lambda: path.read_bytes() == b"one\ntwo\n")
        writer.close()


def test_many_lines_do_not_wait_for_the_delay(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        writer = LineWriter(file, 10_000, delay=3600)
        for number in range(60):
            writer.write(_line(number))
        wait_until(lambda: path.stat().st_size > 5000)
        writer.close()
    assert path.read_bytes() == b"".join(map(_line, range(60)))


def test_a_pipe_that_nobody_reads_costs_lines_and_no_time() -> None:
    told: Told = []
    with Pipe() as pipe:
        writer = _writer(pipe.writer, told)
        begun = time.monotonic()
        for number in range(10_000):
            writer.write(_line(number))
        assert time.monotonic() - begun < 3, "the caller waited for the pipe"
        assert writer.buffered <= 64 * 1024
        assert writer.dropped > 9_000
        assert writer.dropping == "the sink is slow"
        assert told == [(True, "the sink is slow", 1)]

        begun = time.monotonic()
        writer.close()
        assert time.monotonic() - begun < 3 * CLOSE_TIMEOUT


def test_a_pipe_that_is_read_again_gets_the_oldest_lines_and_then_new_ones() -> None:
    told: Told = []
    with Pipe() as pipe:
        writer = _writer(pipe.writer, told)
        for number in range(2000):
            writer.write(_line(number))
        kept = 2000 - writer.dropped
        assert pipe.lines(kept) == [_line(number)[:-1] for number in range(kept)]
        wait_until(lambda: not writer.dropping)
        assert told == [(True, "the sink is slow", 1), (False, "the sink takes lines again", writer.dropped)]
        writer.write(b"new\n")
        assert pipe.lines(1) == [b"new"]
        assert writer.dropped == 2000 - kept
        writer.close()


def test_a_reader_that_has_left_is_told_once() -> None:
    told: Told = []
    with Pipe() as pipe:
        writer = _writer(pipe.writer, told)
        pipe.stop_reading()
        for number in range(3):
            writer.write(_line(number))
            wait_until(lambda number=number: writer.dropped == number + 1)  # type: ignore[misc]
        assert writer.dropping == "Broken pipe"
        assert [(dropping, why) for dropping, why, _ in told] == [(True, "Broken pipe")]
        writer.close()
        assert writer.buffered == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_once_and_never_fills_the_memory() -> None:
    told: Told = []
    fd = os.open("/dev/full", os.O_WRONLY)
    writer = _writer(fd, told)
    os.close(fd)
    for number in range(3):
        writer.write(_line(number))
        wait_until(lambda number=number: writer.dropped == number + 1)  # type: ignore[misc]
    assert [(dropping, why) for dropping, why, _ in told] == [(True, "No space left on device")]
    assert writer.buffered == 0
    writer.close()


def test_a_line_torn_by_a_full_disk_spoils_no_other(tmp_path: Path) -> None:
    """A limit on the file's size stands for the disk: the first write past it is cut short, the next one fails."""
    script = """
        import resource, sys, time
        from gateway.telemetry.line_writer import LineWriter

        def settle(condition):
            while not condition():
                time.sleep(0.005)

        told = []
        file = open(sys.argv[1], "ab")
        resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
        writer = LineWriter(file, 1000, delay=0.1, on_dropping=lambda *what: told.append(what))
        for number in range(4):
            writer.write(b"line %d...\\n" % number)
        settle(lambda: writer.buffered == 0)
        writer.write(b"meanwhile\\n")
        settle(lambda: writer.buffered == 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.write(b"after 1\\n")
        settle(lambda: writer.buffered == 0)
        writer.write(b"after 2\\n")
        writer.close()
        print(writer.dropped, told)
    """
    path = tmp_path / "log"
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True)
    assert path.read_bytes() == b"line 0...\nline 1...\nline \nafter 1\nafter 2\n"
    assert done.stdout == "3 [(True, 'File too large', 2), (False, 'the sink takes lines again', 3)]\n"


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    told: Told = []
    with Pipe() as pipe:
        os.set_blocking(pipe.writer, False)
        writer = _writer(pipe.writer, told)
        for number in range(300):
            writer.write(_line(number))
        time.sleep(0.1)
        assert pipe.lines(300) == [_line(number)[:-1] for number in range(300)]
        writer.close()
        assert (writer.dropped, told) == (0, [])


def test_closing_a_stuck_writer_is_bounded_also_when_the_descriptor_does_not_block() -> None:
    with Pipe() as pipe:
        os.set_blocking(pipe.writer, False)
        writer = _writer(pipe.writer, [])
        for number in range(300):
            writer.write(_line(number))
        begun = time.monotonic()
        writer.close()
        assert time.monotonic() - begun < 3 * CLOSE_TIMEOUT
        wait_until(lambda: not writer._thread.is_alive())


def test_lines_after_the_close_are_dropped_and_counted(tmp_path: Path) -> None:
    told: Told = []
    with (tmp_path / "log").open("wb") as file:
        writer = _writer(file.fileno(), told)
        writer.write(b"in time\n")
        writer.close()
        writer.close()
        writer.write(b"too late\n")
    assert (tmp_path / "log").read_bytes() == b"in time\n"
    assert (writer.dropped, told) == (1, [])


def test_the_descriptor_is_its_own(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file, 1000, delay=0.05)
        writer.write(b"kept\n")
    with (tmp_path / "other").open("wb"):
        writer.close()
    assert (tmp_path / "log").read_bytes() == b"kept\n"
    assert (tmp_path / "other").read_bytes() == b""


def test_a_process_that_ends_without_closing_loses_nothing(tmp_path: Path) -> None:
    script = """
        import sys
        from gateway.telemetry.line_writer import LineWriter
        writer = LineWriter(open(sys.argv[1], "ab"), 1000, delay=3600)
        writer.write(b"last words\\n")
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "log")]
    subprocess.run(command, check=True, timeout=60)
    assert (tmp_path / "log").read_bytes() == b"last words\n"
