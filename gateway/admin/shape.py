"""Whether a value is as its JSON Schema says: the few words of it that the API's own parameters and bodies use.

The same schemas stand in /openapi.json, so what is described there is what is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

#: What is understood here; a test holds the API's inputs to it. The rest describes.
WORDS = frozenset(
    {
        *("type", "properties", "required", "additionalProperties", "oneOf", "minLength", "maxLength", "pattern"),
        *("items", "minItems", "maxItems", "enum"),
    }
)
DESCRIBING = frozenset({"description", "examples", "default"})


def mistakes(schema: Schema, value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Each mistake: a JSON pointer to where it is, and what is wrong, without a word of the value itself."""
    kind, check = _KINDS[schema["type"]]
    if isinstance(value, kind):
        yield from check(schema, value, pointer)
    else:
        yield pointer, f"must be {_CALLED[schema['type']]}"


def _of_object(schema: Schema, value: dict[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    properties: dict[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{pointer}/{name}", "is needed"
    for name, inner in value.items():
        if name in properties:
            yield from mistakes(properties[name], inner, f"{pointer}/{name}")
    if not schema.get("additionalProperties", False) and not value.keys() <= properties.keys():
        known = ", ".join(properties) or "none"
        yield pointer, f"has a member that is not known; known: {known}"
    ways = [way["required"] for way in schema.get("oneOf", ())]  # of which nothing else is understood
    if ways and sum(value.keys() >= set(way) for way in ways) != 1:
        yield pointer, f"must have exactly one of {', '.join(' with '.join(way) for way in ways)}"


def _of_array(schema: Schema, value: list[Any], pointer: str) -> Iterator[tuple[str, str]]:
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if len(value) < low or (high is not None and len(value) > high):
        yield pointer, f"must have {low} to {high} items"
        return
    for number, item in enumerate(value):
        yield from mistakes(schema["items"], item, f"{pointer}/{number}")


def _of_flag(schema: Schema, value: bool, pointer: str) -> Iterator[tuple[str, str]]:
    if "enum" in schema and value not in schema["enum"]:
        yield pointer, "must be " + " or ".join(str(one).lower() for one in schema["enum"])


def _of_string(schema: Schema, value: str, pointer: str) -> Iterator[tuple[str, str]]:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if len(value) < low or (high is not None and len(value) > high):
        yield pointer, f"must have {low} to {high} characters"
    elif "pattern" in schema and re.fullmatch(schema["pattern"], value) is None:
        yield pointer, "is not of the form that it must have"


_CALLED = {"object": "an object", "array": "an array", "boolean": "true or false", "string": "a string"}
_KINDS: dict[str, tuple[type, Callable[[Schema, Any, str], Iterator[tuple[str, str]]]]] = {
    "object": (dict, _of_object),
    "array": (list, _of_array),
    "boolean": (bool, _of_flag),
    "string": (str, _of_string),
}
