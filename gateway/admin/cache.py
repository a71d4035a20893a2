"""`/cache`: what it holds and has found, its hottest and coldest keys, purging, warming; and the method PURGE."""

from __future__ import annotations

from typing import Any, cast

from gateway.admin import ports
from gateway.admin.operation import Answer, Call, Operation, Parameter
from gateway.admin.shape import Schema

#: Keys that /cache/top lists of each kind where the question does not say.
LISTED = 10
#: URLs of one request to warm: as many as its body has room for.
WARMED = 25
_PURGE = "purgeCache"

# As rules/request_target.py reads them, without a fragment; a URL has a host.
_REST = '[!-"$-~]*'
_HOST = r"(\[[0-9A-Za-z.:]+\]|[A-Za-z0-9._~%!$&'()*+;=-]+)(:[0-9]*)?"
_URL: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 2000,
    "pattern": f"^(https?://{_HOST}([/?]{_REST})?|/{_REST})$",
    "description": "As clients ask for it, with its query; or the path alone, with its query.",
    "examples": ["https://shop.example/models?page=1", "/models"],
}
_TAG: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "pattern": "^[!-~]+$",
    "description": "A tag of a route, or of a response's Cache-Tag or Surrogate-Key.",
}
_PATTERN: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1000,
    "pattern": "^[/*][!-~]*$",
    "description": "A path with its query, on any host; * stands for anything.",
    "examples": ["/images/*"],
}
_KEY: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 100,
    "pattern": "^[!-~]+$",
    "description": "A key's short name, as /cache/top shows it.",
}
_ALL: Schema = {"type": "boolean", "enum": [True], "description": "Everything."}
_BY: dict[ports.PurgeBy, Schema] = {"tag": _TAG, "url": _URL, "pattern": _PATTERN, "key": _KEY, "all": _ALL}
PURGE: Schema = {
    "type": "object",
    "properties": {
        **_BY,
        "soft": {
            "type": "boolean",
            "default": False,
            "description": "Turn stale, to be validated, or to answer where a stale one may; else it is removed.",
        },
    },
    "oneOf": [{"required": [by]} for by in _BY],
    "additionalProperties": False,
}
WARM: Schema = {
    "type": "object",
    "properties": {
        "urls": {
            "type": "array",
            "items": {**_URL, "description": "As clients ask for it, or a path below the config's origin."},
            "minItems": 1,
            "maxItems": WARMED,
            "description": "What to warm, what is under way with it; without it, what the config lists.",
        }
    },
    "additionalProperties": False,
}
_NUMBER: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 3,
    "pattern": "^[1-9][0-9]{0,2}$",
    "description": f"How many of each; {LISTED} where it is left out.",
    "examples": ["20"],
}


def operations(cache: ports.Cache) -> list[Operation]:
    """What can be done with the cache."""
    handlers = _Handlers(cache)
    return [
        Operation("getCache", "GET", "/cache", "What the cache holds and has found", "CacheStats", handlers.stats),
        Operation(
            "getCacheTop",
            "GET",
            "/cache/top",
            "The keys that are asked for most and least",
            "CacheTop",
            handlers.top,
            query=(Parameter("n", _NUMBER),),
        ),
        Operation(
            _PURGE,
            "POST",
            "/cache/purge",
            "Remove stored responses, or have them turn stale, here and in all replicas",
            "Purged",
            handlers.purge,
            takes="Purge",
        ),
        Operation("getWarming", "GET", "/cache/warm", "How the last warming stands", "Warming", handlers.warming),
        Operation(
            "warmCache",
            "POST",
            "/cache/warm",
            "Fetch URLs before they are asked for",
            "Warming",
            handlers.warm,
            status=202,
            takes="Warm",
            optional=True,
            problems=(409,),
        ),
    ]


def purge_operation(every: list[Operation]) -> Operation | None:
    """The one that the method PURGE stands for; None where there is no cache."""
    return next((operation for operation in every if operation.id == _PURGE), None)


def purge_body(target: str, site: str | None, soft: str) -> dict[str, Any]:
    """What the method PURGE asks for, as purgeCache takes it.

    `target` is the request's, a path or a URL, `site` what its Host names where that is not this listener; `soft` the
    value of Soft-Purge. A last parameter soft=1 means the same, and is no part of what is purged.
    """
    wanted = soft == "1"
    for ending in ("?soft=1", "&soft=1"):
        if target.endswith(ending):
            target, wanted = target.removesuffix(ending), True
    if site is not None and target.startswith("/"):
        scheme = "https" if site.endswith(":443") else "http"
        target = f"{scheme}://{site}{target}"
    return {"url": target, "soft": wanted}


class _Handlers:
    def __init__(self, cache: ports.Cache) -> None:
        self._cache = cache

    async def stats(self, _: Call) -> Answer:
        return Answer(self._cache.stats())

    async def top(self, call: Call) -> Answer:
        return Answer(self._cache.top(int(call.query.get("n", LISTED))))

    async def purge(self, call: Call) -> Answer:
        body = dict(call.body)
        soft = body.pop("soft", False)
        ((by, value),) = body.items()
        text = "" if by == "all" else value
        return Answer(await self._cache.purge(cast("ports.PurgeBy", by), text, soft=soft))

    async def warming(self, _: Call) -> Answer:
        return Answer(self._cache.warming())

    async def warm(self, call: Call) -> Answer:
        return Answer(self._cache.warm(call.body.get("urls", [])))
