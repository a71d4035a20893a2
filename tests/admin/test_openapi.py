"""The description and what it describes: one cannot say what the other does not do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from jsonschema import Draft202012Validator

from gateway.admin import flag_ports, ports, watch_ports
from gateway.admin.schemas import COMPONENTS
from gateway.admin.shape import DESCRIBING, WORDS
from tests.admin.conftest import Running
from tests.admin.memory import RULE
from tests.admin.test_listener import assert_problem

API = "/api/v1"
VALUES = [
    value for module in (ports, flag_ports, watch_ports) for value in vars(module).values() if is_typeddict(value)
]


async def described(running: Running) -> dict[str, Any]:
    document: dict[str, Any] = await running.get("/openapi.json")
    return document


def fits(document: dict[str, Any], path: str, method: str, status: int, value: Any) -> list[str]:
    """What the description of an answer has against a value."""
    (content,) = document["paths"][path][method]["responses"][str(status)]["content"].values()
    validator = Draft202012Validator({**content["schema"], "components": document["components"]})
    return [error.message for error in validator.iter_errors(value)]


async def test_every_answer_is_as_described(running: Running) -> None:
    document = await described(running)
    running.insides.limits.used["u1"] = 3
    block = {"key": "u1", "for": "10m"}
    answers = [
        ("GET", "/breakers", "/breakers", None),
        ("POST", "/breakers/{name}/open", "/breakers/app/open", None),
        ("POST", "/breakers/{name}/open", "/breakers/nope/open", None),
        ("GET", "/breakers", "/breakers", None),
        ("POST", "/breakers/{name}/close", "/breakers/app/close", None),
        ("POST", "/breakers/{name}/reset", "/breakers/app/reset", None),
        ("GET", "/limits", "/limits", None),
        ("POST", "/limits/blocked", "/limits/blocked", block),
        ("POST", "/limits/blocked", "/limits/blocked", {}),
        ("GET", "/limits/blocked", "/limits/blocked", None),
        ("GET", "/limits/keys", f"/limits/keys?rule={RULE}&key=u1", None),
        ("DELETE", "/limits/keys", f"/limits/keys?rule={RULE}&key=u1", None),
        ("DELETE", "/limits/blocked/{key}", "/limits/blocked/u1", None),
        ("GET", "/cache", "/cache", None),
        ("GET", "/cache/top", "/cache/top?n=5", None),
        ("GET", "/cache/top", "/cache/top?n=0", None),
        ("POST", "/cache/purge", "/cache/purge", {"tag": "models"}),
        ("POST", "/cache/purge", "/cache/purge", {"tag": "models", "all": True}),
        ("POST", "/cache/warm", "/cache/warm", {"urls": ["/models"]}),
        ("POST", "/cache/warm", "/cache/warm", {}),
        ("GET", "/cache/warm", "/cache/warm", None),
        ("GET", "/flags", "/flags", None),
        (
            "PUT",
            "/flags/{name}",
            "/flags/NEW_DASHBOARD",
            {"live": {"enabled": False}, "who": "ann", "why": "it fails"},
        ),
        ("PUT", "/flags/{name}", "/flags/NEW_DASHBOARD", {"live": {"rollout": "120%"}}),
        ("PUT", "/flags/{name}", "/flags/NOPE", {"live": {}}),
        ("PATCH", "/flags/{name}", "/flags/NEW_DASHBOARD", {"live": {"enabled": None, "rollout": "50%"}}),
        ("GET", "/flags/{name}", "/flags/NEW_DASHBOARD", None),
        ("GET", "/flags/{name}/history", "/flags/NEW_DASHBOARD/history?n=5", None),
        ("POST", "/flags/{name}/why", "/flags/NEW_DASHBOARD/why", {"context": {"user": "u2"}}),
        ("POST", "/flags/{name}/why", "/flags/THEME/why", {"context": {"user": "u1", "header:x-plan": "pro"}}),
        ("POST", "/flags/{name}/why", "/flags/THEME/why", {"context": {"now": "soon"}}),
        ("DELETE", "/flags/{name}", "/flags/NEW_DASHBOARD?who=ann&why=fixed", None),
        ("GET", "/flags", "/flags", None),
        ("GET", "/summary", "/summary", None),
        ("GET", "/health", "/health", None),
        ("GET", "/connections", "/connections?over=0&n=1", None),
        ("GET", "/connections", "/connections?over=soon", None),
        ("GET", "/slow", "/slow", None),
        ("GET", "/routes", "/routes?window=start&n=100", None),
        ("GET", "/log", "/log", None),
        ("PUT", "/log", "/log", {"level": "debug", "for": "10m"}),
        ("GET", "/log", "/log", None),
        ("PUT", "/log", "/log", {"level": "loud"}),
        ("DELETE", "/log", "/log", None),
        ("GET", "/config", "/config", None),
        ("GET", "/drain", "/drain", None),
        ("POST", "/drain", "/drain", None),
    ]
    asked = set()
    for method, pattern, path, body in answers:
        said = await running.ask(method, API + path, body)
        assert fits(document, API + pattern, method.lower(), said.status, said.json) == [], path
        asked.add((API + pattern, method.lower()))
    assert asked == {(path, method) for path, methods in document["paths"].items() for method in methods}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_the_schemas_have_the_keys_and_kinds_of_the_values(value: type) -> None:
    schema, hints = COMPONENTS[value.__name__], get_type_hints(value)
    assert list(schema["properties"]) == list(hints) == schema["required"]
    for name, hint in hints.items():
        assert kinds(schema["properties"][name]) == kinds_of(hint), name


def kinds(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        return {"object"}
    if "anyOf" in schema:
        return {kind for way in schema["anyOf"] for kind in kinds(way)}
    kind = schema["type"]
    return set(kind) if isinstance(kind, list) else {kind}


def kinds_of(hint: Any) -> set[str]:
    plain = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    if is_typeddict(hint):
        return {"object"}
    if get_origin(hint) is list:
        return {"array"}
    if get_origin(hint) is dict:
        return {"object"}
    if get_origin(hint) is Literal:
        return {"string"}
    return {plain[hint]} if hint in plain else {kind for way in get_args(hint) for kind in kinds_of(way)}


async def test_inputs_use_only_words_that_are_checked(running: Running) -> None:
    document = await described(running)
    inputs = [
        parameter["schema"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", [])
    ]
    inputs += [COMPONENTS[name] for name in ("Block", "Purge", "Warm", "NewFlag", "FlagQuestion", "Level")]
    for schema in inputs:
        for part in parts(schema):
            assert part.keys() <= WORDS | DESCRIBING
            assert part["type"] in ("object", "array", "boolean", "string")
            assert part["type"] != "object" or part["additionalProperties"] in (False, True)
            assert all(way.keys() == {"required"} for way in part.get("oneOf", ()))
            if "pattern" in part:
                assert part["pattern"].startswith("^")
                assert part["pattern"].endswith("$")


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from parts(inner)


async def test_every_schema_is_one_and_is_used(running: Running) -> None:
    for schema in COMPONENTS.values():
        Draft202012Validator.check_schema(schema)
    text = str(await described(running))
    assert [name for name in COMPONENTS if f"#/components/schemas/{name}'" not in text] == []


async def test_the_token_is_described_where_there_is_one(running: Running, guarded: Running) -> None:
    open_, closed = await described(running), await described(guarded)
    assert "security" not in open_
    assert closed["security"] == [{"token": []}]
    assert closed["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert closed["openapi"].startswith("3.1")
    for methods in closed["paths"].values():
        for operation in methods.values():
            assert "401" in operation["responses"]


async def test_nothing_answers_without_the_token(guarded: Running) -> None:
    """Not one path and method of the description, nor itself, nor what is nowhere, nor PURGE."""
    document = await guarded.get("/openapi.json")
    asked = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    assert len(asked) > 30
    before = guarded.insides.watch.asked.copy()
    for method, path in [
        *asked,
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("PURGE", "/models"),
        ("OPTIONS", "/"),
    ]:
        for given in ({"Authorization": "Bearer wrong"}, {"Authorization": ""}):
            target = path.replace("{name}", "app").replace("{key}", "u1")
            said = await guarded.ask(method, target, {} if method in ("POST", "PUT", "PATCH") else None, given)
            assert_problem(said, 401)
            assert said.fields["WWW-Authenticate"].startswith("Bearer")
    assert guarded.insides.events.changes == []
    assert guarded.insides.watch.asked == before


async def test_the_promised_names_are_there(running: Running) -> None:
    """Deployments depend on these."""
    paths = (await running.get("/openapi.json"))["paths"]
    there = {f"{method.upper()} {path.removeprefix(API)}" for path, methods in paths.items() for method in methods}
    assert {
        *(
            "GET /breakers",
            "POST /breakers/{name}/open",
            "POST /breakers/{name}/close",
            "POST /breakers/{name}/reset",
        ),
        *("GET /limits", "GET /limits/blocked", "DELETE /limits/blocked/{key}"),
        *("GET /cache", "GET /cache/top", "POST /cache/purge", "POST /cache/warm"),
        *("GET /flags", "GET /flags/{name}", "PUT /flags/{name}", "GET /flags/{name}/history"),
        *("GET /config", "POST /drain"),
        *("GET /summary", "GET /health", "GET /connections", "GET /slow", "GET /routes", "GET /log", "PUT /log"),
    } <= there
