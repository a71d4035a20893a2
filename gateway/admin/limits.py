"""`/limits`: rate rules and in-flight caps with their use, blocked keys, and what one key has left."""

from __future__ import annotations

from urllib.parse import quote

from gateway.admin import ports
from gateway.admin.operation import Answer, Call, Operation, Parameter
from gateway.admin.shape import Schema
from gateway.admin.time_span import FOR, seconds

ROOT = "/api/v1"
#: So many blocked keys are listed; `total` says how many there are.
LISTED = 1000

_RULE: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 400,
    "pattern": "^[ -~]+$",
    "description": "A rate rule's id, as /limits lists it.",
}
_KEY: Schema = {
    "type": "string",
    "maxLength": 512,
    "pattern": "^[ -~]*$",
    "description": "A key as the log and /limits/blocked show it, credentials hashed; empty is that of all callers "
    "together, or of those who have none.",
}
_SOMEBODY: Schema = {**_KEY, "minLength": 1, "pattern": "^[ -~]+$"}
BLOCK: Schema = {
    "type": "object",
    "properties": {
        "key": _SOMEBODY,
        "rule": {**_RULE, "description": "Only this rule; otherwise every rule there is."},
        "for": FOR,
        "reason": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "pattern": "^[^\\u0000-\\u001f\\u007f]+$",
            "description": "Why, for whoever looks at the list.",
        },
    },
    "required": ["key", "for"],
    "additionalProperties": False,
}
_KEY_IN_PATH = {"key": _KEY}
_ONE_RULE = (Parameter("rule", {**_RULE, "description": "Only this rule's; otherwise every rule's."}),)


def operations(limits: ports.Limits) -> list[Operation]:
    """What can be done with limits."""
    handlers = _Handlers(limits)
    return [
        Operation("listLimits", "GET", "/limits", "Every rate rule and in-flight cap", "Limits", handlers.all),
        Operation(
            "listBlocked",
            "GET",
            "/limits/blocked",
            f"Blocked keys, the first to be free first, {LISTED} at most",
            "BlockedKeys",
            handlers.blocked,
        ),
        Operation(
            "block",
            "POST",
            "/limits/blocked",
            "Block a key by hand",
            "BlockedKeys",
            handlers.block,
            status=201,
            takes="Block",
            problems=(404,),
        ),
        Operation(
            "unblock",
            "DELETE",
            "/limits/blocked/{key}",
            "Lift the blocks of a key",
            "Lifted",
            handlers.unblock,
            path_schemas=_KEY_IN_PATH,
            query=_ONE_RULE,
            problems=(404,),
        ),
        Operation(
            "getStanding",
            "GET",
            "/limits/keys",
            "What a key has left; without `key`, what all callers together have",
            "Standing",
            handlers.standing,
            query=(Parameter("rule", _RULE, required=True), Parameter("key", _KEY)),
            problems=(404, 503),
        ),
        Operation(
            "resetKeys",
            "DELETE",
            "/limits/keys",
            "Forget what a key has used; without `key`, what every key of the rule has",
            "Reset",
            handlers.reset,
            query=(Parameter("rule", _RULE, required=True), Parameter("key", _KEY)),
            problems=(404, 503),
        ),
    ]


class _Handlers:
    def __init__(self, limits: ports.Limits) -> None:
        self._limits = limits

    async def all(self, _: Call) -> Answer:
        return Answer({"rules": self._limits.rules(), "caps": self._limits.caps()})

    async def blocked(self, _: Call) -> Answer:
        return _listed(self._limits.blocked())

    async def block(self, call: Call) -> Answer:
        body = call.body
        made = self._limits.block(body["key"], body.get("rule"), seconds(body["for"]), body.get("reason", "by hand"))
        if not made:
            raise ports.NotThere("There is no rate rule that could refuse it.")
        location = f"{ROOT}/limits/blocked/{quote(body['key'], safe='')}"
        return Answer(_listed(made).value, location)

    async def unblock(self, call: Call) -> Answer:
        lifted = self._limits.unblock(call.path["key"], call.query.get("rule"))
        if not lifted:
            raise ports.NotThere("This key is not blocked.")
        return Answer({"lifted": lifted})

    async def standing(self, call: Call) -> Answer:
        return Answer(await self._limits.standing(call.query["rule"], call.query.get("key", "")))

    async def reset(self, call: Call) -> Answer:
        return Answer({"reset": await self._limits.reset(call.query["rule"], call.query.get("key"))})


def _listed(blocked: list[ports.Blocked]) -> Answer:
    return Answer({"blocked": blocked[:LISTED], "total": len(blocked)})
