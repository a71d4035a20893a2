"""Who may import whom, and how large a file may be: the rules of the house, read from its source.

The tables are the rules. A change of them is a decision, not a formality.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.policies import POLICIES
from gateway.settings import json_schema

ROOT = Path(__file__).parents[1]

#: Each part of the gateway, and what else of it it may import; its own files it always may. From the inside out.
MAY_IMPORT: dict[str, set[str]] = {
    "rules": set(),
    "entropy": set(),
    "sockets": set(),
    "background": set(),
    "faults": set(),
    "providers": set(),
    "exchange": {"rules", "errors"},  # errors for types only
    "errors": {"exchange", "rules"},
    "gate": {"errors", "exchange"},
    "state": {"background", "rules"},
    "rates": {"errors", "exchange", "gate", "rules", "settings.rate_rule", "state.ports", "state.rate_rules"},
    "caps": {"rules", "exchange", "errors", "gate", "state.ports"},
    "cache": {
        "background", "errors", "exchange", "gate", "rules", "state.availability", "state.keeper",
        "state.ports", "state.redis_calls", "state.redis_client", "state.redis_scripts", "state.redis_url",
        "upstreams",
    },
    "flags": {
        "background", "cache.content", "entropy", "errors", "exchange", "gate", "rules", "state.availability",
        "state.keeper", "state.ports", "state.redis_calls", "state.redis_client", "state.redis_scripts",
        "state.redis_url", "upstreams.relay",
    },
    "policies": {
        "caps", "entropy", "errors", "exchange", "gate", "rates", "rules", "settings.cache_forms",
        "settings.rate_rule", "settings.rates", "settings.types", "settings.wanted", "state.asking",
        "state.calendar", "state.ports", "state.rate_rules",
    },
    "settings": {"policies", "providers", "rules", "state.redis_url"},
    "upstreams": {"background", "caps", "rules", "exchange", "errors", "gate", "policies", "sockets"},
    "pipeline": {"rules", "exchange", "errors", "gate", "policies", "upstreams"},
    "listeners": {"rules", "exchange", "errors", "pipeline", "sockets"},
    "telemetry": {"exchange", "errors"},
    "admin": {"listeners"},
    "operations": {"admin", "policies", "rules", "settings", "state", "telemetry", "upstreams"},
    "cache_operations": {"admin", "cache", "rules", "settings", "telemetry"},
    "flag_operations": {"admin", "flags", "rules", "state.ports"},
    "watch_operations": {"admin", "exchange", "listeners", "telemetry", "upstreams"},
    "flagged": {"entropy", "flagging", "flags", "gate", "policies", "rules", "settings"},
    "flagging": {"faults", "flag_operations", "flags", "rules", "settings", "state", "telemetry"},
    "control": {"admin", "faults", "listeners", "settings", "telemetry"},
    "errands": {"cache", "errors", "exchange", "flags", "pipeline", "policies", "rules", "upstreams"},
    "caching": {
        "cache", "cache_operations", "exchange", "faults", "flags", "gate", "pipeline", "policies", "rules",
        "settings", "state", "telemetry", "upstreams",
    },
    "protection": {"caps", "faults", "gate", "policies", "rules", "settings", "state", "telemetry"},
    "build": {
        "cache", "entropy", "faults", "flags", "gate", "pipeline", "policies", "providers", "rules", "settings",
        "telemetry", "upstreams",
    },
    "forwarding": {"build", "errors", "caps", "gate", "rules", "settings", "telemetry", "upstreams"},
    "journal": {"errors", "exchange", "protection", "telemetry"},
    "assembly": {
        "admin", "build", "caching", "control", "entropy", "errands", "faults", "flagged", "flagging", "flags",
        "forwarding", "journal", "listeners", "operations", "pipeline", "protection", "rules", "settings",
        "telemetry", "upstreams", "watch_operations",
    },
    "lifecycle": {"assembly", "settings", "telemetry"},
    "demo": set(),
    "cli": {"assembly", "lifecycle", "demo", "settings", "telemetry"},
    "__main__": {"cli"},
}  # fmt: skip

#: Who alone may import these: whoever else does would know too much.
ONLY_FOR: dict[str, set[str]] = {
    "assembly": {"cli", "lifecycle"},
    "build": {"assembly", "forwarding"},
    "control": {"assembly"},
    "operations": {"assembly"},
    "cache_operations": {"assembly", "caching"},
    "flag_operations": {"assembly", "flagging"},
    "watch_operations": {"assembly"},
    "flagged": {"assembly"},
    "flagging": {"assembly", "flagged"},
    "protection": {"assembly", "journal"},
    "forwarding": {"assembly"},
    "journal": {"assembly"},
    "caching": {"assembly"},
    "errands": {"assembly"},
    "lifecycle": {"cli"},
    "cli": {"__main__"},
}

#: Each library, and the files that may know it; a folder stands for its files. The files do know it, too.
LIBRARIES: dict[str, set[str]] = {
    "aiocache": {"cache/redis_backend.py"},
    "aiohappyeyeballs": {"upstreams/connector.py"},
    "aiohttp": {
        "upstreams/resolver.py",
        "listeners/metrics.py",
        "listeners/bounded_server.py",
        "admin/listener.py",
        "demo",
        "cli/demo.py",
    },
    "httptools": {"listeners/request_reader.py", "listeners/body_replay.py", "upstreams/response_reader.py"},
    "mmh3": {"rules/flags/bucket.py"},
    "orjson": {
        "telemetry", "listeners/metrics.py", "listeners/bounded_server.py", "admin/listener.py",
        "cache/codec.py", "cache/purge_bus.py", "flags/codec.py", "flags/document.py",
    },
    "prometheus_client": {"telemetry/exposition.py"},
    "pybreaker": {"upstreams/breaker.py"},
    "pydantic": {"settings", "policies"},  # a policy holds its own settings
    "pydantic_core": {"settings/types.py"},
    "redis": {"state/redis_client.py"},
    "rich": {"cli/table.py", "cli/screen.py", "cli/progress.py"},
    "shtab": {"cli/completion.py"},
    "uvloop": {"cli/run.py"},
    "watchfiles": {"lifecycle.py"},
    "yaml": {"settings/document.py"},
    "zstandard": {"cache/compression.py"},
}  # fmt: skip

#: Of the standard library, what a pure decision has no use for: now, randomness and the world are arguments.
NOT_IN_RULES = {
    "asyncio", "concurrent", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "select", "selectors", "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
    "uuid", "warnings",
}  # fmt: skip

#: Where modules are imported by names made at run time, each of its own folder.
LAZY = {"settings/__init__.py", "cli/main.py"}

#: Pages of the reference that are about no policy.
SECTIONS = {
    "README", "admin", "cache_store", "drain", "listeners", "log", "metrics", "ofrep", "routes", "startup_wait",
    "state", "upstreams", "values",
}  # fmt: skip

#: Files whose tests are another's.
TESTED_WITH = {
    "rules/forwarded.py": "rules/client_address.py",
    "rules/flags/strategy.py": "rules/flags/unleash.py",
    "rules/flags/answer.py": "rules/flags/variants.py",
    "rules/flags/automaton.py": "rules/flags/pattern.py",
    "upstreams/upstream.py": "upstreams/forward.py",
}

LONGEST = 400  # lines

SOURCES = {path.relative_to(ROOT / "gateway").as_posix(): path for path in sorted((ROOT / "gateway").rglob("*.py"))}


def part(module: str) -> str:
    """`upstreams/pool.py` and `upstreams.pool` belong to `upstreams`."""
    return module.removesuffix(".py").replace("/", ".").partition(".")[0]


@functools.cache
def parsed(path: Path) -> ast.Module:
    """A file's source, read once for all tests."""
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever in it and for whatever; of `from a import b` both a and a.b."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides whom it is from"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """What a file imports of the gateway, without that prefix."""
    return {name.removeprefix("gateway.") for name in imports(path) if name.startswith("gateway.")}


def foreign(path: Path) -> set[str]:
    """The libraries that a file imports, and the standard library's modules, by their first names."""
    return {name.partition(".")[0] for name in imports(path)} - {"gateway", "__future__"}


def test_every_part_has_its_rule() -> None:
    assert {part(name) for name in SOURCES} - {"__init__"} == set(MAY_IMPORT)
    assert (ROOT / "gateway" / "__init__.py").read_text().count("\n") <= 2


@pytest.mark.parametrize("name", SOURCES)
def test_who_imports_whom(name: str) -> None:
    allowed = MAY_IMPORT.get(part(name), set()) | {part(name)}
    for module in ours(SOURCES[name]):
        assert part(module) in allowed or any(module == one or module.startswith(f"{one}.") for one in allowed), (
            f"{name} imports gateway.{module}"
        )


@pytest.mark.parametrize("guarded", ONLY_FOR)
def test_some_are_for_few_only(guarded: str) -> None:
    users = {part(name) for name, path in SOURCES.items() for module in ours(path) if part(module) == guarded}
    assert users - {guarded} <= ONLY_FOR[guarded]


def test_no_rule_goes_unused() -> None:
    """A permission that nobody uses is an invitation."""
    used: dict[str, set[str]] = {name: set() for name in MAY_IMPORT}
    for name, path in SOURCES.items():
        used.setdefault(part(name), set()).update(f"{module}." for module in ours(path))
    unused = {
        (name, other)
        for name, allowed in MAY_IMPORT.items()
        for other in allowed
        if not any(module.startswith(f"{other}.") for module in used[name]) and name != "__main__"
    }
    # What DESIGN.md draws and nothing needs yet.
    assert unused <= {("policies", "errors"), ("errors", "rules"), ("listeners", "pipeline"), ("telemetry", "errors")}


@pytest.mark.parametrize("name", [name for name in SOURCES if part(name) == "rules"])
def test_rules_are_pure(name: str) -> None:
    """The standard library and a hash, and of that nothing that could make two calls differ."""
    used = foreign(SOURCES[name])
    assert used <= sys.stdlib_module_names | {"mmh3"}
    assert not used & NOT_IN_RULES
    for node in ast.walk(parsed(SOURCES[name])):
        assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await)), "a rule waits for nothing"
        assert not (isinstance(node, ast.Name) and node.id in ("open", "print", "input", "__import__"))


@pytest.mark.parametrize("library", LIBRARIES)
def test_who_knows_which_library(library: str) -> None:
    users = {name for name, path in SOURCES.items() if library in foreign(path)}
    allowed = LIBRARIES[library]
    assert {name for name in users if name not in allowed and name.split("/")[0] not in allowed} == set()
    for one in allowed:
        assert any(name == one or name.startswith(f"{one}/") for name in users), f"{one} does not use {library}"


def test_no_library_comes_in_unnoticed() -> None:
    for name, path in SOURCES.items():
        assert foreign(path) <= set(LIBRARIES) | sys.stdlib_module_names, name


def test_modules_are_imported_by_name_in_few_places() -> None:
    found = {
        name
        for name, path in SOURCES.items()
        if {"importlib", "importlib.import_module"} & imports(path) - {"importlib"}
        or "__import__" in path.read_text()
    }
    assert found == LAZY


@pytest.mark.parametrize("folder", ["gateway", "tests"])
def test_no_file_is_long(folder: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := path.read_text().count("\n")) > LONGEST
    }
    assert long == {}


# ---- a policy is one file, one name in the list, one test, one page


def test_every_policy_has_its_four_places() -> None:
    files = {path.stem for path in (ROOT / "gateway" / "policies").glob("*.py")} - {"__init__"}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "policies").glob("test_*.py")}
    pages = {path.stem for path in (ROOT / "config" / "reference").glob("*.md")} - SECTIONS
    assert len(set(POLICIES)) == len(POLICIES)
    assert files == tests == pages == set(POLICIES)


def test_every_policy_is_a_key_of_the_config() -> None:
    schema = json_schema()
    keys = {key for section in [schema, *schema["$defs"].values()] for key in section.get("properties", {})}
    assert set(POLICIES) <= keys


@pytest.mark.parametrize("name", [name for name in SOURCES if part(name) in ("rules", "upstreams")])
def test_every_decision_and_every_step_has_its_tests(name: str) -> None:
    folder, _, file = TESTED_WITH.get(name, name).rpartition("/")
    assert file == "__init__.py" or (ROOT / "tests" / folder / f"test_{file}").exists()
