"""The admin listener: who asks is judged, what is asked is checked, one operation does it.

A request goes through auth.py, router.py and shape.py before an operation sees it. Its body is read last, and no
more of it than LARGEST.
"""

from __future__ import annotations

import logging
from typing import Any, cast
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from gateway.admin import breakers, cache, flags, limits, log, process, watch
from gateway.admin.auth import Gatekeeper, Refusal
from gateway.admin.flag_ports import WrongFlag
from gateway.admin.openapi import document
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.ports import Conflict, NotThere, Ports, Unavailable
from gateway.admin.router import Router
from gateway.admin.schemas import COMPONENTS
from gateway.admin.shape import mistakes
from gateway.listeners.bounded_server import BoundedServer, problem, read_body

#: Some people and programs looking; more than this many at a time is a mistake or an attack.
CONNECTIONS = 64
#: Bytes of a request's body.
LARGEST = 64 << 10
ROOT = limits.ROOT
DOCUMENT = "/openapi.json"

_EMPTY = {"type": "object"}

_logger = logging.getLogger(__name__)


class AdminListener:
    """Serves the API. `host` and `token` are the config's; `reconfigure` takes those of a later one."""

    def __init__(self, ports: Ports, host: str, token: str | None) -> None:
        self._events = ports.events
        self._operations = [
            *breakers.operations(ports.breakers),
            *limits.operations(ports.limits),
            *(() if ports.cache is None else cache.operations(ports.cache)),
            *(() if ports.flags is None else flags.operations(ports.flags)),
            *(() if ports.watch is None else watch.operations(ports, ports.watch)),
            *(() if ports.log is None else log.operations(ports.log)),
            *process.operations(ports.config, ports.process),
        ]
        self._router = Router(ROOT, self._operations)
        self._purge = cache.purge_operation(self._operations)
        self.reconfigure(host, token)
        app = web.Application()
        # One route for all, so that refusals are ours to word, and so that no `Expect` is answered before its time.
        app.router.add_route("*", "/{path:.*}", self._dispatch, expect_handler=_expect_nothing)
        self._server = BoundedServer(app, CONNECTIONS)

    def reconfigure(self, host: str, token: str | None) -> None:
        """Go by another token from the next request on."""
        self._gatekeeper = Gatekeeper(host, token)
        described = document(ROOT, self._operations, protected=self._gatekeeper.protected)
        self._document = orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; gives the address in use. Raises OSError when it cannot be had."""
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Close everything, within a second or two."""
        await self._server.stop()

    async def _dispatch(self, request: web.Request) -> web.Response:
        purge = self._purge if request.method == "PURGE" else None
        refusal = self._gatekeeper.judge(lambda name: request.headers.getall(name, ()), any_host=purge is not None)
        if refusal is not None:
            return self._refused(request, refusal)
        if purge is not None:
            return await self._by_method(request, purge)
        path, _, query = request.raw_path.partition("?")
        if path == DOCUMENT and request.method in ("GET", "HEAD"):
            return web.Response(body=self._document, content_type="application/json")
        try:
            found = self._router.find(path, request.method)
        except ValueError:
            return problem(400, "The path's escapes must be UTF-8.")
        if found.operation is None and (found.allowed or path == DOCUMENT):
            allow = ", ".join(dict.fromkeys(found.allowed or ("GET", "HEAD")))
            return problem(405, "This path is there for other methods; Allow lists them.", {"Allow": allow})
        if found.operation is None:
            return problem(404, f"There is no such path; {DOCUMENT} describes those that there are.")
        return await self._perform(request, found.operation, found.parameters, query)

    async def _by_method(self, request: web.Request, purge: Operation) -> web.Response:
        """PURGE, as other caches have it: of any path, with the site's name as Host."""
        host = request.headers["Host"]
        site = None if self._gatekeeper.is_ours(host) else host
        body = cache.purge_body(request.raw_path, site, request.headers.get("Soft-Purge", ""))
        wrong = _wrong(COMPONENTS[purge.takes], body, "")
        return _mistaken(wrong) if wrong else await self._do(purge, Call({}, {}, body, request.remote or ""))

    def _refused(self, request: web.Request, refusal: Refusal) -> web.Response:
        if refusal.status != 401:
            return problem(refusal.status, refusal.detail)
        self._events.bad_token(request.remote or "")
        return problem(refusal.status, refusal.detail, {"WWW-Authenticate": refusal.challenge})

    async def _perform(
        self, request: web.Request, operation: Operation, path: dict[str, str], query: str
    ) -> web.Response:
        parameters, wrong = _query(operation, query)
        for name, value in path.items():
            wrong += _wrong(operation.path_schemas[name], value, f"/path/{name}")
        if wrong:
            return _mistaken(wrong)
        body = await _body(request, operation)
        if isinstance(body, web.Response):
            return body
        return await self._do(operation, Call(path, parameters, body, request.remote or ""))

    async def _do(self, operation: Operation, call: Call) -> web.Response:
        try:
            answer = await operation.do(call)
        except NotThere as error:
            return problem(404, str(error))
        except Conflict as error:
            return problem(409, str(error))
        except WrongFlag as error:
            wrong = [{"pointer": pointer, "detail": detail} for pointer, detail in error.mistakes]
            return problem(
                409, "With the config in force this cannot be; errors says what is wrong where.", errors=wrong
            )
        except Unavailable as error:
            return problem(503, str(error), {"Retry-After": "1"})
        if operation.changes:
            self._events.changed(call.client, operation.id, {**call.path, **call.query, **_named(call.body)})
        return _answered(operation, answer)


def _query(operation: Operation, query: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The query's parameters, and what is wrong with them: a misspelt `key`, passed over, would reset every key."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=16)
    except ValueError:
        return {}, [{"pointer": "/query", "detail": "must have 16 parameters at most, in UTF-8"}]
    known = {parameter.name: parameter for parameter in operation.query}
    values = {name: value for name, value in pairs if name in known}
    wrong = []
    if any(name not in known for name, _ in pairs):
        listed = ", ".join(known) or "none"
        wrong.append({"pointer": "/query", "detail": f"has a parameter that is not known; known: {listed}"})
    for name, parameter in known.items():
        given = sum(name == other for other, _ in pairs)
        if given > 1:
            wrong.append({"pointer": f"/query/{name}", "detail": "is given twice"})
        elif given:
            wrong += _wrong(parameter.schema, values[name], f"/query/{name}")
        elif parameter.required:
            wrong.append({"pointer": f"/query/{name}", "detail": "is needed"})
    return values, wrong


async def _body(request: web.Request, operation: Operation) -> dict[str, Any] | web.Response:
    """The body as its schema wants it, or what is wrong with it."""
    raw = b""
    if request.body_exists:
        read = await read_body(request, LARGEST)
        if read is None:
            return problem(413, f"A request's body has {LARGEST} bytes at most.")
        raw = read
    if not raw and (operation.optional or not operation.takes):
        return {}
    if request.content_type != "application/json":
        return problem(415, "A request's body is application/json.", {"Accept": "application/json"})
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return problem(400, "The body is not JSON.")
    schema = COMPONENTS[operation.takes] if operation.takes else _EMPTY
    wrong = _wrong(schema, value, "")
    return _mistaken(wrong) if wrong else cast("dict[str, Any]", value)


def _wrong(schema: dict[str, Any], value: Any, pointer: str) -> list[dict[str, str]]:
    return [{"pointer": where, "detail": detail} for where, detail in mistakes(schema, value, pointer)]


def _mistaken(wrong: list[dict[str, str]]) -> web.Response:
    return problem(400, "The request is not as it must be; errors says what is wrong where.", errors=wrong)


def _named(body: dict[str, Any]) -> dict[str, str]:
    """What of a body is told of. A query may hold somebody's secret."""
    return {name: value.partition("?")[0] for name, value in body.items() if isinstance(value, str)}


def _answered(operation: Operation, answer: Answer) -> web.Response:
    response = web.Response(
        status=operation.status,
        body=orjson.dumps(answer.value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
        content_type="application/json",
    )
    if answer.location:
        response.headers["Location"] = answer.location
    return response


async def _expect_nothing(_: web.Request) -> None:
    return None
