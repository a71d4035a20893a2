"""Security events: one stream of lines in the operational log (`event` is `security`), one counter by kind.

Kinds: `limit_exceeded`, `blocked`, `malformed_flood`, `bad_token`. Every event counts; of lines there is one a second
for each kind and rule, with the number of those suppressed, so that an attack does not become a flood of lines.
"""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.telemetry.log import Log

KINDS = ("limit_exceeded", "blocked", "malformed_flood", "bad_token")

#: Seconds between two lines of one kind and rule.
INTERVAL = 1.0


class SecurityEvents:
    """Counts and tells. Keys come as they may be shown: credentials already hashed."""

    def __init__(self, log: Log) -> None:
        self._log = log
        #: Events so far, by kind.
        self.counts = dict.fromkeys(KINDS, 0)

    def limited(self, rule: str, key: str, exchange: Exchange, *, shadow: bool = False) -> None:
        """A rate rule refused a request; a shadow rule would have."""
        self._tell("limit_exceeded", rule, rule=rule, key=key, shadow=shadow, **_about(exchange))

    def blocked(self, rule: str, key: str, exchange: Exchange) -> None:
        """A request came from a key that is blocked for having been refused too often, or by hand."""
        self._tell("blocked", rule, rule=rule, key=key, **_about(exchange))

    def malformed_flood(self, listener: str, client: str) -> None:
        """One peer sends again and again what is no HTTP request."""
        self._tell("malformed_flood", listener, listener=listener, client=client)

    def bad_token(self, client: str) -> None:
        """Somebody tried the admin API without its token, or with a wrong one."""
        self._tell("bad_token", "", listener="admin", client=client)

    def _tell(self, kind: str, source: str, **fields: object) -> None:
        self.counts[kind] += 1
        self._log.limited(f"security:{kind}:{source}", INTERVAL).warning("security", kind=kind, **fields)


def _about(exchange: Exchange) -> dict[str, object]:
    return {
        "listener": exchange.listener,
        "route": exchange.route.name,
        "client": exchange.client,
        "correlation_id": exchange.correlation_id,
    }
