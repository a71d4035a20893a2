"""The access log: one line a request, made a few dozen at a time and written elsewhere.

Made one by one between requests, a line costs four times as much: the code and data that it needs have left the
processor's caches each time. So exchanges that are over wait here, for at most `DELAY`, until there are `AT_ONCE`.

A line tells of the path, not of the query: queries carry keys and personal data, and logs travel far.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache

import orjson

from gateway.exchange import Exchange
from gateway.telemetry.health import State
from gateway.telemetry.line_writer import HasFileno, LineWriter
from gateway.telemetry.lines import Clock, json_line, text_line
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

#: Bytes that wait for a slow sink; at 300 a line, about 14 000 requests.
MAX_BUFFERED = 4 * 1024 * 1024
#: Paths up to this many bytes are remembered in their quoted form.
_SHORT = 128
#: Seconds for which exchanges wait to be made lines of, and then lines to be written.
DELAY = 0.05
#: Lines made at one go.
AT_ONCE = 64


class AccessLog:
    """Writes to `sink`; when that is slow or broken, lines are dropped and counted, never waited for."""

    def __init__(
        self,
        sink: int | HasFileno,
        metrics: Metrics,
        log: Log,
        *,
        fmt: str = "json",
        max_buffered: int = MAX_BUFFERED,
    ) -> None:
        self._log = log
        self._clock = Clock()
        self._writer = LineWriter(sink, max_buffered, delay=DELAY, on_dropping=self._on_dropping)
        self._line: Callable[[Exchange, str, float], bytes] = _json_line
        self._over: list[tuple[Exchange, float, float]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.configure(fmt=fmt)
        metrics.watch_dropped_lines("access", lambda: self._writer.dropped)

    def configure(self, *, fmt: str) -> None:
        """Change the format: `json` or `text`."""
        self._make_lines()
        self._line = _text_line if fmt == "text" else _json_line

    def write(self, exchange: Exchange, now: float) -> None:
        """Log an exchange that is over; `now` is monotonic, in seconds. It neither waits nor raises."""
        over = self._over
        over.append((exchange, time.time(), now))
        if len(over) >= AT_ONCE:
            self._make_lines()
        elif len(over) == 1:
            try:
                self._timer = asyncio.get_running_loop().call_later(DELAY, self._make_lines)
            except RuntimeError:  # no loop runs, so nobody would come back to it
                self._make_lines()

    def health(self) -> tuple[State, str]:
        """Degraded while lines are being dropped."""
        why = self._writer.dropping
        return ("degraded", f"access lines are being dropped: {why}") if why else ("healthy", "")

    def close(self) -> None:
        """Write what is left, for at most a second."""
        self._make_lines()
        self._writer.close()

    def _make_lines(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        line, clock = self._line, self._clock.text
        over, self._over = self._over, []
        for exchange, wall, now in over:
            self._writer.write(line(exchange, clock(wall), now))

    def _on_dropping(self, dropping: bool, why: str, dropped: int) -> None:
        if dropping:
            self._log.warning("access_log_dropping", reason=why)
        else:
            self._log.info("access_log_recovered", dropped=dropped)


def _json_line(exchange: Exchange, clock: str, now: float) -> bytes:
    """The line, filled in rather than dumped, for its price; what could hold a quote goes through `_quoted`."""
    head = exchange.head
    path = head.path
    total = (now - exchange.started) * 1000
    upstream = exchange.upstream_seconds * 1000
    route = exchange.route
    more = ""
    if exchange.peer != exchange.client:
        more = f',"peer":{_short(exchange.peer)}'
    if exchange.cached:
        more += f',"cache":"{exchange.cached}"'
    if exchange.error:
        more += f',"error":"{exchange.error}"'
    if exchange.trace_id:
        more += f',"trace_id":"{exchange.trace_id}"'
    return (
        f'{{"time":"{clock}","level":"info","event":"request","correlation_id":{_id(exchange.correlation_id)},'
        f'"listener":"{exchange.listener}","client":{_short(exchange.client)},'
        f'"method":{_short(head.method)},"path":{_short(path) if len(path) <= _SHORT else _quoted(path)},'
        f'{_way("none" if route is None else route.name, exchange.upstream)},"status":{exchange.status},'
        f'"bytes_in":{exchange.bytes_in},"bytes_out":{exchange.bytes_out},"total_ms":{total:.3f},'
        f'"upstream_ms":{upstream:.3f},"gateway_ms":{total - upstream if total > upstream else 0.0:.3f}{more}}}\n'
    ).encode()


def _text_line(exchange: Exchange, clock: str, now: float) -> bytes:
    """The same as text for people."""
    fields: dict[str, object] = orjson.loads(_json_line(exchange, clock, now))
    return text_line(fields)


def _quoted(text: bytes | str) -> str:
    """A JSON string, without anything in it that could move a terminal's cursor."""
    return json_line(text.decode("latin-1") if isinstance(text, bytes) else text)[:-1].decode()


def _id(text: str) -> str:
    """A correlation id, quoted; our own, and most others, have nothing in them to quote."""
    return f'"{text}"' if text.isascii() and text.isalnum() else _quoted(text)


# Paths and clients come again and again; long ones are not worth remembering, nor safe to.
_short = lru_cache(2048)(_quoted)


@lru_cache(1024)
def _way(route: str, upstream: str) -> str:
    """The part of the line that is the config's, not the request's."""
    return f'"route":{_quoted(route)},"upstream":{_quoted(upstream)}'
