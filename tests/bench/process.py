"""A server process of the bench: started on its core, watched through /proc, stopped for certain."""

import http.client
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.bench.machine import TICKS, pinned


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICKS  # utime, stime, cutime, cstime


class Process:
    """A command pinned to one core, its standard output appended to `stdout` and its errors to `stderr`."""

    def __init__(self, command: list[str], core: int, stdout: Path, stderr: Path) -> None:
        self.stderr = stderr
        # GOMAXPROCS is what Go would choose by itself on a machine of one core.
        env = os.environ | {"GOMAXPROCS": "1"}
        with pinned(core), stdout.open("ab") as out, stderr.open("ab") as err:
            self.popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, start_new_session=True
            )

    def wait_until_ready(self, port: int, seconds: float = 20.0) -> None:
        """Return when `port` answers with 200; RuntimeError with the last line it wrote when it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.popen.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/")
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.05)
        lines = self.stderr.read_text(errors="replace").strip().splitlines()
        raise RuntimeError(lines[-1][:200] if lines else f"no answer within {seconds:.0f} s")

    def tree(self) -> list[int]:
        """The process and its descendants (nginx's worker, say)."""
        pids = [self.popen.pid]
        for pid in pids:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                pids += map(int, children.read_text().split())
        return pids

    def cpu_seconds(self) -> float:
        """User and system time of all threads of the tree, and of children that have ended."""
        return sum(map(cpu_seconds, self.tree()))

    def rss(self) -> int:
        """Resident bytes of the tree; pages that master and worker share count twice."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in self.tree())

    def stop(self) -> None:
        """End the whole session, gently at first."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()
