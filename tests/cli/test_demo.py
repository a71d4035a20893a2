"""`gateway demo` as a newcomer meets it: what it prints works, and when it ends nothing of it is left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
WAIT = 60.0  # seconds for what takes one or two; the machine may be busy
ANYWHERE = dict.fromkeys(("GATEWAY_INGRESS", "GATEWAY_EGRESS", "GATEWAY_METRICS", "GATEWAY_ADMIN"), "127.0.0.1:0")


class Demo:
    """A demo on free ports, its output in files."""

    def __init__(self, directory: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.out, self.err = directory / "out", directory / "err"
        ports = ("--app-port", "0", "--provider-port", "0")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "demo", *(arguments or ports)],
                cwd=ROOT,
                env={**os.environ, **ANYWHERE, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def printed(self, text: str) -> str:
        """What was printed, once `text` is in it."""
        until = time.monotonic() + WAIT
        while text not in self.out.read_text():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < until, self.err.read_text()
            time.sleep(0.02)
        return self.out.read_text()

    def steps(self) -> list[str]:
        """The lines to try."""
        return re.findall(r"^   ((?:curl|for) .*)$", self.printed("Ctrl-C ends it"), re.MULTILINE)

    def children(self) -> list[int]:
        """The processes that it started."""
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def ends(self) -> int:
        """The exit code."""
        return self.process.wait(WAIT)

    def close(self) -> None:
        """End what a failed test left running, the gateway too."""
        if self.process.poll() is None:
            children = self.children()
            for pid in (self.process.pid, *children):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path)
    yield running
    running.close()


def try_it(command: str) -> str:
    """What a line of the tour puts out."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done
    return done.stdout


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody waits for has, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_line_of_the_tour_shows_what_it_says(demo: Demo) -> None:
    correlation, stream, breaker, metrics, refusal, limit, cache = demo.steps()

    head, _, body = try_it(correlation).replace("\r\n", "\n").partition("\n\n")
    assert "X-Correlation-ID: tour-1" in head
    assert ["X-Correlation-ID", "tour-1"] in json.loads(body)["headers"]

    events = try_it(stream).strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert said == "You said: Hello from the tour"

    assert try_it(breaker).split() == ["500"] * 5 + ["503"]

    counted = try_it(metrics)
    assert re.search(r'^gateway_breaker_state\{upstream="openai"\} 2', counted, re.MULTILINE)
    assert re.search(r'^gateway_requests_total\{.*route="openai".*status="500".*\} 5', counted, re.MULTILINE)

    head, _, body = try_it(refusal).replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 504 ")
    assert "Proxy-Status: gateway; error=http_response_timeout" in head
    assert "Content-Type: application/problem+json" in head
    assert json.loads(body)["correlation_id"] in head

    statuses, _, refused = try_it(limit).replace("\r\n", "\n").partition("HTTP/1.1 ")
    assert statuses.split() == ["200"] * 3
    head, _, body = refused.partition("\n\n")
    assert head.startswith("429 ")
    assert re.search(r"^Retry-After: \d+$", head, re.MULTILINE)
    assert re.search(r'^RateLimit: "generate-1";r=0;t=\d+$', head, re.MULTILINE)
    assert json.loads(body)["type"] == "urn:gateway:problem:rate-limited"

    missed, hit, _ = re.split(r"^[0-9.]+ s$", try_it(cache).replace("\r\n", "\n"), flags=re.MULTILINE)
    assert "\nCache-Status: gateway; fwd=uri-miss; stored\n" in missed
    assert re.search(r"^Cache-Status: gateway; hit; ttl=\d+$", hit, re.MULTILINE)
    assert re.search(r"^Age: \d+$", hit, re.MULTILINE)
    assert missed.splitlines()[-1] == hit.splitlines()[-1], "the list says when it was made"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(demo: Demo, number: signal.Signals) -> None:
    demo.steps()
    children = demo.children()
    assert len(children) == 1
    demo.process.send_signal(number)
    assert demo.ends() == 0, demo.err.read_text()
    assert all(gone(pid) for pid in children)
    assert "Traceback" not in demo.err.read_text()
    assert '"event":"stopped","clean":true' in demo.err.read_text()


def test_ctrl_c_reaches_the_whole_group_and_it_ends_all_the_same(demo: Demo) -> None:
    """A terminal sends SIGINT to the gateway too, not only to the demo."""
    demo.steps()
    children = demo.children()
    for pid in (demo.process.pid, *children):
        os.kill(pid, signal.SIGINT)
    assert demo.ends() == 0, demo.err.read_text()
    assert all(gone(pid) for pid in children)


def test_an_endless_stream_does_not_keep_it(demo: Demo) -> None:
    """The second signal ends what the drain would wait for."""
    ingress = re.search(r"ingress +(http://\S+)", demo.printed("Ctrl-C ends it"))
    assert ingress
    children = demo.children()
    with urlopen(f"{ingress[1]}/api/events?interval=60", timeout=WAIT) as stream:
        assert stream.readline().startswith(b"id: 1")
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        demo.process.send_signal(signal.SIGINT)
        assert demo.ends() in (0, 1)
    assert all(gone(pid) for pid in children)


@pytest.mark.parametrize("option", ["--app-port", "--provider-port"])
def test_a_taken_port_of_ours_is_named(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = {"--app-port": "0", "--provider-port": "0", option: str(port)}
        demo = Demo(tmp_path, *(word for pair in arguments.items() for word in pair))
        assert demo.ends() == 3
    said = demo.err.read_text()
    assert f"127.0.0.1:{port}: address already in use" in said
    assert option in said
    assert "Traceback" not in said


@pytest.mark.parametrize("listener", list(ANYWHERE))
def test_a_taken_port_of_the_gateways_is_named(tmp_path: Path, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = Demo(tmp_path, environment={listener: f"127.0.0.1:{port}"})
        assert demo.ends() == 3
    said = demo.err.read_text()
    assert str(port) in said
    assert "in use" in said
    assert listener in said
    assert "Traceback" not in said


def test_a_port_that_cannot_be_is_named(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--app-port", "70000")
    assert demo.ends() == 3
    assert "no such port" in demo.err.read_text()


def test_a_wrong_config_ends_with_its_mistake(tmp_path: Path) -> None:
    config = tmp_path / "wrong.yaml"
    config.write_text("ingres: {}\n")
    demo = Demo(tmp_path, "--config", str(config), "--app-port", "0", "--provider-port", "0")
    assert demo.ends() == 1
    assert f"{config}:1:1: " in demo.err.read_text()
