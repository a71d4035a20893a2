"""What the admin API needs for looking into the process, and the values that both speak in; as ports.py.

Times are in seconds, moments in seconds since 1970. Shares are from 0 to 1, and None of nothing.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypedDict

Status = Literal["healthy", "degraded", "unhealthy"]
LevelName = Literal["debug", "info", "warning", "error"]
#: The time that traffic is counted over: the last minute or five, or since the process began.
Span = Literal["1m", "5m", "start"]


class Part(TypedDict):
    """A part of the gateway. Where it is not healthy, why, and what to do about it."""

    name: str
    state: Status
    detail: str
    action: str


class Health(TypedDict):
    """How the process does: the worst of its parts; what is wrong comes first."""

    status: Status
    phase: str
    parts: list[Part]


class Traffic(TypedDict):
    """Requests that ended within `seconds`. `lasting` are event streams and tunnels, which no quantile counts."""

    seconds: float
    requests: int
    per_second: float
    server_errors: int
    error_share: float | None
    limited: int
    client_errors: int
    left: int
    lasting: int
    p50: float | None
    p95: float | None
    p99: float | None


class ListenerTraffic(TypedDict):
    """A listener's traffic: in the last minute, and in the last five."""

    listener: str
    in_flight: int
    minute: Traffic
    five_minutes: Traffic


class RouteTraffic(TypedDict):
    """A route's traffic."""

    listener: str
    route: str
    in_flight: int
    traffic: Traffic


class SlowRequest(TypedDict):
    """A request that took long; `when` it was over. Its path is without the query."""

    when: float
    kind: Literal["response", "event_stream", "tunnel"]
    seconds: float
    listener: str
    route: str
    method: str
    path: str
    status: int
    upstream: str
    upstream_seconds: float
    cache: str
    error: str
    client: str
    correlation_id: str


class SlowRequests(TypedDict):
    """Requests that took more than `over` seconds, `total` since the process began; what is meant to last apart."""

    over: float
    total: int
    slowest: list[SlowRequest]
    latest: list[SlowRequest]
    lasting: list[SlowRequest]


class ListenerConnections(TypedDict):
    """A listener's client connections, by what they do."""

    listener: str
    idle: int
    reading: int
    waiting: int
    busy: int
    tunnels: int
    closing: int
    limit: int


class UpstreamConnections(TypedDict):
    """The connections to an upstream, and requests that wait for one."""

    upstream: str
    idle: int
    busy: int
    connecting: int
    waiting: int
    limit: int


class LongRunning(TypedDict):
    """An exchange that has been going on for long. Its path is without the query."""

    seconds: float
    state: Literal["waiting", "asking", "answering", "tunnel"]
    listener: str
    route: str
    method: str
    path: str
    upstream: str
    bytes_in: int
    bytes_out: int
    client: str
    correlation_id: str


class Connections(TypedDict):
    """All connections, and the exchanges over `over` seconds old, the oldest first; of `long_running_total`."""

    listeners: list[ListenerConnections]
    upstreams: list[UpstreamConnections]
    over: float
    long_running_total: int
    long_running: list[LongRunning]


class Backend(TypedDict):
    """Where limits are kept."""

    backend: str
    up: bool


class OpenBreaker(TypedDict):
    """A breaker that is not closed."""

    name: str
    state: Literal["half_open", "open"]
    held: bool
    retry_after: int | None


class TightCap(TypedDict):
    """A cap that is nearly full, or has a queue."""

    id: str
    in_flight: int
    limit: int
    queued: int
    queue: int


class CacheLately(TypedDict):
    """What the cache has found in the last five minutes, and what its memory holds."""

    hit_ratio: float | None
    entries: int
    bytes: int


class ChangedFlag(TypedDict):
    """A flag that was changed at run time within the last hour."""

    name: str
    when: float
    who: str
    why: str


class Summary(TypedDict):
    """What somebody wants to know first. `findings` are the parts that are not healthy."""

    status: Status
    phase: str
    version: str
    instance: str
    started: float
    uptime: float
    findings: list[Part]
    traffic: list[ListenerTraffic]
    breakers: list[OpenBreaker]
    caps: list[TightCap]
    state: list[Backend]
    blocked: int
    slow: int
    cache: CacheLately | None
    flags: list[ChangedFlag]


class LogLevel(TypedDict):
    """The log level in force, and the config's. `by_hand`: set here, for `expires_in` or until it is set anew."""

    level: LevelName
    configured: LevelName
    by_hand: bool
    expires_in: float | None


class Watch(Protocol):
    """The process, looked into."""

    #: The program's version.
    version: str

    @property
    def started(self) -> float:
        """When it began."""

    @property
    def uptime(self) -> float:
        """For how long it runs."""

    def health(self) -> Health:
        """How its parts do."""

    def traffic(self) -> list[ListenerTraffic]:
        """Each listener's."""

    def routes(self, span: Span) -> list[RouteTraffic]:
        """Each route's, the slowest by p95 first, those without requests last."""

    def slow(self, most: int) -> SlowRequests:
        """So many of each kind."""

    def slow_lately(self) -> int:
        """How many slow ones there were in the last five minutes, as far as they are remembered."""

    def connections(self, over: float, most: int) -> Connections:
        """All, and so many of the exchanges that are older."""

    def state(self) -> list[Backend]:
        """The backends of shared limits."""

    def cache_ratio(self) -> float | None:
        """The cache's hit ratio in the last five minutes."""


class LogLevels(Protocol):
    """The log level."""

    def shown(self) -> LogLevel:
        """As it is."""

    def hold(self, level: LevelName, seconds: float | None) -> LogLevel:
        """Set it, for so long; None for no end."""

    def release(self) -> LogLevel:
        """Have the config's hold again."""
