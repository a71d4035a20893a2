"""What the API answers, described as JSON Schema (draft 2020-12, which OpenAPI 3.1 uses)."""

from __future__ import annotations

from typing import Any

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
    "Config": _object("The config in force.", config={"type": "object"}),
    "Drain": _object(
        "Whether the gateway drains.",
        phase={"type": "string", "enum": ["starting", "ready", "draining"]},
        instance=_said(_TEXT, "Another one for each process."),
    ),
    "Problem": _PROBLEM,
}
