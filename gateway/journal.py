"""What has become of exchanges, for the logs and the metrics. Assembly owns it."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.protection import Protection
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.slow_requests import SLOW, SlowRequests

#: At most one line about malformed requests in so many seconds; the rest is counted.
_MALFORMED_LOG_INTERVAL = 10.0


class Journal:
    """Tells the logs and the metrics what has become of exchanges."""

    def __init__(self, metrics: Metrics, log: Log, access_log: AccessLog, protection: Protection) -> None:
        self._metrics = metrics
        self._protection = protection
        self._log = log
        self._access_log = access_log
        self.slow = SlowRequests()
        #: Whether access lines are written.
        self.access = True

    def finished(self, exchange: Exchange, now: float) -> None:
        """One access line, and a note where it took long."""
        if now - exchange.started >= SLOW:
            self._took_long(exchange, now - exchange.started)
        if self.access:
            self._access_log.write(exchange, now)

    def _took_long(self, exchange: Exchange, seconds: float) -> None:
        kind = self.slow.note(exchange, seconds)
        if kind != "response":
            exchange.route.metrics.lasting.observe(seconds)
        self._log.debug(
            "slow_request",
            listener=exchange.listener,
            route=exchange.route.name,
            upstream=exchange.upstream,
            kind=kind,
            seconds=round(seconds, 3),
            correlation_id=exchange.correlation_id,
        )

    def malformed(self, exchange: Exchange, error: GatewayError, now: float) -> None:  # noqa: ARG002
        """A count for each, a line for the first in a while: a flood of them must not become a flood of lines."""
        self._metrics.listener(exchange.listener).malformed_request()
        self._protection.malformed(exchange.listener, exchange.peer)
        self._log.limited(f"malformed:{exchange.listener}", _MALFORMED_LOG_INTERVAL).warning(
            "malformed_request",
            listener=exchange.listener,
            client=exchange.peer,
            detail=error.detail,
            correlation_id=exchange.correlation_id,
        )

    def bug(self, where: str, error: BaseException) -> None:
        """A traceback of ours, once in a while."""
        self._log.bug(where, error)
