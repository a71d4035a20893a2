"""The engine as a command, a container as what can be seen of it, and requests from inside its network namespace."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DEADLINE = 30.0  # seconds for whatever should happen soon, on a busy machine

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def podman(*arguments: str, check: bool = True, within: float = DEADLINE) -> subprocess.CompletedProcess[str]:
    """Run it; a failure shows what it said."""
    done = subprocess.run(
        ["podman", *arguments], check=False, env=environment(), capture_output=True, text=True, timeout=within
    )
    assert done.returncode == 0 or not check, f"podman {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def environment() -> dict[str, str]:
    return {**os.environ, "CONTAINERS_CONF": str(HERE / "containers.conf")}


def image(name: str) -> dict[str, Any]:
    """What the engine knows of an image."""
    return json.loads(podman("image", "inspect", name).stdout)[0]


class Container:
    """A container that runs, or has."""

    def __init__(self, name: str, *arguments: str) -> None:
        """`arguments`: of `podman run`."""
        self.name = name
        podman("run", "--detach", "--name", name, *arguments)
        #: Its first process, as the host sees it.
        self.pid = int(podman("container", "inspect", "--format={{.State.Pid}}", name).stdout)

    @property
    def running(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def started(self) -> float:
        """When its first process began, on the clock of time.monotonic(), to a hundredth of a second."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        boottime = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
        return boottime - (time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic())

    def exec(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return podman("exec", self.name, *command, check=check)

    def exec_beside(self, *command: str) -> subprocess.Popen[str]:
        """Begin a command in it, and go on."""
        return subprocess.Popen(
            ["podman", "exec", self.name, *command],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def signal(self, name: str) -> None:
        podman("kill", "--signal", name, self.name)

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        return int(podman("wait", self.name).stdout)

    def logs(self) -> list[dict[str, Any]]:
        """Its lines, of both kinds; all are JSON."""
        done = podman("logs", self.name)
        return [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]

    def remove(self) -> None:
        podman("rm", "--force", "--time", "0", self.name, check=False)


class Network:
    """The network namespace of a process, from which connections can be opened."""

    def __init__(self, pid: int) -> None:
        self._there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._there)

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of its loopback. A socket stays in the namespace in which it was made."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self._there)
            try:
                sock = socket.socket()
            finally:
                _enter(here)
        finally:
            os.close(here)
        sock.settimeout(DEADLINE)
        try:
            sock.connect(("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        return sock

    def ask(self, port: int, path: str, **fields: str) -> Asked:
        """Send a request, and take its answer later."""
        connection = HTTPConnection("127.0.0.1", port)
        connection.sock = self.connect(port)
        connection.request("GET", path, headers={"Connection": "close", **fields})
        return Asked(connection)

    def get(self, port: int, path: str) -> Answer:
        return self.ask(port, path).answer()

    def status(self, port: int, path: str) -> int | None:
        """The status of an answer, None where there is none."""
        try:
            return self.get(port, path).status
        except (OSError, HTTPException):
            return None

    def accepts(self, port: int) -> bool:
        try:
            self.connect(port).close()
        except OSError:
            return False
        return True


class Asked:
    """A request under way."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def answer(self) -> Answer:
        try:
            response = self._connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            self._connection.close()


class Answer:
    """A response, read whole."""

    def __init__(self, status: int, fields: dict[str, str], body: str) -> None:
        self.status = status
        self.fields = fields
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def until(condition: Callable[[], bool], what: str, within: float = DEADLINE, pause: float = 0.005) -> float:
    """Wait for something; return when it was seen, on the clock of time.monotonic()."""
    limit = time.monotonic() + within
    while not condition():
        assert time.monotonic() < limit, f"not after {within} s: {what}"
        time.sleep(pause)
    return time.monotonic()
