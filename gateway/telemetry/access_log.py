"""The access log: one line a request, made on the hot path in two microseconds and written elsewhere.

A line tells of the path, not of the query: queries carry keys and personal data, and logs travel far.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.exchange import Exchange
from gateway.telemetry.health import State
from gateway.telemetry.line_writer import HasFileno, LineWriter
from gateway.telemetry.lines import Clock, json_line, text_line
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

#: Bytes that wait for a slow sink; at 300 a line, about 14 000 requests.
MAX_BUFFERED = 4 * 1024 * 1024
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
        self._line: Callable[[dict[str, object]], bytes] = text_line if fmt == "text" else json_line

    def write(self, exchange: Exchange, now: float) -> None:
        """Log an exchange that is over; `now` is monotonic, in seconds. It neither waits nor raises."""
        head = exchange.head
        total = now - exchange.started
        upstream = exchange.upstream_seconds
        route = exchange.route
        # Down to thousandths of a millisecond by floor division: round() costs ten times as much.
        fields = {
            "time": self._clock.text(time.time()),
            "level": "info",
            "event": "request",
            "correlation_id": exchange.correlation_id,
            "listener": exchange.listener,
            "client": exchange.client,
            "method": head.method.decode("latin-1"),
            "path": head.path.decode("latin-1"),
            "route": "none" if route is None else route.name,
            "upstream": exchange.upstream,
            "status": exchange.status,
            "bytes_in": exchange.body.received + exchange.tunnelled_in,
            "bytes_out": exchange.bytes_out,
            "total_ms": total * 1e6 // 1 / 1000,
            "upstream_ms": upstream * 1e6 // 1 / 1000,
            "gateway_ms": (total - upstream) * 1e6 // 1 / 1000 if total > upstream else 0.0,
        }
        if exchange.trace is not None:
            fields["trace_id"] = exchange.trace.trace_id
        if exchange.peer != exchange.client:
            fields["peer"] = exchange.peer
        if exchange.error:
            fields["error"] = exchange.error
        self._put(self._line(fields))

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
