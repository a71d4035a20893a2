"""What the API answers, described as JSON Schema (draft 2020-12, which OpenAPI 3.1 uses)."""

from __future__ import annotations

from typing import Any

from gateway.admin.cache import PURGE, WARM
from gateway.admin.describing import COUNT, FLAG, SECONDS, TEXT, TEXTS, list_of, object_of, or_null, ref, said
from gateway.admin.flags import ASK, CHANGE
from gateway.admin.limits import BLOCK
from gateway.admin.log import LEVEL
from gateway.admin.shape import Schema
from gateway.admin.watch_schemas import WATCHED

_BREAKER_SETTINGS = object_of(
    "A breaker's part of the config; times in seconds, the share from 0 to 1.",
    failures=COUNT,
    reset=SECONDS,
    successes=COUNT,
    statuses={"type": "array", "items": {"type": "integer"}},
    share=or_null(SECONDS),
    window=SECONDS,
    min_calls=COUNT,
)

_BREAKER = object_of(
    "An upstream's circuit breaker.",
    name=said(TEXT, "The upstream's name."),
    state={"type": "string", "enum": ["closed", "half_open", "open"]},
    held=said(FLAG, "Opened by hand, and so until it is closed or reset by hand."),
    failures=said(COUNT, "Failures in a row, while closed."),
    successes=said(COUNT, "Probes in a row that succeeded, while half-open."),
    retry_after=said(or_null(COUNT), "Seconds that a refused client is told; null while nothing is refused."),
    settings=ref("BreakerSettings"),
)

_RULE_COUNTS = object_of(
    "Requests since the process began.",
    allowed=COUNT,
    refused=COUNT,
    blocked=said(COUNT, "Refused because their key is blocked."),
    shadow_refused=said(COUNT, "Let through by a shadow rule that would have refused them."),
    skipped=said(COUNT, "Not counted: excepted, or without the key."),
    fallback=said(COUNT, "Decided by the local share, because the shared state could not be asked."),
)

_BLOCK_SETTINGS = object_of(
    "A key refused so often within so long is blocked for so long.", after=COUNT, within=SECONDS, seconds=SECONDS
)

_RULE = object_of(
    "A rate rule.",
    id=said(TEXT, "Its name in full; what other operations take as `rule`."),
    listener=TEXT,
    route=said(or_null(TEXT), "The route's name; null for a rule of the listener's own."),
    name=TEXT,
    limit=COUNT,
    period=said(or_null(SECONDS), "Seconds in which `limit` tokens come back; null for a calendar quota."),
    calendar=said(or_null(TEXT), "What a calendar quota ends with; null for all others."),
    burst=said(COUNT, "Tokens that an idle key has."),
    by=said(TEXTS, "What makes a key, as the config says it."),
    shared=said(FLAG, "Whether replicas share it."),
    mode={"type": "string", "enum": ["local", "exact", "leased"]},
    shadow=FLAG,
    block={"anyOf": [ref("BlockSettings"), {"type": "null"}]},
    counts=ref("RuleCounts"),
)

_CAP_COUNTS = object_of("Requests since the process began.", admitted=COUNT, refused=COUNT, timed_out=COUNT)

_CAP = object_of(
    "An in-flight cap.",
    id=said(TEXT, "Its name in full."),
    scope=TEXT,
    name=TEXT,
    limit=said(COUNT, "The most at once; an adaptive cap moves it."),
    in_flight=said(COUNT, "Under way now; of a cap for each key, all keys together."),
    queued=said(COUNT, "Waiting now."),
    queue=said(COUNT, "The most that may wait."),
    wait=said(SECONDS, "Seconds that each may wait."),
    by=said(TEXTS, "What makes a key, where each key has a cap of its own."),
    shared=FLAG,
    adaptive=FLAG,
    counts=ref("CapCounts"),
)

_BLOCKED = object_of(
    "A blocked key.",
    key=TEXT,
    rule=said(TEXT, "The id of the rule that refuses it."),
    expires_in=said(SECONDS, "Seconds until it is free."),
    reason=TEXT,
    by_hand=FLAG,
)

_STANDING = object_of(
    "What a key has left.",
    rule=TEXT,
    key=TEXT,
    known=said(FLAG, "Whether anything is remembered of it; if not, it has its whole burst."),
    limit=COUNT,
    remaining=said(COUNT, "Tokens that it has now."),
    reset=said(SECONDS, "Seconds until it has all of them."),
    blocked={"anyOf": [ref("Blocked"), {"type": "null"}]},
)

_CACHE_RESULTS = object_of(
    "Requests since the process began, by what became of them.",
    hit=said(COUNT, "Answered with something fresh."),
    stale=said(COUNT, "Answered with something stale, as was allowed."),
    revalidated=said(COUNT, "Answered with what the upstream said is still the same."),
    miss=said(COUNT, "Fetched."),
    collapsed=said(COUNT, "Answered by another request's fetch."),
    bypass=said(COUNT, "Sent on to the upstream without asking the cache, or by themselves."),
    error=said(COUNT, "Whose fetch has failed."),
)

_HIT_RATIO = said(
    {**SECONDS, "type": ["number", "null"], "maximum": 1},
    "The share that needed no fetch of its own (hit, stale, revalidated, collapsed) of all but bypass; null of none.",
)

_CACHED_ROUTE = object_of(
    "A route's use of the cache.",
    listener=TEXT,
    route=TEXT,
    hit_ratio=_HIT_RATIO,
    results=ref("CacheResults"),
    not_stored=list_of("CacheReason"),
)

_CACHE_TIER = object_of(
    "A tier. null where nobody counts it.",
    tier={"type": "string", "enum": ["memory", "redis"]},
    up=said(FLAG, "Whether it answers."),
    entries=or_null(COUNT),
    max_entries=or_null(COUNT),
    bytes=or_null(COUNT),
    max_bytes=or_null(COUNT),
    evictions=said(or_null(COUNT), "Responses that had to make room for others."),
    hits=said(COUNT, "Look-ups that found something."),
    misses=COUNT,
    seconds=said(or_null(SECONDS), "A look-up's on average; in memory, of those that are timed."),
)

_WARMING = object_of(
    "How a warming stands; `idle`: there has been none.",
    state={"type": "string", "enum": ["idle", "running", "done", "stopped"]},
    total=said(COUNT, "URLs known of; a sitemap may bring more."),
    done=said(COUNT, "Stored, or stored and fresh already."),
    failed=COUNT,
    left=COUNT,
    dropped=said(COUNT, "URLs left out because there are too many."),
    seconds=said(SECONDS, "Since it began, or from its beginning to its end."),
    estimate=said(or_null(SECONDS), "Seconds that are left, by its pace so far; null where there is none."),
    failures=said(list_of("WarmFailure"), "The last that failed."),
)

_CACHED_KEY = object_of(
    "A stored response.",
    key=said(TEXT, "A short name, by which it can be purged."),
    url=said(TEXT, "Host, path, and the names of the query's parameters."),
    route=TEXT,
    hits=said(COUNT, "How often it was found since it was stored."),
    bytes=COUNT,
    age=said(SECONDS, "Seconds."),
    fresh_for=said({"type": "number"}, "Seconds; negative when it is stale."),
)

_VALUE: Schema = {"type": "object", "description": "Keys of a definition, as flags.define has them."}

_FLAG_CHANGE = object_of(
    "A change of a flag's live value.",
    when=said(SECONDS, "Seconds since 1970."),
    who=TEXT,
    why=TEXT,
    live=said(or_null(_VALUE), "The whole live value from then on; null: it was taken away."),
)

_FLAG_SHOWN = object_of(
    "A flag. Of its layers, live goes before environment, and that before file, key by key.",
    name=TEXT,
    enabled=said(FLAG, "Whether it can be on for anybody."),
    value=said(_VALUE, "What all layers come to."),
    file=said(or_null(_VALUE), "What flags.define says."),
    environment=said(or_null(_VALUE), "What FEATURE_NAME and ROLLOUT_NAME say; null where they say nothing."),
    live=said(or_null(_VALUE), "What was said at run time; null where nothing was."),
    changed={"anyOf": [ref("FlagChange"), {"type": "null"}]},
    ignored=said(TEXTS, "Why the live value, though kept, is not in force."),
)

_FLAG_CHECK = object_of(
    "One thing that was asked.", said=TEXT, met=FLAG, found=said(or_null(TEXT), "What the context has there.")
)

_FLAG_BUCKET = object_of(
    "Where somebody stands in a share.",
    group=TEXT,
    stickiness=said(TEXT, "By what somebody is told from others."),
    who=said(or_null(TEXT), "null: the context does not tell; each request draws anew."),
    place=said(or_null(SECONDS), "From 0 to 100."),
    below=said(SECONDS, "Below this, the share has somebody."),
)

_FLAG_STRATEGY = object_of(
    "One strategy, as far as it was asked.",
    strategy=TEXT,
    met=FLAG,
    checks=list_of("FlagCheck"),
    bucket={"anyOf": [ref("FlagBucket"), {"type": "null"}]},
)

_FLAG_DRAW = object_of(
    "How a variant was found.",
    variant=TEXT,
    stickiness=TEXT,
    drawn=said(or_null(COUNT), "null: somebody is named for it."),
    of=said(COUNT, "The sum of all weights."),
)

_FLAG_EXPLANATION = object_of(
    "What a flag says to a context, and how it comes to that.",
    flag=TEXT,
    on=FLAG,
    variant=said(TEXT, "Its variant's name; `on` without one, or `off`."),
    reason=said(TEXT, "OpenFeature's word for it."),
    because=said(TEXT, "What decided."),
    prerequisites=list_of("FlagCheck"),
    guards=said(list_of("FlagCheck"), "What must hold whichever strategy is met."),
    strategies=list_of("FlagStrategy"),
    draw={"anyOf": [ref("FlagDraw"), {"type": "null"}]},
)

_PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "errors": said(
            {
                "type": "array",
                "items": object_of("One mistake.", pointer=said(TEXT, "A JSON pointer."), detail=TEXT),
            },
            "Each mistake of the request, where there may be several.",
        ),
    },
    "required": ["type", "title", "status", "detail"],
}

COMPONENTS: dict[str, Any] = {
    "Breakers": object_of("Every breaker.", breakers=list_of("Breaker")),
    "Breaker": _BREAKER,
    "BreakerSettings": _BREAKER_SETTINGS,
    "Limits": object_of("Every rate rule and in-flight cap.", rules=list_of("Rule"), caps=list_of("Cap")),
    "Rule": _RULE,
    "RuleCounts": _RULE_COUNTS,
    "BlockSettings": _BLOCK_SETTINGS,
    "Cap": _CAP,
    "CapCounts": _CAP_COUNTS,
    "BlockedKeys": object_of(
        "Blocked keys.", blocked=list_of("Blocked"), total=said(COUNT, "How many there are; the list may have fewer.")
    ),
    "Blocked": _BLOCKED,
    "Block": BLOCK,
    "Lifted": object_of("What was lifted.", lifted=said(COUNT, "How many blocks.")),
    "Standing": _STANDING,
    "Reset": object_of("What was forgotten.", reset=said(COUNT, "How many keys' use.")),
    "CacheStats": object_of(
        "The cache as it stands.",
        hit_ratio=_HIT_RATIO,
        flights=said(COUNT, "Fetches under way."),
        tiers=list_of("CacheTier"),
        routes=list_of("CachedRoute"),
        purges=ref("CachePurges"),
        warming=ref("Warming"),
    ),
    "CacheResults": _CACHE_RESULTS,
    "CacheReason": object_of("Why responses were not stored, and how many.", reason=TEXT, count=COUNT),
    "CachedRoute": _CACHED_ROUTE,
    "CacheTier": _CACHE_TIER,
    "CachePurges": object_of(
        "Purges since the process began.",
        seen=said(COUNT, "Here, and told by other replicas."),
        waiting=said(COUNT, "Of which other replicas do not know yet."),
    ),
    "CacheTop": object_of(
        "The keys that are asked for most and least.", hottest=list_of("CachedKey"), coldest=list_of("CachedKey")
    ),
    "CachedKey": _CACHED_KEY,
    "Purge": PURGE,
    "Purged": object_of(
        "What a purge did.",
        purged=said(COUNT, "Responses in this process's memory."),
        soft=FLAG,
        replicas_told=said(
            or_null(FLAG), "false: they will be when the shared state answers; null: there are none to tell."
        ),
    ),
    "Warm": WARM,
    "Warming": _WARMING,
    "WarmFailure": object_of("What could not be warmed.", url=said(TEXT, "Without the query."), why=TEXT),
    "Flags": object_of(
        "Every flag.",
        flags=list_of("Flag"),
        kept={
            "type": "string",
            "enum": ["redis", "file", "memory"],
            "description": "Where live values are; memory forgets them with the process.",
        },
    ),
    "Flag": _FLAG_SHOWN,
    "FlagChange": _FLAG_CHANGE,
    "FlagHistory": object_of("A flag's changes, the latest first.", changes=list_of("FlagChange")),
    "NewFlag": CHANGE,
    "FlagQuestion": ASK,
    "FlagExplanation": _FLAG_EXPLANATION,
    "FlagCheck": _FLAG_CHECK,
    "FlagBucket": _FLAG_BUCKET,
    "FlagStrategy": _FLAG_STRATEGY,
    "FlagDraw": _FLAG_DRAW,
    "Config": object_of("The config in force.", config={"type": "object"}),
    "Drain": object_of(
        "Whether the gateway drains, and how far it is.",
        phase={"type": "string", "enum": ["starting", "ready", "draining"]},
        drained=said(FLAG, "Ingress has answered its last request."),
        in_flight={
            "type": "object",
            "description": "Exchanges under way, by listener.",
            "additionalProperties": COUNT,
        },
        instance=said(TEXT, "Another one for each process."),
    ),
    "Level": LEVEL,
    **WATCHED,
    "Problem": _PROBLEM,
}
