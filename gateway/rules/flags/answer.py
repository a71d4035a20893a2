"""What a flag says: on or off, perhaps a variant, and OpenFeature's word for how it came to that.

Answers are made when definitions are compiled and shared between requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.rules.flags.compiling import Notes, Place, as_text, shown

#: OpenFeature's reasons: always so; no rule was met; a rule was; a share or a draw decided; switched off.
STATIC, DEFAULT, TARGETING, SPLIT, DISABLED = "STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED"

_TYPES = frozenset({"string", "csv", "number", "json"})
_KEYS = frozenset({"type", "value"})


class Payload(NamedTuple):
    """What comes with a variant: a type and a text, as Unleash has it, and the value that the text stands for."""

    type: str
    value: str
    data: Any


class Variant(NamedTuple):
    """One of the things that a flag can be when it is on."""

    name: str
    payload: Payload | None = None


class Answer(NamedTuple):
    """What a flag says to one request."""

    on: bool
    reason: str
    variant: Variant | None = None


OFF = Answer(False, DISABLED)
NO_RULE = Answer(False, DEFAULT)


def payload(raw: object, at: Place, notes: Notes) -> Payload | None:
    """A payload as Unleash writes it, `{type, value}`, or any plain value, whose type is then its own."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping) or not raw.keys() <= _KEYS or not {"value"} <= raw.keys():
        return _plain(raw)
    text, kind = as_text(raw["value"]), as_text(raw.get("type", "string"))
    if kind is None or kind not in _TYPES or text is None:
        notes.refuse(at, f"a payload is one of {', '.join(sorted(_TYPES))} and a text")
        return None
    try:
        data = json.loads(text, parse_constant=_no_constant) if kind in ("number", "json") else text
        return Payload(kind, text, data)
    except (ValueError, RecursionError):
        notes.refuse((*at, "value"), f"{shown(text)} is no {kind}")
        return Payload(kind, text, text)


def _no_constant(text: str) -> None:
    """Python reads NaN, which no JSON has."""
    raise ValueError(text)


def _plain(raw: object) -> Payload:
    if isinstance(raw, str):
        return Payload("string", raw, raw)
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        return Payload("number", str(raw), raw)
    return Payload("json", json.dumps(raw, default=str), raw)
