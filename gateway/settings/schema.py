"""The config's JSON Schema, for editors: what the file may say, which is not quite what the models hold."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic.fields import FieldInfo

from gateway.settings.root import Settings
from gateway.settings.types import JsonSchema, Kind, Section, Several, keys_of, sections_in


def json_schema() -> JsonSchema:
    """A JSON Schema, draft 2020-12."""
    schema = Settings.model_json_schema()
    sections: set[type[Section]] = {Settings, *_below(Settings)}
    for section in sections:
        described = schema if section is Settings else schema["$defs"][section.__name__]
        said = _docstrings(section)
        for (key, field), name in zip(keys_of(section).items(), section.model_fields, strict=True):
            _describe(described["properties"][key], field)
            if name in said:
                described["properties"][key].setdefault("description", said[name])
    # What a preset may bring, and what one of two sections must.
    upstream = schema["$defs"]["Upstream"]
    upstream["required"].remove("url")
    upstream["anyOf"] = [{"required": ["url"]}, {"required": ["preset"]}]
    schema["anyOf"] = [{"required": ["ingress"]}, {"required": ["egress"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_cleaned(schema), "title": "gateway"}


def _below(section: type[Section]) -> Iterator[type[Section]]:
    for field in section.model_fields.values():
        for inner in sections_in(field.annotation):
            yield inner
            yield from _below(inner)


def _docstrings(section: type[Section]) -> dict[str, str]:
    """The text under each field of a model's source.

    pydantic would read it with `use_attribute_docstrings`, at every start of the gateway, which takes a fifth of it.
    """
    said: dict[str, str] = {}
    for base in reversed(section.__mro__[: section.__mro__.index(Section)]):
        body = _classes(base.__module__)[base.__name__].body
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                    said[name] = inspect.cleandoc(words)
    return said


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    source = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in ast.walk(source) if isinstance(node, ast.ClassDef)}


def _describe(described: JsonSchema, field: FieldInfo) -> None:
    """Write a field's default as the file would; leave out what it could not write."""
    default = described.pop("default", None)
    kinds = [kind for kind in field.metadata if isinstance(kind, (Kind, Several))]
    if default in (None, "", "inherit"):
        if kinds and kinds[0].off and default is None:
            described["default"] = False
    elif kinds:
        described["default"] = kinds[0].written(field.default)
    elif not isinstance(default, dict):  # a section's defaults stand at its own keys
        described["default"] = default


def _cleaned(schema: Any) -> Any:
    """Without titles, which say a key once more, without null, which the file never says, and without nesting."""
    if isinstance(schema, list):
        return [_cleaned(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {}
    for key, inner in schema.items():
        if key in ("properties", "$defs"):
            cleaned[key] = {name: _cleaned(value) for name, value in inner.items()}
        elif key != "title":
            cleaned[key] = _cleaned(inner)
    ways = [way for item in cleaned.pop("anyOf", []) for way in _ways(item)]
    if len(ways) == 1:
        return {**ways[0], **cleaned}
    return {"anyOf": ways, **cleaned} if ways else cleaned


def _ways(schema: JsonSchema) -> list[JsonSchema]:
    """The alternatives that one alternative amounts to."""
    if schema == {"type": "null"}:
        return []
    return list(schema["anyOf"]) if schema.keys() == {"anyOf"} else [schema]
