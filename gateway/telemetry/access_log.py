"""The access log: one line a request, made on the hot path in two microseconds and written elsewhere.

A line tells of the path, not of the query: queries carry keys and personal data, and logs travel far.
"""

from __future__ import annotations

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
#: Seconds for which lines wait for company.
DELAY = 0.05


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
        self._put = self._writer.write
        self.configure(fmt=fmt)
        metrics.watch_dropped_lines("access", lambda: self._writer.dropped)

    def configure(self, *, fmt: str) -> None:
        """Change the format: `json` or `text`."""
        self._line: Callable[[Exchange, str, float], bytes] = _text_line if fmt == "text" else _json_line

    def write(self, exchange: Exchange, now: float) -> None:
        """Log an exchange that is over; `now` is monotonic, in seconds. It neither waits nor raises."""
        self._put(self._line(exchange, self._clock.text(time.time()), now))

    def health(self) -> tuple[State, str]:
        """Degraded while lines are being dropped."""
        why = self._writer.dropping
        return ("degraded", f"access lines are being dropped: {why}") if why else ("healthy", "")

    def close(self) -> None:
        """Write what is left, for at most a second."""
        self._writer.close()

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
    if exchange.error:
        more += f',"error":"{exchange.error}"'
    if exchange.trace is not None:
        more += f',"trace_id":"{exchange.trace.trace_id}"'
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
