"""How a request's body says for how long."""

from __future__ import annotations

from gateway.admin.shape import Schema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
FOR: Schema = {
    "type": "string",
    "minLength": 2,
    "maxLength": 7,
    "pattern": "^([1-9][0-9]{0,5}s|[1-9][0-9]{0,4}m|[1-9][0-9]{0,2}h|[1-9][0-9]?d)$",
    "description": "For how long, as in 30s, 10m, 1h or 7d.",
    "examples": ["10m"],
}


def seconds(text: str) -> int:
    """A text that FOR lets through, in seconds."""
    return int(text[:-1]) * _UNITS[text[-1]]
