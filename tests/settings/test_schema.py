"""The JSON Schema: valid, in step with the loader, and telling defaults as the file would write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.settings import json_schema
from tests.settings.configs import SMALLEST, mistakes, of_route, of_upstream, read
from tests.settings.test_loader import EVERYTHING

SCHEMA = json_schema()


def errors(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        SMALLEST,
        EVERYTHING,
        of_route(timeout="false"),
        of_upstream(preset="openai"),
        of_upstream(url="http://x", breaker="false", timeout="30s"),
    ],
)
def test_it_takes_what_the_loader_takes(text: str) -> None:
    assert errors(text) == []
    assert read(text, {"KEY": "sk-1"})


@pytest.mark.parametrize(
    "text",
    [
        "upstreams: {}",
        of_upstream(pool="{}"),
        of_upstream(url="http://x", timeout="60"),
        of_upstream(url="http://x", pool="{connections: 0}"),
        of_upstream(url="http://x", pool="{connections: many}"),
        of_upstream(url="http://x", breaker="{share: 20}"),
        of_upstream(url="http://x", breaker=""),
        of_upstream(preset="nope"),
        of_route(methods="[]"),
        of_route(methods="GET"),
        of_route(retry="{}"),
        of_route(timeout="{totl: 1s}"),
        SMALLEST + "log: {level: verbose}",
        SMALLEST + "metrics:",
    ],
)
def test_it_refuses_what_the_loader_refuses(text: str) -> None:
    assert errors(text)
    assert mistakes(text)


@pytest.mark.parametrize(
    ("section", "key", "default"),
    [
        ("Breaker", "reset", "30s"),
        ("Breaker", "share", False),
        ("Breaker", "statuses", []),
        ("Limits", "header_size", "64KiB"),
        ("Limits", "connections", 10000),
        ("Ingress", "bind", "0.0.0.0:8080"),
        ("Pool", "lifetime", "5m"),
        ("Correlation", "sampled", True),
        ("Log", "level", "info"),
    ],
)
def test_defaults_are_told_as_the_file_would_write_them(section: str, key: str, default: Any) -> None:
    assert SCHEMA["$defs"][section]["properties"][key]["default"] == default


def test_what_has_no_default_that_a_file_could_write_tells_none() -> None:
    for section, key in [
        ("Route", "methods"),
        ("Route", "name"),
        ("Upstream", "api_key"),
        ("TimeoutOverride", "total"),
    ]:
        assert "default" not in SCHEMA["$defs"][section]["properties"][key]


def test_every_key_is_described() -> None:
    sections = {"": SCHEMA, **SCHEMA["$defs"]}
    missing = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, described in section["properties"].items()
        if "description" not in described and "$ref" not in described
    ]
    assert missing == []
