"""What the admin API needs of the running gateway, and the values that both speak in.

The values are what the API answers, key by key: schemas.py describes each to its users, and a test holds the two
together. A key that stands here stays; new ones may come. Times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

from gateway.admin.flag_ports import Flags
from gateway.admin.watch_ports import LogLevels, Watch

#: What a purge goes by.
PurgeBy = Literal["tag", "url", "pattern", "key", "all"]


class NotThere(LookupError):
    """Nothing has this name; the text says what there is instead, and never repeats what was asked for."""


class Conflict(Exception):
    """As things are this cannot be done; the text says why."""


class Unavailable(Exception):
    """The shared state does not answer, so this cannot be done now."""


class BreakerSettings(TypedDict):
    """A breaker's part of the config."""

    failures: int
    reset: float
    successes: int
    statuses: list[int]
    share: float | None
    window: float
    min_calls: int


class Breaker(TypedDict):
    """How a breaker stands. `held`: opened by hand, and so until it is closed by hand."""

    name: str
    state: Literal["closed", "half_open", "open"]
    held: bool
    failures: int
    successes: int
    retry_after: int | None
    settings: BreakerSettings


class RuleCounts(TypedDict):
    """What a rate rule has decided since the process began, by the words that the metrics have too."""

    allowed: int
    refused: int
    blocked: int
    shadow_refused: int
    skipped: int
    fallback: int


class BlockSettings(TypedDict):
    """When a rule blocks a key: refused `after` times `within` so long, for so long."""

    after: int
    within: float
    # "for" is a word of Python's.
    seconds: float


class Rule(TypedDict):
    """A rate rule, its settings and its counts. A calendar quota has no period."""

    id: str
    listener: str
    route: str | None
    name: str
    limit: int
    period: float | None
    calendar: str | None
    burst: int
    by: list[str]
    shared: bool
    mode: Literal["local", "exact", "leased"]
    shadow: bool
    block: BlockSettings | None
    counts: RuleCounts


class CapCounts(TypedDict):
    """What an in-flight cap has decided since the process began."""

    admitted: int
    refused: int
    timed_out: int


class Cap(TypedDict):
    """An in-flight cap and its use; with `by`, one cap for each key, of which `in_flight` is the sum."""

    id: str
    scope: str
    name: str
    limit: int
    in_flight: int
    queued: int
    queue: int
    wait: float
    by: list[str]
    shared: bool
    adaptive: bool
    counts: CapCounts


class Blocked(TypedDict):
    """A blocked key: the rule's id, seconds that are left, why, and whether a person did it."""

    key: str
    rule: str
    expires_in: float
    reason: str
    by_hand: bool


class Standing(TypedDict):
    """How a key stands with a rule. `known`: something of it is remembered; if not, it has its whole burst."""

    rule: str
    key: str
    known: bool
    limit: int
    remaining: int
    reset: float
    blocked: Blocked | None


class CacheResults(TypedDict):
    """What became of requests of a route with a cache, by the words that the metrics have too."""

    hit: int
    stale: int
    revalidated: int
    miss: int
    collapsed: int
    bypass: int
    error: int


class CacheReason(TypedDict):
    """Why responses were not stored, and how many."""

    reason: str
    count: int


class CachedRoute(TypedDict):
    """A route's use of the cache. `hit_ratio` is None while nobody has asked."""

    listener: str
    route: str
    hit_ratio: float | None
    results: CacheResults
    not_stored: list[CacheReason]


class CacheTier(TypedDict):
    """What a tier holds and has found. None where nobody counts it; `seconds` are a look-up's on average."""

    tier: Literal["memory", "redis"]
    up: bool
    entries: int | None
    max_entries: int | None
    bytes: int | None
    max_bytes: int | None
    evictions: int | None
    hits: int
    misses: int
    seconds: float | None


class CachePurges(TypedDict):
    """Purges since the process began, here and by other replicas, and those that the others do not know of yet."""

    seen: int
    waiting: int


class WarmFailure(TypedDict):
    """What could not be warmed; of the URL no query."""

    url: str
    why: str


class Warming(TypedDict):
    """How a warming stands. `total` is what is known of; a sitemap may bring more. Of failures, the last ones."""

    state: Literal["idle", "running", "done", "stopped"]
    total: int
    done: int
    failed: int
    left: int
    dropped: int
    seconds: float
    estimate: float | None
    failures: list[WarmFailure]


class CacheStats(TypedDict):
    """The cache as it stands."""

    hit_ratio: float | None
    flights: int
    tiers: list[CacheTier]
    routes: list[CachedRoute]
    purges: CachePurges
    warming: Warming


class CachedKey(TypedDict):
    """A stored response. `url` has of the query the names alone; `fresh_for` is negative when it is stale."""

    key: str
    url: str
    route: str
    hits: int
    bytes: int
    age: float
    fresh_for: float


class CacheTop(TypedDict):
    """The keys that are asked for most and least."""

    hottest: list[CachedKey]
    coldest: list[CachedKey]


class Purged(TypedDict):
    """What a purge did in this process. `replicas_told` is None where there is nobody to tell."""

    purged: int
    soft: bool
    replicas_told: bool | None


class Breakers(Protocol):
    """The upstreams' circuit breakers, by their upstreams' names. All but `all` raise NotThere."""

    def all(self) -> list[Breaker]:
        """Each, in the config's order."""

    def open(self, name: str) -> Breaker:
        """Hold it open until it is closed by hand."""

    def close(self, name: str) -> Breaker:
        """Close it; it guards as ever from there on."""

    def reset(self, name: str) -> Breaker:
        """Begin anew: closed, nothing counted, not held."""


class Limits(Protocol):
    """Rate rules, in-flight caps and blocked keys. A `rule` is an id; what is asked by one raises NotThere."""

    def rules(self) -> list[Rule]:
        """Every rate rule, in the config's order."""

    def caps(self) -> list[Cap]:
        """Every in-flight cap, in the config's order."""

    def blocked(self) -> list[Blocked]:
        """Every blocked key, the first to be free first."""

    def block(self, key: str, rule: str | None, seconds: float, reason: str) -> list[Blocked]:
        """Block a key with one rule, or with every rule that there is."""

    def unblock(self, key: str, rule: str | None) -> int:
        """Lift the blocks of a key, all or one rule's; how many there were."""

    async def standing(self, rule: str, key: str) -> Standing:
        """How a key stands. Raises Unavailable too."""

    async def reset(self, rule: str, key: str | None) -> int:
        """Forget a key's use, or with None every key's; of how many. Raises Unavailable too."""


class Cache(Protocol):
    """The cache of all routes."""

    def stats(self) -> CacheStats:
        """How it stands."""

    def top(self, number: int) -> CacheTop:
        """So many of the hottest and of the coldest."""

    async def purge(self, by: PurgeBy, value: str, *, soft: bool) -> Purged:
        """Remove what it means, or have it turn stale. A url is absolute, or a path with its query on any host."""

    def warming(self) -> Warming:
        """How the last warming stands."""

    def warm(self, urls: list[str]) -> Warming:
        """Begin to warm these, or with none what the config lists; with one under way, as its part. May Conflict."""


class Config(Protocol):
    """The config in force."""

    def shown(self) -> dict[str, Any]:
        """As a file would have it, every default written out and every secret hidden."""


class Process(Protocol):
    """The process's own life."""

    #: Another one for each process, by which it is told from the one that comes after it on the same port.
    instance: str

    @property
    def phase(self) -> str:
        """`starting`, `ready` or `draining`."""

    @property
    def drained(self) -> bool:
        """Whether ingress has answered its last request: nobody need wait for the drain any longer."""

    def in_flight(self) -> dict[str, int]:
        """How many exchanges are under way, by listener."""

    def drain(self) -> None:
        """Have ingress drain; egress, where there is one, goes on until a signal ends it. Again changes nothing."""


class Events(Protocol):
    """Who is told of what happens here."""

    def bad_token(self, client: str) -> None:
        """Somebody came without the token, or with a wrong one."""

    def changed(self, client: str, operation: str, target: dict[str, str]) -> None:
        """Somebody has changed something: the operation's id, and what of."""


@dataclass(frozen=True, slots=True)
class Ports:
    """All that the API speaks to."""

    breakers: Breakers
    limits: Limits
    config: Config
    process: Process
    events: Events
    #: None while there are none; their paths are not there either then.
    cache: Cache | None = None
    flags: Flags | None = None
    watch: Watch | None = None
    log: LogLevels | None = None
