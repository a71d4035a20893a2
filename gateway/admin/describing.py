"""The few kinds of JSON Schema that the API's answers are described with."""

from __future__ import annotations

from gateway.admin.shape import Schema

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "number", "minimum": 0}
TEXTS: Schema = {"type": "array", "items": TEXT}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    return {**schema, "type": [schema["type"], "null"]}


def said(schema: Schema, description: str) -> Schema:
    """The same, described."""
    return {**schema, "description": description}


def ref(name: str) -> Schema:
    """One of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> Schema:
    """A list of one of the components."""
    return {"type": "array", "items": ref(name)}


def object_of(description: str, **properties: Schema) -> Schema:
    """All of its members are always there; others may come with later versions."""
    return {"type": "object", "description": description, "properties": properties, "required": list(properties)}
