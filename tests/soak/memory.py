"""How much resident memory a process takes at most while something happens, by the kernel's own high-water mark."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

MIB = 1 << 20


def resident(pid: int) -> int:
    """Bytes now."""
    return _status(pid, "VmRSS")


class Watch:
    """Use as a context manager: `peak` in bytes. Nothing that comes and goes in between escapes it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak = 0

    def __enter__(self) -> Watch:
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # begin the mark anew, see proc(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peak = _status(self._pid, "VmHWM")


def _status(pid: int, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, field
    return int(found[1]) * 1024
