"""Helpers to write a config in a test, and to see what the loader says of it."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from gateway.settings import ConfigError, Settings, loads

UPSTREAMS = "upstreams:\n  app: {url: http://127.0.0.1:3000}\n"
SMALLEST = "ingress:\n  routes:\n    - {path: /**, upstream: app}\n" + UPSTREAMS


def read(text: str, env: Mapping[str, str] | None = None, name: str = "f.yaml") -> Settings:
    return loads(dedent(text), name, env or {})


def mistakes(text: str, env: Mapping[str, str] | None = None) -> list[str]:
    """`LINE:COLUMN: message` of every mistake, none when the text is fine."""
    try:
        read(text, env)
    except ConfigError as error:
        return [str(mistake).removeprefix("f.yaml:") for mistake in error.mistakes]
    return []


def mistake(text: str, env: Mapping[str, str] | None = None) -> str:
    """The one mistake of a text."""
    (only,) = mistakes(text, env)
    return only


def of_route(**keys: str) -> str:
    """A config whose one route has these keys, on line 3; the values are YAML."""
    route = {"path": "/**", "upstream": "app", **keys}
    written = ", ".join(f"{key}: {value}" for key, value in route.items())
    return "ingress:\n  routes:\n    - {" + written + "}\n" + UPSTREAMS


def of_upstream(**keys: str) -> str:
    """A config whose one upstream has these keys, on lines 6 and on; the values are YAML."""
    written = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    return "ingress:\n  routes:\n    - {path: /**, upstream: app}\nupstreams:\n  app:\n" + written


def with_section(text: str) -> str:
    """The smallest config and a section behind it, on lines 6 and on."""
    return SMALLEST + dedent(text)
