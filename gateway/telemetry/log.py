"""The operational log: what happens to the process, one line an event, on stderr.

Its lines take the way of `line_writer.py`, so a stuck stderr holds nothing up. It is safe on any thread.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from threading import RLock

from gateway.telemetry.line_writer import HasFileno, LineWriter
from gateway.telemetry.lines import Clock, json_line, text_line
from gateway.telemetry.log_level import LogLevel

#: Bytes that wait for a slow stderr.
MAX_BUFFERED = 1024 * 1024
#: Keys of `limited` that are remembered; past it the oldest is forgotten, and may speak once more.
MAX_KEYS = 1024
#: At most one traceback of ours in so many seconds from one place.
BUG_INTERVAL = 1.0
#: Characters of a traceback, from its end, that a line keeps.
MAX_TRACEBACK = 8192


class Log:
    """`log.info("event", key=value, …)`: the event is a short snake_case name, all that varies is a field."""

    def __init__(self, sink: int | HasFileno = 2, *, fmt: str = "json", level: str = "info") -> None:
        self._writer = LineWriter(sink, MAX_BUFFERED, delay=0.0)
        # A line may be logged while another is being made: by a lost task's __del__, when the collector runs.
        self._lock = RLock()
        self._clock = Clock()
        self._silences: dict[str, _Silence] = {}
        self.level = LogLevel(level)
        self.configure(fmt=fmt, level=level)

    def configure(self, *, fmt: str, level: str) -> None:
        """Change the format (`json` or `text`) and the least level that is written."""
        self._line: Callable[[dict[str, object]], bytes] = text_line if fmt == "text" else json_line
        self.level.configure(level)

    @property
    def dropped(self) -> int:
        """Lines dropped so far because stderr was slow or broken."""
        return self._writer.dropped

    def debug(self, event: str, **fields: object) -> None:
        """What only someone looking for a fault wants to read."""
        self.write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """What an operator expects to happen."""
        self.write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """What an operator should know of; traffic goes on."""
        self.write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """What somebody has to repair."""
        self.write("error", event, fields)

    def failure(self, event: str, error: BaseException, **fields: object) -> None:
        """A bug of ours, with its traceback; never for what a client or an upstream sent."""
        self.write("error", event, {**fields, **_told(error)})

    def bug(self, where: str, error: BaseException) -> None:
        """A bug of ours somewhere, whose traceback is told once in a while."""
        self.limited(f"bug:{where}", BUG_INTERVAL).failure("internal_error", error, where=where)

    def limited(self, key: str, seconds: float) -> Limited:
        """Speak at most once in `seconds` under `key`; the next line says how many were `suppressed`."""
        return Limited(self, key, seconds)

    def write(self, level: str, event: str, fields: dict[str, object]) -> None:
        """Write an event at a level named by a word."""
        if not self.level.writes(level):
            return
        with self._lock:
            now = self._clock.text(time.time())
            self._writer.write(self._line({"time": now, "level": level, "event": event, **fields}))

    def write_limited(self, level: str, event: str, fields: dict[str, object], key: str, seconds: float) -> None:
        """Write an event unless one was written under `key` within `seconds`; that one is counted instead."""
        if not self.level.writes(level):
            return
        now = time.monotonic()
        with self._lock:
            silence = self._silences.get(key)
            if silence is not None and now < silence.until:
                silence.suppressed += 1
                return
            self._silences.pop(key, None)
            if len(self._silences) >= MAX_KEYS:
                del self._silences[next(iter(self._silences))]
            self._silences[key] = _Silence(now + seconds)
        if silence is not None and silence.suppressed:
            fields = {**fields, "suppressed": silence.suppressed}
        self.write(level, event, fields)

    def close(self) -> None:
        """Write what is left, for at most a second."""
        self._writer.close()


class Limited:
    """A log that says a fault once, not a thousand times."""

    __slots__ = ("_key", "_log", "_seconds")

    def __init__(self, log: Log, key: str, seconds: float) -> None:
        self._log = log
        self._key = key
        self._seconds = seconds

    def info(self, event: str, **fields: object) -> None:
        """As `Log.info`, unless suppressed."""
        self._log.write_limited("info", event, fields, self._key, self._seconds)

    def warning(self, event: str, **fields: object) -> None:
        """As `Log.warning`, unless suppressed."""
        self._log.write_limited("warning", event, fields, self._key, self._seconds)

    def error(self, event: str, **fields: object) -> None:
        """As `Log.error`, unless suppressed."""
        self._log.write_limited("error", event, fields, self._key, self._seconds)

    def failure(self, event: str, error: BaseException, **fields: object) -> None:
        """As `Log.failure`, unless suppressed."""
        self._log.write_limited("error", event, {**fields, **_told(error)}, self._key, self._seconds)


def _told(error: BaseException) -> dict[str, object]:
    text = "".join(traceback.format_exception(error))
    return {"error": type(error).__name__, "traceback": text[-MAX_TRACEBACK:]}


class _Silence:
    __slots__ = ("suppressed", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.suppressed = 0


class StdlibHandler(logging.Handler):
    """Takes the records of libraries (asyncio, aiohttp, warnings), so that they too are lines of this log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that cannot be formatted must not break the code that logged it."""
        fields: dict[str, object] = {"logger": record.name}
        try:
            fields["message"] = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's broken format string, told as it stands
            fields["message"] = str(record.msg)
        level = "error" if record.levelno >= logging.ERROR else "warning"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.failure("library", error, **fields)
        else:
            self._log.write(level, "library", fields)


def capture_stdlib(log: Log) -> None:
    """Send the standard library's logging and warnings, of the whole process, to `log`."""
    logging.basicConfig(handlers=[StdlibHandler(log)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
