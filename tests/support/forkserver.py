"""Starts gateways by forking a process that has imported the program: the imports cost more than most tests.

What comes of a fork is a process like any other, with a pid, signals, descriptors and an exit code; it only begins
where `python -m gateway` has read its modules. Tests of that beginning itself start the command (`afresh`).

    python -m tests.support.forkserver DESCRIPTOR      # the server, whose control socket that is
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LONGEST = 1 << 17  # bytes of a request; an environment is a tenth of it
#: What `gateway run` has imported when it is ready; it finds some of these only on its way.
IMPORTED = ("gateway.cli.main", "gateway.cli.run", "gateway.settings.loader", "anyio._backends._asyncio")
PATIENCE = 30.0  # seconds for the imports, on a busy machine


class Forked:
    """As much of `subprocess.Popen` as the tests use, for a child of the server."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._over = threading.Event()

    def ended(self, code: int) -> None:
        """The server has seen its end."""
        self.returncode = code
        self._over.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._over.wait(timeout):
            raise subprocess.TimeoutExpired("gateway", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # its end is on its way to us
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The server as the tests' process sees it; may be used from several threads."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-W", "always::ResourceWarning"),
                    *("-m", "tests.support.forkserver", str(theirs.fileno())),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # no terminal, for which Python would buffer otherwise
                pass_fds=[theirs.fileno()],
            )
        self._turn = threading.Lock()
        self._running: dict[int, Forked] = {}
        self._started: queue.SimpleQueue[Forked | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self, arguments: list[str], environment: dict[str, str], stdout: int, stderr: int) -> Forked:
        """Run `gateway ARGUMENTS` with these two descriptors, which stay the caller's to close."""
        request = json.dumps({"arguments": arguments, "environment": environment}).encode()
        with self._turn:
            socket.send_fds(self._control, [request], [stdout, stderr])
            forked = self._started.get(timeout=PATIENCE)
        assert forked is not None, "the server of forks has ended; its stderr says why"
        return forked

    def _listen(self) -> None:
        while message := self._control.recv(LONGEST):
            told: dict[str, int] = json.loads(message)
            if "code" in told:
                self._running.pop(told["pid"]).ended(told["code"])
            else:
                forked = self._running[told["pid"]] = Forked(told["pid"])
                self._started.put(forked)
        self._started.put(None)

    def close(self) -> None:
        """End the server, and with it what it has started."""
        self._control.shutdown(socket.SHUT_WR)
        self._process.wait(PATIENCE)
        self._listener.join(PATIENCE)
        self._control.close()


@functools.cache
def server() -> ForkServer:
    """The one server of this process, started when first asked for."""
    made = ForkServer()
    atexit.register(made.close)
    return made


def serve(control: socket.socket) -> list[str] | None:
    """Fork a child for each request: in it, the arguments for the program; in the server None, at its end."""
    children: dict[int, int] = {}  # pids by descriptors that become readable when the child ends
    while True:
        for ready in select.select([control, *children], [], [])[0]:
            if ready is not control:
                pid = children.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                control.send(json.dumps({"pid": pid, "code": code}).encode())
                continue
            message, descriptors, _, _ = socket.recv_fds(control, LONGEST, 2)
            if not message:
                for pid in children.values():
                    os.kill(pid, signal.SIGKILL)
                return None
            request: dict[str, Any] = json.loads(message)
            if not (pid := os.fork()):
                control.close()
                become(request["environment"], descriptors, children)
                return list(request["arguments"])
            for descriptor in descriptors:
                os.close(descriptor)
            control.send(json.dumps({"pid": pid}).encode())
            children[os.pidfd_open(pid)] = pid


def become(environment: dict[str, str], descriptors: list[int], of_server: dict[int, int]) -> None:
    """In the child: what a process of its own would have, and nothing of the server's."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for theirs in of_server:
        os.close(theirs)
    for ours, theirs in enumerate(descriptors, start=1):
        os.dup2(theirs, ours)
        os.close(theirs)
    os.environ.clear()
    os.environ.update(environment)


def main() -> int:
    """The server; then, in every child, the gateway."""
    for name in IMPORTED:
        import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the tests say when it ends
    gc.collect()
    gc.freeze()  # no child need look through the modules again, and copy their pages for it
    with socket.socket(fileno=int(sys.argv[1])) as control:
        arguments = serve(control)
    if arguments is None:
        return 0
    code: int = import_module("gateway.cli.main").main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
