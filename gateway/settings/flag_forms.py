"""How flags and segments are written: what the file's texts mean at each key of a definition.

A file's scalars are texts, whereas rules want `true` where they want true. What is wrong is not said here: the rules
say it, of a file's definitions as of those that are changed at run time (see `flag_checks`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gateway.rules.flags.constraint import OPERATORS
from gateway.settings.mistakes import Filled, without_defaults
from gateway.settings.types import JsonSchema, Kind
from gateway.settings.values import FALSE, TRUE

_BOOLEANS = frozenset({"enabled", "disabled", "inverted", "caseInsensitive", "case_insensitive"})
#: Lists of names, which may be written as their one item.
_NAMES = frozenset({"users", "groups", "addresses", "environments", "segments", "requires", "values"})
#: A number as JSON has it, of a length that no id has.
_number = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?").fullmatch


def definition(raw: Any) -> Any:
    """One flag's definition: a mapping, or true or false alone."""
    return _boolean(raw) if isinstance(raw, str) else plain(raw)


def plain(raw: Any) -> Any:
    """The same with true and false, and with lists, where these are meant."""
    if isinstance(raw, (list, tuple)):
        return [plain(item) for item in raw]
    if isinstance(raw, dict):
        return {key: _value(key, item) for key, item in raw.items()}
    return raw


def _value(key: str, raw: Any) -> Any:
    if key == "parameters":
        return raw
    if key == "payload":
        return raw if isinstance(raw, dict) and "value" in raw and raw.keys() <= {"type", "value"} else _json(raw)
    if key in _BOOLEANS:
        return _boolean(raw)
    if key == "variants" and isinstance(raw, str):  # of a prerequisite; elsewhere it is a list of mappings
        return [raw]
    if key in _NAMES and isinstance(raw, (str, int, float, dict)):
        return [plain(raw)]
    return plain(raw)


def _json(raw: Any) -> Any:
    """A payload's numbers and booleans as what JSON would have them be; `{type: string, value: …}` keeps a text."""
    if isinstance(raw, (list, tuple)):
        return [_json(item) for item in raw]
    if isinstance(raw, dict):
        return {key: _json(item) for key, item in raw.items()}
    found = _number(raw) if isinstance(raw, str) else None
    if found is None:
        return _boolean(raw)
    return int(raw) if found[1] is None else float(raw)


def _boolean(raw: Any) -> Any:
    if isinstance(raw, str) and raw in TRUE + FALSE:
        return raw in TRUE
    return raw


def as_filed(raw: Any) -> Any:
    """A value as the file has it, without what `${...}` brought."""
    if isinstance(raw, Filled):
        return without_defaults(raw)
    if isinstance(raw, list):
        return [as_filed(item) for item in raw]
    return {key: as_filed(item) for key, item in raw.items()} if isinstance(raw, dict) else raw


@dataclass(frozen=True, slots=True)
class Definition(Kind):
    """A flag's definition, plain, for `definition.compiled`."""

    def check(self, value: Any) -> Any:
        """Read its texts."""
        return definition(value)

    def written(self, value: Any) -> Any:
        """As the file writes it."""
        return as_filed(value)

    def json_schemas(self) -> list[JsonSchema]:
        """A boolean, or a mapping."""
        return [{"type": "boolean"}, _DEFINITION]


@dataclass(frozen=True, slots=True)
class Constraints(Kind):
    """A segment: a list of constraints, plain, for `definition.compiled`."""

    def check(self, value: Any) -> Any:
        """Read its texts; one constraint may stand without a list."""
        return plain([value] if isinstance(value, dict) else value)

    def written(self, value: Any) -> Any:
        """As the file writes it."""
        return as_filed(value)

    def json_schemas(self) -> list[JsonSchema]:
        """A list, or its one item."""
        return [_CONSTRAINT, _list(_CONSTRAINT)]


# ---- for editors


def _list(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def _mapping(required: tuple[str, ...] = (), **properties: JsonSchema) -> JsonSchema:
    needs = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needs, "additionalProperties": False}


_SCALAR: JsonSchema = {"type": ["string", "number", "boolean"]}
_SWITCH: JsonSchema = {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": r"\$\{.+\}"}]}
_WORDS: JsonSchema = {"anyOf": [_SCALAR, _list(_SCALAR)]}
_SHARE: JsonSchema = {"type": ["string", "number"], "description": "0 to 100, with or without %"}
_MOMENT: JsonSchema = {"type": "string", "description": "a date, or a time as RFC 3339 has it"}
_PARAMETERS: JsonSchema = {"type": "object", "additionalProperties": _SCALAR}

_CONSTRAINT = _mapping(
    ("operator",),
    field={"type": "string", "description": "user, session, address, environment, app, now, or a property"},
    contextName={"type": "string"},
    operator={"enum": sorted(OPERATORS)},
    value=_SCALAR,
    values=_WORDS,
    inverted=_SWITCH,
    case_insensitive=_SWITCH,
    caseInsensitive=_SWITCH,
)
_CONSTRAINTS = _list(_CONSTRAINT)
_VARIANTS = _list(
    _mapping(
        ("name", "weight"),
        name=_SCALAR,
        weight={"type": ["integer", "string"]},
        weightType={"type": "string"},
        stickiness={"type": "string"},
        payload={"description": "What comes with it: any value, or {type: string|csv|number|json, value: TEXT}."},
        overrides=_list(_mapping(field={"type": "string"}, contextName={"type": "string"}, values=_WORDS)),
    )
)
_PREREQUISITE: JsonSchema = {
    "anyOf": [
        {"type": "string"},
        _mapping(flag={"type": "string"}, feature={"type": "string"}, enabled=_SWITCH, variants=_WORDS),
    ]
}
_STRATEGY = _mapping(
    ("name",),
    name={"type": "string"},
    title={"type": "string"},
    parameters=_PARAMETERS,
    constraints=_CONSTRAINTS,
    segments=_WORDS,
    variants=_VARIANTS,
    disabled=_SWITCH,
    sortOrder=_SCALAR,
    id=_SCALAR,
    featureName=_SCALAR,
)
_DEFINITION: JsonSchema = {
    "type": "object",
    "properties": {
        "description": {"type": "string", "description": "For people."},
        "enabled": {**_SWITCH, "description": "`false` is off for everybody.", "default": True},
        "users": {**_WORDS, "description": "On for these users."},
        "groups": {**_WORDS, "description": "On for users of any of these groups."},
        "addresses": {**_WORDS, "description": "On for clients of these addresses and networks."},
        "rollout": {**_SHARE, "description": "On for this share, as in 25%."},
        "stickiness": {"type": "string", "description": "What shares go by: default, random, or a field."},
        "group_id": {**_SCALAR, "description": "Flags of one group have the same users in the same share."},
        "strategies": {**_list(_STRATEGY), "description": "On for whom any of these is, as Unleash writes them."},
        "environments": {**_WORDS, "description": "Only in these environments."},
        "from": {**_MOMENT, "description": "Not before this moment."},
        "until": {**_MOMENT, "description": "No more from this moment on."},
        "constraints": {**_CONSTRAINTS, "description": "Only where all of these are met."},
        "segments": {**_WORDS, "description": "Only where all constraints of these segments are met."},
        "requires": {
            "anyOf": [_PREREQUISITE, _list(_PREREQUISITE)], "description": "Only where these other flags are so.",
        },
        "variants": {**_VARIANTS, "description": "What it can be when it is on, by weight."},
    },
    "additionalProperties": False,
}  # fmt: skip
