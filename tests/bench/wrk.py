"""wrk, as the bench uses it: one thread, a number of kept-alive connections, its counters as numbers."""

import dataclasses
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.machine import pinned

SAME = Path(__file__).with_name("wrk.lua")
VARIED = Path(__file__).with_name("wrk-varied.lua")


@dataclasses.dataclass(frozen=True)
class Load:
    """What one run of wrk saw. `p50` and `p99` are microseconds, `bytes` whole responses with their heads."""

    seconds: float
    requests: int
    bytes: int
    p50: int
    p99: int
    bad_status: int
    socket_errors: int


def run(
    port: int,
    connections: int,
    seconds: int,
    core: int,
    path: str = "/",
    fields: Sequence[str] = (),
    *,
    varied: int = 0,
) -> Load:
    """Load `path` at `port` on loopback for whole `seconds` from `core`, with header `fields`.

    `varied`: no two requests are the same, and each user asks so many times; 0 for all the same.
    """
    url = f"http://127.0.0.1:{port}{path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(VARIED if varied else SAME)]
    command += [*(word for field in fields for word in ("-H", field)), url, *(("--", str(varied)) if varied else ())]
    with pinned(core):
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    return Load(**json.loads(done.stdout.strip().splitlines()[-1]))
