"""Whether a value is as its JSON Schema says: the few words of it that the API's own parameters and bodies use.

The same schemas stand in /openapi.json, so what is described there is what is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

#: What is understood here; a test holds the API's inputs to it. The rest describes.
WORDS = frozenset({"type", "properties", "required", "additionalProperties", "minLength", "maxLength", "pattern"})
DESCRIBING = frozenset({"description", "examples", "default"})


def mistakes(schema: Schema, value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Each mistake: a JSON pointer to where it is, and what is wrong, without a word of the value itself."""
    if schema["type"] == "object":
        if isinstance(value, dict):
            yield from _of_object(schema, value, pointer)
        else:
            yield pointer, "must be an object"
    elif isinstance(value, str):
        yield from _of_string(schema, value, pointer)
    else:
        yield pointer, "must be a string"


def _of_object(schema: Schema, value: dict[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    properties: dict[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{pointer}/{name}", "is needed"
    for name, inner in value.items():
        if name in properties:
            yield from mistakes(properties[name], inner, f"{pointer}/{name}")
    if not value.keys() <= properties.keys():
        known = ", ".join(properties) or "none"
        yield pointer, f"has a member that is not known; known: {known}"


def _of_string(schema: Schema, value: str, pointer: str) -> Iterator[tuple[str, str]]:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if len(value) < low or (high is not None and len(value) > high):
        yield pointer, f"must have {low} to {high} characters"
    elif "pattern" in schema and re.fullmatch(schema["pattern"], value) is None:
        yield pointer, "is not of the form that it must have"
