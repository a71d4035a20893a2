"""One operation of the API: where it is, what it takes, what it answers, and the function that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.admin.shape import Schema


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation is given, checked against its schemas."""

    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    #: The client's address.
    client: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gives: a JSON value and, where it made something, the path of that."""

    value: Any
    location: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query."""

    name: str
    schema: Schema
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` is below the API's root; `{name}` in it is one segment, at the end of it the rest of the path."""

    id: str
    method: str
    path: str
    summary: str
    #: The name of the answer's schema.
    answers: str
    do: Callable[[Call], Awaitable[Answer]]
    status: int = 200
    path_schemas: dict[str, Schema] = field(default_factory=dict)
    query: tuple[Parameter, ...] = ()
    #: The name of the body's schema; without one, a body may only be empty, or an empty object.
    takes: str = ""
    #: The body may be left out; it is an empty object then.
    optional: bool = False
    #: It asks, whatever its method.
    reads: bool = False
    #: Statuses of the problems that only this one has.
    problems: tuple[int, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it changes anything; it is told of then."""
        return self.method != "GET" and not self.reads
