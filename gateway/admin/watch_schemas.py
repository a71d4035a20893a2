"""What is seen of the process, described; as schemas.py, which takes it in."""

from __future__ import annotations

from typing import Any

from gateway.admin.describing import COUNT, FLAG, SECONDS, TEXT, list_of, object_of, or_null, ref, said
from gateway.admin.shape import Schema

_SHARE: Schema = {**SECONDS, "maximum": 1}
_MOMENT = said(SECONDS, "Seconds since 1970.")
_STATUS: Schema = {"type": "string", "enum": ["healthy", "degraded", "unhealthy"]}
_PHASE: Schema = {"type": "string", "enum": ["starting", "ready", "draining"]}
_LEVEL: Schema = {"type": "string", "enum": ["debug", "info", "warning", "error"]}

_PART = object_of(
    "A part of the gateway.",
    name=TEXT,
    state=_STATUS,
    detail=said(TEXT, "Why it is not healthy; empty where it is."),
    action=said(TEXT, "What to do about it, and what holds meanwhile; empty where it is healthy."),
)

_QUANTILE = said(
    or_null(SECONDS),
    "Interpolated within the buckets of gateway_request_duration_seconds, so off by a bucket's width at most; 120 "
    "stands for all above. null of none.",
)

_TRAFFIC = object_of(
    "Requests that ended within `seconds`; up to ten more than asked for, less where the process is younger.",
    seconds=SECONDS,
    requests=COUNT,
    per_second=SECONDS,
    server_errors=said(COUNT, "Answered with 5xx, by the upstream or by the gateway."),
    error_share=said(or_null(_SHARE), "5xx of all requests; null of none."),
    limited=said(COUNT, "Answered with 429."),
    client_errors=said(COUNT, "Answered with another 4xx."),
    left=said(COUNT, "Whose client had gone (499)."),
    lasting=said(COUNT, "Event streams and tunnels of a second and more; the quantiles leave them out."),
    p50=_QUANTILE,
    p95=_QUANTILE,
    p99=_QUANTILE,
)

_SLOW_REQUEST = object_of(
    "A request that took long; what an access line has.",
    when=said(_MOMENT, "When it was over, in seconds since 1970."),
    kind={"type": "string", "enum": ["response", "event_stream", "tunnel"]},
    seconds=said(SECONDS, "From its first byte to its response's last."),
    listener=TEXT,
    route=TEXT,
    method=TEXT,
    path=said(TEXT, "Without the query, its first 200 characters."),
    status={"type": "integer"},
    upstream=said(TEXT, "Empty where none was asked."),
    upstream_seconds=said(SECONDS, "The upstream's part of it."),
    cache=said(TEXT, "What became of it in the cache; empty where there is none."),
    error=said(TEXT, "What went wrong; empty where nothing did."),
    client=TEXT,
    correlation_id=TEXT,
)

_LONG_RUNNING = object_of(
    "An exchange that has been going on for long.",
    seconds=SECONDS,
    state={
        "type": "string",
        "enum": ["waiting", "asking", "answering", "tunnel"],
        "description": "waiting: for a cap or the shared state; asking: the upstream has not answered; "
        "answering: the answer is on its way.",
    },
    listener=TEXT,
    route=TEXT,
    method=TEXT,
    path=said(TEXT, "Without the query, its first 200 characters."),
    upstream=TEXT,
    bytes_in=COUNT,
    bytes_out=COUNT,
    client=TEXT,
    correlation_id=TEXT,
)

_SUMMARY = object_of(
    "What to look at first.",
    status=_STATUS,
    phase=_PHASE,
    version=TEXT,
    instance=said(TEXT, "Another one for each process."),
    started=_MOMENT,
    uptime=SECONDS,
    findings=said(list_of("Part"), "The parts that are not healthy, the worst first."),
    traffic=list_of("ListenerTraffic"),
    breakers=said(list_of("OpenBreaker"), "Those that are not closed."),
    caps=said(list_of("TightCap"), "Those that are full to 80% and more, or have a queue."),
    state=said(list_of("Backend"), "Where limits are kept."),
    blocked=said(COUNT, "Blocked keys."),
    slow=said(COUNT, "Requests of the last five minutes that took more than a second, at most 100."),
    cache={"anyOf": [ref("CacheLately"), {"type": "null"}], "description": "null where no route has a cache."},
    flags=said(list_of("ChangedFlag"), "Flags changed at run time within the last hour, the latest first."),
)

WATCHED: dict[str, Any] = {
    "Summary": _SUMMARY,
    "Health": object_of("The worst of its parts.", status=_STATUS, phase=_PHASE, parts=list_of("Part")),
    "Part": _PART,
    "Traffic": _TRAFFIC,
    "ListenerTraffic": object_of(
        "A listener's traffic.",
        listener=TEXT,
        in_flight=said(COUNT, "Under way now."),
        minute=ref("Traffic"),
        five_minutes=ref("Traffic"),
    ),
    "Routes": object_of(
        "Routes, the slowest by p95 first.", routes=list_of("RouteTraffic"), total=said(COUNT, "How many there are.")
    ),
    "RouteTraffic": object_of(
        "A route's traffic.",
        listener=TEXT,
        route=TEXT,
        in_flight=said(COUNT, "Under way now."),
        traffic=ref("Traffic"),
    ),
    "SlowRequests": object_of(
        "Requests that took long.",
        over=said(SECONDS, "Longer than so many seconds."),
        total=said(COUNT, "Since the process began, event streams and tunnels left out."),
        slowest=said(list_of("SlowRequest"), "Of the last hour, the slowest first."),
        latest=said(list_of("SlowRequest"), "The latest first."),
        lasting=said(list_of("SlowRequest"), "Event streams and tunnels, which are meant to last; the latest first."),
    ),
    "SlowRequest": _SLOW_REQUEST,
    "Connections": object_of(
        "All connections, and the exchanges that go on for long.",
        listeners=list_of("ListenerConnections"),
        upstreams=list_of("UpstreamConnections"),
        over=said(SECONDS, "An exchange is long-running after so many."),
        long_running_total=COUNT,
        long_running=said(list_of("LongRunning"), "The oldest first; the list may have fewer than there are."),
    ),
    "ListenerConnections": object_of(
        "A listener's client connections, each counted once.",
        listener=TEXT,
        idle=said(COUNT, "Kept alive, without a request."),
        reading=said(COUNT, "Whose request's head is coming."),
        waiting=said(COUNT, "Whose request waits for a cap or the shared state."),
        busy=said(COUNT, "Whose request is with the upstream, or its answer on the way."),
        tunnels=said(COUNT, "WebSockets and other upgrades."),
        closing=said(COUNT, "Answered for the last time."),
        limit=said(COUNT, "The most that are served."),
    ),
    "UpstreamConnections": object_of(
        "The connections to an upstream.",
        upstream=TEXT,
        idle=COUNT,
        busy=COUNT,
        connecting=COUNT,
        waiting=said(COUNT, "Requests that wait for one."),
        limit=said(COUNT, "The most that there may be."),
    ),
    "LongRunning": _LONG_RUNNING,
    "Backend": object_of("Where limits are kept.", backend=TEXT, up=FLAG),
    "OpenBreaker": object_of(
        "A breaker that is not closed.",
        name=said(TEXT, "The upstream's name."),
        state={"type": "string", "enum": ["half_open", "open"]},
        held=said(FLAG, "Opened by hand, and so until it is closed or reset by hand."),
        retry_after=said(or_null(COUNT), "Seconds that a refused client is told."),
    ),
    "TightCap": object_of(
        "A cap that is nearly full, or has a queue.", id=TEXT, in_flight=COUNT, limit=COUNT, queued=COUNT, queue=COUNT
    ),
    "CacheLately": object_of(
        "What the cache has found in the last five minutes, and what its memory holds.",
        hit_ratio=said(or_null(_SHARE), "The share that needed no fetch of its own; null of none."),
        entries=COUNT,
        bytes=COUNT,
    ),
    "ChangedFlag": object_of("A flag that was changed at run time.", name=TEXT, when=_MOMENT, who=TEXT, why=TEXT),
    "LogLevel": object_of(
        "The log level.",
        level=said(_LEVEL, "The one in force."),
        configured=said(_LEVEL, "The config's."),
        by_hand=said(FLAG, "Whether the one in force was set here."),
        expires_in=said(
            or_null(SECONDS), "Seconds until the config's holds again; null where nothing is set, or without an end."
        ),
    ),
}
