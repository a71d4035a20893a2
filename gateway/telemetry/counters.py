"""What is counted while traffic passes: plain integers that only the event loop's thread touches.

A part is bound once (to a route, an upstream, a listener) and then called by attribute, so the hot path pays
neither for label look-ups nor for locks. `metrics.py` owns the parts and reads them out for a scrape.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.telemetry.histogram import Histogram

#: The request methods that llhttp knows, which are all that a listener lets in; as label values they are bounded.
METHODS = frozenset(
    b"""ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE
    NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND
    UNLINK UNLOCK UNSUBSCRIBE""".split()
)
OTHER_METHOD = b"_OTHER"

#: Pairs of method and status that one route counts apart. Clients choose methods, and of some apps the status too
#: (`/status/418`), so 35 methods by 900 statuses would be theirs to fill; past this the method becomes `_OTHER`.
PAIRS_PER_ROUTE = 400
#: Outcomes that one upstream counts apart; ours are fewer, so past this something uses a label for free text.
OUTCOMES_PER_UPSTREAM = 64
#: By the numbers that `gateway_breaker_state` has for them.
BREAKER_STATES = ("closed", "half_open", "open")


class RouteMetrics:
    """Requests of one route of one listener."""

    __slots__ = ("duration", "in_flight", "lasting", "listener", "requests", "route")

    def __init__(self, listener: str, route: str) -> None:
        self.listener = listener
        self.route = route
        self.in_flight = 0
        self.requests: dict[tuple[bytes, int], int] = {}
        self.duration = Histogram()
        #: Of `duration`, event streams and tunnels of a second and more: how long they last is no fault.
        self.lasting = Histogram()

    def begin(self) -> None:
        """Count a request in. Each needs its `end`, once."""
        self.in_flight += 1

    def end(self, method: bytes, status: int, seconds: float) -> None:
        """Count a request out; `status` is what the client saw, or 499 when it had left."""
        self.in_flight -= 1
        key = (method, status)
        if key in self.requests:
            self.requests[key] += 1
        else:
            self._count_new(method, status)
        self.duration.observe(seconds)

    def _count_new(self, method: bytes, status: int) -> None:
        """Count a pair not seen before, or one that has no label of its own."""
        if method not in METHODS or len(self.requests) >= PAIRS_PER_ROUTE:
            method = OTHER_METHOD
        key = (method, status if 100 <= status <= 999 else 0)
        self.requests[key] = self.requests.get(key, 0) + 1


class UpstreamMetrics:
    """Calls to one upstream, its connections and its breaker."""

    __slots__ = ("breaker", "connections", "duration", "in_flight", "name", "outcomes", "transitions")

    def __init__(self, name: str) -> None:
        self.name = name
        self.in_flight = 0
        self.outcomes: dict[str, int] = {}
        self.transitions: dict[str, int] = {}
        self.duration = Histogram()
        self.connections: Callable[[], dict[str, int]] | None = None
        self.breaker: Callable[[], int] | None = None

    def begin(self) -> None:
        """Count a call in. Each needs its `end`, once."""
        self.in_flight += 1

    def end(self, outcome: str, seconds: float) -> None:
        """Count a call out; `outcome` is one of our own short words, never an upstream's text."""
        self.in_flight -= 1
        self.refuse(outcome)
        self.duration.observe(seconds)

    def refuse(self, outcome: str) -> None:
        """Count a call that never began (an open breaker, a full pool): it took no time of the upstream's."""
        outcomes = self.outcomes
        if outcome not in outcomes and len(outcomes) >= OUTCOMES_PER_UPSTREAM:
            outcome = "other"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def transition(self, to: str) -> None:
        """Count a change of the breaker's state, to one of `BREAKER_STATES`."""
        self.transitions[to] = self.transitions.get(to, 0) + 1

    def watch_connections(self, count: Callable[[], dict[str, int]]) -> None:
        """Ask `count` for the connections by state at each scrape; it runs on the event loop."""
        self.connections = count

    def watch_breaker(self, state: Callable[[], int] | None) -> None:
        """Ask `state` at each scrape for an index of `BREAKER_STATES`, on the event loop; None: no breaker."""
        self.breaker = state

    def all_transitions(self) -> dict[str, int]:
        """The transitions so far; with a breaker, those to each state, for a rate sees no step in a first sample."""
        if self.breaker is None:
            return self.transitions
        return dict.fromkeys(BREAKER_STATES, 0) | self.transitions


class ListenerMetrics:
    """Connections of one listener, and what came over them that was no request."""

    __slots__ = ("connections", "malformed", "name", "refused")

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        self.malformed = 0
        self.refused = 0

    def opened(self) -> None:
        """Count a connection in. Each needs its `closed`, once."""
        self.connections += 1

    def closed(self) -> None:
        """Count a connection out."""
        self.connections -= 1

    def refuse(self) -> None:
        """Count a connection turned away because the listener serves as many as it may."""
        self.refused += 1

    def malformed_request(self) -> None:
        """Count what was not one unambiguous HTTP request."""
        self.malformed += 1


class ConfigMetrics:
    """How the config file's readings went. The one that the process began with was a good one."""

    __slots__ = ("loaded_at", "ok", "results")

    def __init__(self, loaded_at: float) -> None:
        self.ok = True
        self.loaded_at = loaded_at
        self.results = {"success": 0, "failure": 0}

    def reloaded(self, *, ok: bool, at: float) -> None:
        """Count a reload; `at` is the wall clock's time in seconds since the epoch."""
        self.ok = ok
        self.results["success" if ok else "failure"] += 1
        if ok:
            self.loaded_at = at
