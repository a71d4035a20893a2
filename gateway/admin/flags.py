"""`/flags`: each flag with the value of every layer, changing it, who has, and why it says what to whom."""

from __future__ import annotations

from gateway.admin.flag_ports import Flags
from gateway.admin.operation import Answer, Call, Operation, Parameter
from gateway.admin.shape import Schema

#: Changes that a history lists where the question does not say.
LISTED = 20

_NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": "^[!-~]+$",
    "description": "The flag's name.",
}
_WHO: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 100,
    "pattern": "^[^\\u0000-\\u001f\\u007f]+$",
    "description": "Who changes it, for its history; the client's address where it is left out.",
}
_WHY: Schema = {**_WHO, "maxLength": 500, "description": "Why, for its history."}
_LIVE: Schema = {
    "type": "object",
    "properties": {},
    "additionalProperties": True,
    "description": "Keys of a definition, as flags.define has them.",
    "examples": [{"enabled": True, "rollout": "25%"}],
}
CHANGE: Schema = {
    "type": "object",
    "properties": {"live": _LIVE, "who": _WHO, "why": _WHY},
    "required": ["live"],
    "additionalProperties": False,
}
_MOMENT: Schema = {
    "type": "string",
    "maxLength": 40,
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]{5,18} ?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?$",
    "description": "The time (RFC 3339); the present where it is left out.",
}
ASK: Schema = {
    "type": "object",
    "properties": {
        "context": {
            "type": "object",
            "properties": {"now": _MOMENT},
            "additionalProperties": True,
            "description": "user, groups, session, address, environment, app, now; anything else is a property by "
            "its name.",
            "examples": [{"user": "u1", "groups": ["beta_tester"], "header:X-Plan": "pro"}],
        }
    },
    "additionalProperties": False,
}
_NUMBER: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 3,
    "pattern": "^([1-9][0-9]?|100)$",
    "description": f"How many, 100 at most; {LISTED} where it is left out.",
}
_IN_PATH = {"name": _NAME}


def operations(flags: Flags) -> list[Operation]:
    """What can be done with flags."""
    handlers = _Handlers(flags)
    return [
        Operation("listFlags", "GET", "/flags", "Every flag and its value", "Flags", handlers.all),
        Operation(
            "getFlagHistory",
            "GET",
            "/flags/{name}/history",
            "Who changed it, when and why, the latest first",
            "FlagHistory",
            handlers.history,
            path_schemas=_IN_PATH,
            query=(Parameter("n", _NUMBER),),
            problems=(404, 503),
        ),
        Operation(
            "explainFlag",
            "POST",
            "/flags/{name}/why",
            "What it says to a context, and how it comes to that",
            "FlagExplanation",
            handlers.why,
            path_schemas=_IN_PATH,
            takes="FlagQuestion",
            optional=True,
            reads=True,
            problems=(404, 409),
        ),
        Operation(
            "getFlag",
            "GET",
            "/flags/{name}",
            "One flag",
            "Flag",
            handlers.get,
            path_schemas=_IN_PATH,
            problems=(404,),
        ),
        Operation(
            "putFlag",
            "PUT",
            "/flags/{name}",
            "Have this be its whole live value, in all replicas",
            "Flag",
            handlers.put,
            path_schemas=_IN_PATH,
            takes="NewFlag",
            problems=(404, 409, 503),
        ),
        Operation(
            "patchFlag",
            "PATCH",
            "/flags/{name}",
            "Change some keys of its live value; null leaves a key to the environment and the file",
            "Flag",
            handlers.patch,
            path_schemas=_IN_PATH,
            takes="NewFlag",
            problems=(404, 409, 503),
        ),
        Operation(
            "resetFlag",
            "DELETE",
            "/flags/{name}",
            "Take its live value away, so that what environment and file say holds",
            "Flag",
            handlers.reset,
            path_schemas=_IN_PATH,
            query=(Parameter("who", _WHO), Parameter("why", _WHY)),
            problems=(404, 409, 503),
        ),
    ]


class _Handlers:
    def __init__(self, flags: Flags) -> None:
        self._flags = flags

    async def all(self, _: Call) -> Answer:
        return Answer({"flags": self._flags.all(), "kept": self._flags.kept})

    async def get(self, call: Call) -> Answer:
        return Answer(self._flags.get(call.path["name"]))

    async def put(self, call: Call) -> Answer:
        return Answer(await self._flags.put(call.path["name"], call.body["live"], *_by(call, call.body)))

    async def patch(self, call: Call) -> Answer:
        return Answer(await self._flags.patch(call.path["name"], call.body["live"], *_by(call, call.body)))

    async def reset(self, call: Call) -> Answer:
        return Answer(await self._flags.put(call.path["name"], None, *_by(call, call.query)))

    async def history(self, call: Call) -> Answer:
        return Answer({"changes": await self._flags.history(call.path["name"], int(call.query.get("n", LISTED)))})

    async def why(self, call: Call) -> Answer:
        return Answer(self._flags.why(call.path["name"], call.body.get("context", {})))


def _by(call: Call, given: dict[str, str]) -> tuple[str, str]:
    return given.get("who", call.client), given.get("why", "")
