"""Paths to operations: decoded after splitting, the last parameter takes the rest."""

from __future__ import annotations

import pytest

from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.router import Router


async def nothing(_: Call) -> Answer:
    return Answer(None)


def operation(method: str, path: str) -> Operation:
    return Operation(f"{method} {path}", method, path, "", "", nothing)


ROUTER = Router(
    "/api",
    [
        operation("GET", "/things"),
        operation("POST", "/things"),
        operation("POST", "/things/{name}/open"),
        operation("GET", "/things/{name}/parts"),
        operation("DELETE", "/things/{key}"),
    ],
)


@pytest.mark.parametrize(
    ("method", "path", "name", "parameters"),
    [
        ("GET", "/api/things", "GET /things", {}),
        ("HEAD", "/api/things", "GET /things", {}),
        ("POST", "/api/things", "POST /things", {}),
        ("POST", "/api/things/a%2Fb%20c/open", "POST /things/{name}/open", {"name": "a/b c"}),
        ("DELETE", "/api/things/a", "DELETE /things/{key}", {"key": "a"}),
        ("DELETE", "/api/things/a/b/c", "DELETE /things/{key}", {"key": "a/b/c"}),
        ("DELETE", "/api/things/%252F", "DELETE /things/{key}", {"key": "%2F"}),
        ("DELETE", "/api/things/", "DELETE /things/{key}", {"key": ""}),
    ],
)
def test_found(method: str, path: str, name: str, parameters: dict[str, str]) -> None:
    found = ROUTER.find(path, method)
    assert found.operation is not None
    assert (found.operation.id, found.parameters) == (name, parameters)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/things", ("GET", "HEAD", "POST")),
        ("GET", "/api/things/a", ("DELETE",)),
        ("DELETE", "/api/things/a/parts", ("GET", "HEAD")),
        ("GET", "/api/things/a/b", ("DELETE",)),
        ("GET", "/api/other", ()),
        ("GET", "/things", ()),
        ("GET", "/api/Things", ()),
    ],
)
def test_not_found(method: str, path: str, allowed: tuple[str, ...]) -> None:
    found = ROUTER.find(path, method)
    assert (found.operation, found.allowed) == (None, allowed)


def test_escapes_must_be_text() -> None:
    with pytest.raises(ValueError, match="decode"):
        ROUTER.find("/api/things/%ff", "DELETE")
