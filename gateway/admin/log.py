"""`/log`: the log level, set at run time for a while or for good."""

from __future__ import annotations

from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.shape import Schema
from gateway.admin.time_span import FOR, seconds
from gateway.admin.watch_ports import LogLevels

LEVEL: Schema = {
    "type": "object",
    "properties": {
        "level": {
            "type": "string",
            "minLength": 4,
            "maxLength": 7,
            "pattern": "^(debug|info|warning|error)$",
            "description": "The least that is written.",
            "examples": ["debug", "info", "warning", "error"],
        },
        "for": {
            **FOR,
            "description": "For how long, as in 10m; left out, until it is set anew, the process ends, or the config "
            "says another level than it does now.",
        },
    },
    "required": ["level"],
    "additionalProperties": False,
}


def operations(levels: LogLevels) -> list[Operation]:
    """What can be done with the log level."""

    async def shown(_: Call) -> Answer:
        return Answer(levels.shown())

    async def hold(call: Call) -> Answer:
        span = call.body.get("for")
        return Answer(levels.hold(call.body["level"], None if span is None else seconds(span)))

    async def release(_: Call) -> Answer:
        return Answer(levels.release())

    return [
        Operation("getLogLevel", "GET", "/log", "The log level in force, and the config's", "LogLevel", shown),
        Operation(
            "setLogLevel", "PUT", "/log", "Set the log level, perhaps for a while", "LogLevel", hold, takes="Level"
        ),
        Operation("resetLogLevel", "DELETE", "/log", "Have the config's log level hold again", "LogLevel", release),
    ]
