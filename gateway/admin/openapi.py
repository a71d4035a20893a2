"""`/openapi.json`: the API's description, made from the operations themselves."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from gateway.admin.operation import Operation
from gateway.admin.schemas import COMPONENTS

#: The API's own version: it grows within 1, and what breaks somebody's program would be /api/v2/.
VERSION = "1.0"

_DESCRIPTION = """\
Looks into a running gateway and changes it. Errors are problems (RFC 9457). Bodies are JSON.
Host must be an IP address, localhost or the host that `admin.bind` names, and web pages of other sites are refused.
Answers may gain members; those that there are stay.
"""


def document(root: str, operations: Iterable[Operation], *, protected: bool) -> dict[str, Any]:
    """The description, as OpenAPI 3.1; `protected` says whether a token is needed."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(root + operation.path, {})[operation.method.lower()] = _operation(operation, protected)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "gateway admin API", "version": VERSION, "description": _DESCRIPTION},
        "paths": paths,
        "components": {"schemas": COMPONENTS},
    }
    if protected:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
    return described


def _operation(operation: Operation, protected: bool) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in operation.path_schemas.items()
    ] + [
        {"name": parameter.name, "in": "query", "required": parameter.required, "schema": parameter.schema}
        for parameter in operation.query
    ]
    answer: dict[str, Any] = {
        "description": HTTPStatus(operation.status).phrase,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.answers}"}}},
    }
    if operation.status == 201:
        answer["headers"] = {"Location": {"schema": {"type": "string"}, "description": "Where DELETE undoes it."}}
    problems = {400, 403, 413, 415, 421, 500, *operation.problems, *({401} if protected else ())}
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": {
            str(operation.status): answer,
            **{str(status): _problem(status) for status in sorted(problems)},
        },
    }
    if parameters:
        described["parameters"] = parameters
    if operation.takes:
        described["requestBody"] = {
            "required": not operation.optional,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.takes}"}}},
        }
    return described


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status == 401:
        described["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return described
