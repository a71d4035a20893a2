"""What the API answers, described as JSON Schema (draft 2020-12, which OpenAPI 3.1 uses)."""

from __future__ import annotations

from typing import Any

from gateway.admin.cache import PURGE, WARM
from gateway.admin.flags import ASK, CHANGE
from gateway.admin.limits import BLOCK
from gateway.admin.shape import Schema

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_TEXTS: Schema = {"type": "array", "items": _TEXT}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


def _object(description: str, **properties: Schema) -> Schema:
    """All of its members are always there; others may come with later versions."""
    return {"type": "object", "description": description, "properties": properties, "required": list(properties)}


_BREAKER_SETTINGS = _object(
    "A breaker's part of the config; times in seconds, the share from 0 to 1.",
    failures=_COUNT,
    reset=_SECONDS,
    successes=_COUNT,
    statuses={"type": "array", "items": {"type": "integer"}},
    share=_or_null(_SECONDS),
    window=_SECONDS,
    min_calls=_COUNT,
)

_BREAKER = _object(
    "An upstream's circuit breaker.",
    name=_said(_TEXT, "The upstream's name."),
    state={"type": "string", "enum": ["closed", "half_open", "open"]},
    held=_said(_FLAG, "Opened by hand, and so until it is closed or reset by hand."),
    failures=_said(_COUNT, "Failures in a row, while closed."),
    successes=_said(_COUNT, "Probes in a row that succeeded, while half-open."),
    retry_after=_said(_or_null(_COUNT), "Seconds that a refused client is told; null while nothing is refused."),
    settings=_ref("BreakerSettings"),
)

_RULE_COUNTS = _object(
    "Requests since the process began.",
    allowed=_COUNT,
    refused=_COUNT,
    blocked=_said(_COUNT, "Refused because their key is blocked."),
    shadow_refused=_said(_COUNT, "Let through by a shadow rule that would have refused them."),
    skipped=_said(_COUNT, "Not counted: excepted, or without the key."),
    fallback=_said(_COUNT, "Decided by the local share, because the shared state could not be asked."),
)

_BLOCK_SETTINGS = _object(
    "A key refused so often within so long is blocked for so long.", after=_COUNT, within=_SECONDS, seconds=_SECONDS
)

_RULE = _object(
    "A rate rule.",
    id=_said(_TEXT, "Its name in full; what other operations take as `rule`."),
    listener=_TEXT,
    route=_said(_or_null(_TEXT), "The route's name; null for a rule of the listener's own."),
    name=_TEXT,
    limit=_COUNT,
    period=_said(_or_null(_SECONDS), "Seconds in which `limit` tokens come back; null for a calendar quota."),
    calendar=_said(_or_null(_TEXT), "What a calendar quota ends with; null for all others."),
    burst=_said(_COUNT, "Tokens that an idle key has."),
    by=_said(_TEXTS, "What makes a key, as the config says it."),
    shared=_said(_FLAG, "Whether replicas share it."),
    mode={"type": "string", "enum": ["local", "exact", "leased"]},
    shadow=_FLAG,
    block={"anyOf": [_ref("BlockSettings"), {"type": "null"}]},
    counts=_ref("RuleCounts"),
)

_CAP_COUNTS = _object("Requests since the process began.", admitted=_COUNT, refused=_COUNT, timed_out=_COUNT)

_CAP = _object(
    "An in-flight cap.",
    id=_said(_TEXT, "Its name in full."),
    scope=_TEXT,
    name=_TEXT,
    limit=_said(_COUNT, "The most at once; an adaptive cap moves it."),
    in_flight=_said(_COUNT, "Under way now; of a cap for each key, all keys together."),
    queued=_said(_COUNT, "Waiting now."),
    queue=_said(_COUNT, "The most that may wait."),
    wait=_said(_SECONDS, "Seconds that each may wait."),
    by=_said(_TEXTS, "What makes a key, where each key has a cap of its own."),
    shared=_FLAG,
    adaptive=_FLAG,
    counts=_ref("CapCounts"),
)

_BLOCKED = _object(
    "A blocked key.",
    key=_TEXT,
    rule=_said(_TEXT, "The id of the rule that refuses it."),
    expires_in=_said(_SECONDS, "Seconds until it is free."),
    reason=_TEXT,
    by_hand=_FLAG,
)

_STANDING = _object(
    "What a key has left.",
    rule=_TEXT,
    key=_TEXT,
    known=_said(_FLAG, "Whether anything is remembered of it; if not, it has its whole burst."),
    limit=_COUNT,
    remaining=_said(_COUNT, "Tokens that it has now."),
    reset=_said(_SECONDS, "Seconds until it has all of them."),
    blocked={"anyOf": [_ref("Blocked"), {"type": "null"}]},
)

_CACHE_RESULTS = _object(
    "Requests since the process began, by what became of them.",
    hit=_said(_COUNT, "Answered with something fresh."),
    stale=_said(_COUNT, "Answered with something stale, as was allowed."),
    revalidated=_said(_COUNT, "Answered with what the upstream said is still the same."),
    miss=_said(_COUNT, "Fetched."),
    collapsed=_said(_COUNT, "Answered by another request's fetch."),
    bypass=_said(_COUNT, "Sent on to the upstream without asking the cache, or by themselves."),
    error=_said(_COUNT, "Whose fetch has failed."),
)

_HIT_RATIO = _said(
    {**_SECONDS, "type": ["number", "null"], "maximum": 1},
    "The share that needed no fetch of its own (hit, stale, revalidated, collapsed) of all but bypass; null of none.",
)

_CACHED_ROUTE = _object(
    "A route's use of the cache.",
    listener=_TEXT,
    route=_TEXT,
    hit_ratio=_HIT_RATIO,
    results=_ref("CacheResults"),
    not_stored=_list("CacheReason"),
)

_CACHE_TIER = _object(
    "A tier. null where nobody counts it.",
    tier={"type": "string", "enum": ["memory", "redis"]},
    up=_said(_FLAG, "Whether it answers."),
    entries=_or_null(_COUNT),
    max_entries=_or_null(_COUNT),
    bytes=_or_null(_COUNT),
    max_bytes=_or_null(_COUNT),
    evictions=_said(_or_null(_COUNT), "Responses that had to make room for others."),
    hits=_said(_COUNT, "Look-ups that found something."),
    misses=_COUNT,
    seconds=_said(_or_null(_SECONDS), "A look-up's on average; in memory, of those that are timed."),
)

_WARMING = _object(
    "How a warming stands; `idle`: there has been none.",
    state={"type": "string", "enum": ["idle", "running", "done", "stopped"]},
    total=_said(_COUNT, "URLs known of; a sitemap may bring more."),
    done=_said(_COUNT, "Stored, or stored and fresh already."),
    failed=_COUNT,
    left=_COUNT,
    dropped=_said(_COUNT, "URLs left out because there are too many."),
    seconds=_said(_SECONDS, "Since it began, or from its beginning to its end."),
    estimate=_said(_or_null(_SECONDS), "Seconds that are left, by its pace so far; null where there is none."),
    failures=_said(_list("WarmFailure"), "The last that failed."),
)

_CACHED_KEY = _object(
    "A stored response.",
    key=_said(_TEXT, "A short name, by which it can be purged."),
    url=_said(_TEXT, "Host, path, and the names of the query's parameters."),
    route=_TEXT,
    hits=_said(_COUNT, "How often it was found since it was stored."),
    bytes=_COUNT,
    age=_said(_SECONDS, "Seconds."),
    fresh_for=_said({"type": "number"}, "Seconds; negative when it is stale."),
)

_VALUE: Schema = {"type": "object", "description": "Keys of a definition, as flags.define has them."}

_FLAG_CHANGE = _object(
    "A change of a flag's live value.",
    when=_said(_SECONDS, "Seconds since 1970."),
    who=_TEXT,
    why=_TEXT,
    live=_said(_or_null(_VALUE), "The whole live value from then on; null: it was taken away."),
)

_FLAG_SHOWN = _object(
    "A flag. Of its layers, live goes before environment, and that before file, key by key.",
    name=_TEXT,
    enabled=_said(_FLAG, "Whether it can be on for anybody."),
    value=_said(_VALUE, "What all layers come to."),
    file=_said(_or_null(_VALUE), "What flags.define says."),
    environment=_said(_or_null(_VALUE), "What FEATURE_NAME and ROLLOUT_NAME say; null where they say nothing."),
    live=_said(_or_null(_VALUE), "What was said at run time; null where nothing was."),
    changed={"anyOf": [_ref("FlagChange"), {"type": "null"}]},
    ignored=_said(_TEXTS, "Why the live value, though kept, is not in force."),
)

_FLAG_CHECK = _object(
    "One thing that was asked.", said=_TEXT, met=_FLAG, found=_said(_or_null(_TEXT), "What the context has there.")
)

_FLAG_BUCKET = _object(
    "Where somebody stands in a share.",
    group=_TEXT,
    stickiness=_said(_TEXT, "By what somebody is told from others."),
    who=_said(_or_null(_TEXT), "null: the context does not tell; each request draws anew."),
    place=_said(_or_null(_SECONDS), "From 0 to 100."),
    below=_said(_SECONDS, "Below this, the share has somebody."),
)

_FLAG_STRATEGY = _object(
    "One strategy, as far as it was asked.",
    strategy=_TEXT,
    met=_FLAG,
    checks=_list("FlagCheck"),
    bucket={"anyOf": [_ref("FlagBucket"), {"type": "null"}]},
)

_FLAG_DRAW = _object(
    "How a variant was found.",
    variant=_TEXT,
    stickiness=_TEXT,
    drawn=_said(_or_null(_COUNT), "null: somebody is named for it."),
    of=_said(_COUNT, "The sum of all weights."),
)

_FLAG_EXPLANATION = _object(
    "What a flag says to a context, and how it comes to that.",
    flag=_TEXT,
    on=_FLAG,
    variant=_said(_TEXT, "Its variant's name; `on` without one, or `off`."),
    reason=_said(_TEXT, "OpenFeature's word for it."),
    because=_said(_TEXT, "What decided."),
    prerequisites=_list("FlagCheck"),
    guards=_said(_list("FlagCheck"), "What must hold whichever strategy is met."),
    strategies=_list("FlagStrategy"),
    draw={"anyOf": [_ref("FlagDraw"), {"type": "null"}]},
)

_PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": _said(
            {
                "type": "array",
                "items": _object("One mistake.", pointer=_said(_TEXT, "A JSON pointer."), detail=_TEXT),
            },
            "Each mistake of the request, where there may be several.",
        ),
    },
    "required": ["type", "title", "status", "detail"],
}

COMPONENTS: dict[str, Any] = {
    "Breakers": _object("Every breaker.", breakers=_list("Breaker")),
    "Breaker": _BREAKER,
    "BreakerSettings": _BREAKER_SETTINGS,
    "Limits": _object("Every rate rule and in-flight cap.", rules=_list("Rule"), caps=_list("Cap")),
    "Rule": _RULE,
    "RuleCounts": _RULE_COUNTS,
    "BlockSettings": _BLOCK_SETTINGS,
    "Cap": _CAP,
    "CapCounts": _CAP_COUNTS,
    "BlockedKeys": _object(
        "Blocked keys.", blocked=_list("Blocked"), total=_said(_COUNT, "How many there are; the list may have fewer.")
    ),
    "Blocked": _BLOCKED,
    "Block": BLOCK,
    "Lifted": _object("What was lifted.", lifted=_said(_COUNT, "How many blocks.")),
    "Standing": _STANDING,
    "Reset": _object("What was forgotten.", reset=_said(_COUNT, "How many keys' use.")),
    "CacheStats": _object(
        "The cache as it stands.",
        hit_ratio=_HIT_RATIO,
        flights=_said(_COUNT, "Fetches under way."),
        tiers=_list("CacheTier"),
        routes=_list("CachedRoute"),
        purges=_ref("CachePurges"),
        warming=_ref("Warming"),
    ),
    "CacheResults": _CACHE_RESULTS,
    "CacheReason": _object("Why responses were not stored, and how many.", reason=_TEXT, count=_COUNT),
    "CachedRoute": _CACHED_ROUTE,
    "CacheTier": _CACHE_TIER,
    "CachePurges": _object(
        "Purges since the process began.",
        seen=_said(_COUNT, "Here, and told by other replicas."),
        waiting=_said(_COUNT, "Of which other replicas do not know yet."),
    ),
    "CacheTop": _object(
        "The keys that are asked for most and least.", hottest=_list("CachedKey"), coldest=_list("CachedKey")
    ),
    "CachedKey": _CACHED_KEY,
    "Purge": PURGE,
    "Purged": _object(
        "What a purge did.",
        purged=_said(_COUNT, "Responses in this process's memory."),
        soft=_FLAG,
        replicas_told=_said(
            _or_null(_FLAG), "false: they will be when the shared state answers; null: there are none to tell."
        ),
    ),
    "Warm": WARM,
    "Warming": _WARMING,
    "WarmFailure": _object("What could not be warmed.", url=_said(_TEXT, "Without the query."), why=_TEXT),
    "Flags": _object(
        "Every flag.",
        flags=_list("Flag"),
        kept={
            "type": "string",
            "enum": ["redis", "file", "memory"],
            "description": "Where live values are; memory forgets them with the process.",
        },
    ),
    "Flag": _FLAG_SHOWN,
    "FlagChange": _FLAG_CHANGE,
    "FlagHistory": _object("A flag's changes, the latest first.", changes=_list("FlagChange")),
    "NewFlag": CHANGE,
    "FlagQuestion": ASK,
    "FlagExplanation": _FLAG_EXPLANATION,
    "FlagCheck": _FLAG_CHECK,
    "FlagBucket": _FLAG_BUCKET,
    "FlagStrategy": _FLAG_STRATEGY,
    "FlagDraw": _FLAG_DRAW,
    "Config": _object("The config in force.", config={"type": "object"}),
    "Drain": _object(
        "Whether the gateway drains, and how far it is.",
        phase={"type": "string", "enum": ["starting", "ready", "draining"]},
        drained=_said(_FLAG, "Ingress has answered its last request."),
        in_flight={
            "type": "object",
            "description": "Exchanges under way, by listener.",
            "additionalProperties": _COUNT,
        },
        instance=_said(_TEXT, "Another one for each process."),
    ),
    "Problem": _PROBLEM,
}
