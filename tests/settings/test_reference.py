"""The reference pages: every example loads, and every table has exactly the keys and defaults that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from jsonschema import Draft202012Validator

from gateway.settings import json_schema, loads, warnings

PAGES = sorted((Path(__file__).parents[2] / "config" / "reference").glob("*.md"))
SCHEMA = json_schema()
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| .+ \|$", re.MULTILINE)
EXAMPLES = [
    (page, number, text) for page in PAGES for number, (_, text) in enumerate(_FENCE.findall(page.read_text()))
]
# A page's tables of keys, in their order.
TABLES = {
    "admin.md": ["Admin"],
    "breaker.md": ["Breaker"],
    "cache.md": ["Cache", "Key"],
    "cache_store.md": ["CacheStore", "Warm", "WarmUrl"],
    "correlation.md": ["Correlation"],
    "drain.md": ["Drain"],
    "flags.md": ["Flags", "Context", "Override"],
    "headers.md": ["Headers", "RequestChanges", "ResponseChanges", "Security"],
    "in_flight.md": ["InFlightCap", "Adaptive"],
    "listeners.md": ["Ingress", "Limits"],
    "log.md": ["Log"],
    "metrics.md": ["Metrics"],
    "ofrep.md": ["Ofrep"],
    "rate_limit.md": ["RateRule", "Block"],
    "request.md": ["RequestGuards"],
    "require.md": ["Wanted"],
    "routes.md": ["Route"],
    "state.md": ["State", "StateBreaker", "StateTls"],
    "timeout.md": ["Timeout"],
    "upstreams.md": ["Upstream", "Pool", "Tls"],
}


class Yaml(yaml.SafeLoader):
    """YAML 1.2, as editors read it: `on` and `off` are texts, a date is one too."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, found) for tag, found in resolvers if tag.rpartition(":")[2] not in ("bool", "timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


@pytest.mark.parametrize(
    ("page", "number", "text"), EXAMPLES, ids=[f"{page.stem}-{number}" for page, number, _ in EXAMPLES]
)
def test_every_example_loads(page: Path, number: int, text: str) -> None:
    loaded = loads(text, f"{page.name} example {number}", {})
    assert warnings(loaded) == []
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(yaml.load(text, Yaml))] == []


def test_every_page_has_an_example_and_every_fence_is_one() -> None:
    for page in PAGES:
        languages = [language for language, _ in _FENCE.findall(page.read_text())]
        assert languages
        assert set(languages) == {"yaml"}, page.name


def test_the_index_names_every_page() -> None:
    index = next(page for page in PAGES if page.name == "README.md").read_text()
    assert {page.name for page in PAGES} - {"README.md"} == set(re.findall(r"\]\((\w+\.md)\)", index))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_have_the_keys_and_defaults_that_there_are(name: str) -> None:
    (page,) = [page for page in PAGES if page.name == name]
    rows = _ROW.findall(page.read_text())
    expected = [row for section in TABLES[name] for row in SCHEMA["$defs"][section]["properties"].items()]
    assert [key for key, _ in rows] == [key for key, _ in expected]
    for (key, default), (_, described) in zip(rows, expected, strict=True):
        assert default_matches(default, described), f"{key}: {default}"


def default_matches(written: str, described: dict[str, Any]) -> bool:
    """Whether a table's cell is the default: in backticks what the file would say, words where it could not."""
    if "default" not in described:
        return "`" not in written or written == "`{}`"
    value = described["default"]
    return f"`{value}`" in written or written == f"`{str(value).lower()}`"
