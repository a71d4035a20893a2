"""The machine under the bench: its cores, what else ran on them meanwhile, and how steady it was."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """The core for the load (wrk and the origin) and the core for the proxy; SystemExit when there are not two."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("the bench needs two cores: one for the proxy, one for wrk and the origin")
    return usable[0], usable[-1]


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Processes started inside inherit this core and no other."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_model() -> str:
    """The processor's name and the number of cores, as the table states them."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = names[0].split(":", 1)[1].strip() if names else os.uname().machine
    return f"{name}, {os.cpu_count()} cores"


def core_times(core: int) -> tuple[float, float]:
    """Seconds that `core` has been busy, and that the hypervisor took from it, since boot."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq) / TICKS, steal / TICKS
    raise LookupError(f"no core {core} in /proc/stat")


def spin(core: int) -> float:
    """CPU seconds of a fixed loop on `core`: what it takes more at times is the machine's own unsteadiness."""
    with pinned(core):
        started = time.process_time()
        total = 0
        for number in range(400_000):
            total += number
        return time.process_time() - started
