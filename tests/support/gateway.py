"""The program under test as a process: started on a config, watched through its log lines, metrics and /proc.

Independent of any event loop: threads read its output, so that one gateway can serve many tests. stop() fails on
whatever a gateway must never do, whichever test provoked it: a traceback, a line that is not JSON, an exit code.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.client import Address, fetch
from tests.support.faults import descriptors
from tests.support.forkserver import Forked, server
from tests.support.message import Response
from tests.support.wire import DEADLINE

ROOT = Path(__file__).parents[2]
START = 30.0  # seconds; a start under a full test run on two cores
SIGNS = ("Traceback", "never retrieved")  # of a bug in what it says
Line = dict[str, Any]


class Gateway:
    """`gateway ARGUMENTS` and all that can be seen of it from outside."""

    def __init__(self, directory: Path, config: dict[str, Any] | None = None, *arguments: str) -> None:
        self.path = directory / "gateway.yaml"
        self.access: list[Line] = []  # stdout: one line a request
        self.events: list[Line] = []  # stderr: operational lines
        self.garbage: list[str] = []  # lines that are no JSON object
        self.bugs: list[str] = []  # lines that tell of one
        self._arguments = list(arguments)
        self._threads: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | Forked | None = None
        if config is not None:
            self.write(config)
            self._arguments = ["run", "--config", str(self.path), *arguments]

    # its life

    def write(self, config: dict[str, Any]) -> None:
        """Put a config in place at once, as an editor or a deployment tool does."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(config, sort_keys=False))
        fresh.replace(self.path)

    def start(self, environment: dict[str, str] | None = None, *, afresh: bool = False) -> Gateway:
        """Start it and wait until it says that it is ready. The failure of a failed start shows its stderr."""
        self.spawn(environment, afresh=afresh)
        until = time.monotonic() + START
        while not any(event.get("event") == "ready" for event in self.events):
            if self.process.poll() is not None or time.monotonic() > until:
                code = self.process.poll()
                self.kill()
                raise AssertionError(f"the gateway did not start (exit code {code}):\n{self.stderr}")
            time.sleep(0.005)
        return self

    def spawn(self, environment: dict[str, str] | None = None, *, afresh: bool = False) -> Gateway:
        """Begin it: as a fork of what has imported the program, or `afresh` as the command it is for its users."""
        stdout, stderr = os.pipe(), os.pipe()
        everything = {**os.environ, **(environment or {})}
        if afresh:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "always::ResourceWarning", "-m", "gateway", *self._arguments],
                cwd=ROOT,
                env=everything,
                stdin=subprocess.DEVNULL,
                stdout=stdout[1],
                stderr=stderr[1],
            )
        else:
            self._process = server().start(self._arguments, everything, stdout[1], stderr[1])
        for (reading, writing), lines in ((stdout, self.access), (stderr, self.events)):
            os.close(writing)
            stream = open(reading, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  (the thread closes it)
            thread = threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def _read(self, stream: IO[str], lines: list[Line]) -> None:
        with stream:
            for text in stream:
                try:
                    line = json.loads(text)
                except ValueError:
                    line = None
                if isinstance(line, dict):
                    lines.append(line)
                else:
                    self.garbage.append(text.rstrip("\n"))
                if any(sign in text for sign in SIGNS):
                    self.bugs.append(text)

    @property
    def process(self) -> subprocess.Popen[bytes] | Forked:
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def stderr(self) -> str:
        return "\n".join([*(json.dumps(event) for event in self.events), *self.garbage])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def sighup(self) -> None:
        self.signal(signal.SIGHUP)

    def sigterm(self) -> None:
        self.signal(signal.SIGTERM)

    async def wait(self, within: float = 10.0) -> int:
        """Its exit code, when it has ended by itself within that many seconds."""
        await until(lambda: not self.alive, "the gateway's exit", within)
        self._join()
        return self.process.returncode

    def kill(self) -> None:
        if self.alive:
            self.process.kill()
        if self._process is not None:
            self.process.wait()
        self._join()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(5)

    def stop(self, within: float = 10.0) -> None:
        """End it (SIGINT where it still runs) and fail on what no gateway may do."""
        ran = self.alive
        if ran:
            self.signal(signal.SIGINT)
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"SIGINT did not end it in {within} s:\n{self.stderr}") from None
        self.kill()
        self.check_output()
        assert not ran or self.process.returncode == 0, f"exit code {self.process.returncode}:\n{self.stderr}"

    def check_output(self) -> None:
        """Nothing but JSON lines, and no traceback in any, whatever was sent to it."""
        assert not self.garbage, "not JSON:\n" + "\n".join(self.garbage[:50])
        assert not self.bugs, "\n".join(self.bugs[:10])

    # where it listens

    def address(self, listener: str) -> Address:
        for event in reversed(self.events):
            if event.get("event") == "listening" and event.get("listener") == listener:
                host, _, port = str(event["address"]).rpartition(":")
                return host.strip("[]"), int(port)
        raise AssertionError(f"it does not listen for {listener}:\n{self.stderr}")

    @property
    def ingress(self) -> Address:
        return self.address("ingress")

    @property
    def egress(self) -> Address:
        return self.address("egress")

    @property
    def metrics(self) -> Address:
        return self.address("metrics")

    # what it says

    async def access_line(self, within: float = DEADLINE, **fields: Any) -> Line:
        """The access line with these fields, once it is there."""
        return await self._line(self.access, fields, within)

    async def event(self, within: float = DEADLINE, **fields: Any) -> Line:
        """The operational line with these fields, once it is there."""
        return await self._line(self.events, fields, within)

    async def _line(self, lines: list[Line], fields: Line, within: float) -> Line:
        found: list[Line] = []

        def there() -> bool:
            found[:] = [line for line in lines if fields.items() <= line.items()]
            return bool(found)

        try:
            await until(there, f"a line with {fields}", within)
        except AssertionError as error:
            last = "\n".join(json.dumps(line) for line in lines[-10:])
            raise AssertionError(f"{error}; the last lines:\n{last}\n{self.stderr[-3000:]}") from None
        return found[-1]

    async def get(self, path: str) -> Response:
        """GET on the metrics listener."""
        return await fetch(self.metrics, "GET", path, [("Connection", "close")])

    async def samples(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Every sample of that name (as Prometheus stores it: with _total, _bucket, ...) by its labels."""
        text = (await self.get("/metrics")).body.decode()
        return {
            frozenset(sample.labels.items()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    async def metric(self, name: str, /, **labels: str) -> float:
        """The sum over the samples that have these labels; 0 when there is none."""
        samples = await self.samples(name)
        return sum(value for have, value in samples.items() if labels.items() <= set(have))

    async def metric_is(self, value: float, name: str, /, *, within: float = DEADLINE, **labels: str) -> None:
        """Wait until the metric has that value."""
        limit = time.monotonic() + within
        while (now := await self.metric(name, **labels)) != value:
            if time.monotonic() > limit:
                raise AssertionError(f"{name}{labels} is {now}, not {value}, after {within} s")
            await asyncio.sleep(0.02)

    def rss(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def fds(self) -> int:
        return len(descriptors(self.pid))

    async def rests(self, fds: int, within: float = DEADLINE) -> None:
        """Nothing is in flight any more, and no more descriptors are open than `fds`."""
        in_flight: dict[frozenset[tuple[str, str]], float] = {}
        limit = time.monotonic() + within
        while True:
            in_flight = {k: v for k, v in (await self.samples("gateway_in_flight")).items() if v}
            if not in_flight and self.fds() <= fds:
                return
            if time.monotonic() > limit:
                raise AssertionError(f"in flight: {in_flight}; descriptors: {self.fds()}, at first {fds}")
            await asyncio.sleep(0.02)


async def until(ready: Callable[[], bool], what: str, within: float = DEADLINE) -> None:
    """Wait for a state that nothing announces; the test fails after `within` seconds."""
    limit = time.monotonic() + within
    while not ready():
        assert time.monotonic() < limit, f"waited {within} s for {what}"
        await asyncio.sleep(0.005)
