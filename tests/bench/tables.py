"""Which tables the bench has, and how the rows of each are measured."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Kind:
    """One table."""

    title: str
    folder: str  # of `peers`, with the configs
    rival: str = "envoy"  # the row that requests/s and CPU are set against
    path: str = "/"  # that is asked for
    kib: int = 1  # of its body
    limits: bool = False  # rate limits count every request
    cached: bool = False  # every response is a hit: the origin sees no request
    fields: tuple[str, ...] = ()  # further header fields of every request


TABLES = {
    "plain": Kind("Plain: a request id and a breaker or outlier check, no limits, no logs", "plain"),
    "full": Kind(
        "Full: the same, with an access line for every request written to a file by all, and metrics", "full"
    ),
    "limits": Kind(
        "Limits: as plain, with metrics, two rate limits (for all and for each address) and an in-flight cap",
        "limits",
        limits=True,
    ),
    "flags": Kind(
        "Flags: as plain, with metrics. The gateway tells the app of twenty flags, each a share of the users",
        "flags",
        fields=("X-User-Id: user-4711", "X-User-Groups: staff, early"),
    ),
    "hits": Kind(
        "Hits of 1 KiB: answered from a cache. A request id and metrics; the gateway and nginx-limits have two rate "
        "limits, too",
        "hits",
        rival="varnish",
        limits=True,
        cached=True,
    ),
    "hits-64k": Kind(
        "Hits of 64 KiB: the same, with a larger body",
        "hits",
        rival="varnish",
        path="/large",
        kib=64,
        limits=True,
        cached=True,
    ),
}
#: What `--tables` takes: these, and the bench of tests/bench/stampede.py.
NAMES = (*TABLES, "stampede")
