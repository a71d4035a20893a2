"""Finds the operation that a path and a method name, with the path's parameters decoded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from gateway.admin.operation import Operation


class Found(NamedTuple):
    """Without an operation, `allowed` are the methods that the path has; none where there is no such path."""

    operation: Operation | None
    parameters: dict[str, str]
    allowed: tuple[str, ...]


class Router:
    """The operations below `root`. A parameter is decoded after the path was split, so it may hold slashes.

    2001:db8::/64 is a key, and not everybody escapes its slash: where no path has as many segments, one's last
    parameter takes the rest.
    """

    def __init__(self, root: str, operations: Iterable[Operation]) -> None:
        self._operations = [((root + operation.path).split("/"), operation) for operation in operations]

    def find(self, path: str, method: str) -> Found:
        """The operation; HEAD is GET's. Raises ValueError where the path's escapes are no UTF-8."""
        segments = path.split("/")
        allowed: list[str] = []
        for rest in (False, True):
            for pattern, operation in self._operations:
                parameters = _match(pattern, segments, rest=rest)
                if parameters is None:
                    continue
                if operation.method == ("GET" if method == "HEAD" else method):
                    return Found(operation, parameters, ())
                allowed += ["GET", "HEAD"] if operation.method == "GET" else [operation.method]
            if allowed:
                break
        return Found(None, {}, tuple(allowed))


def _match(pattern: list[str], segments: list[str], *, rest: bool) -> dict[str, str] | None:
    parameters = {}
    if rest and pattern[-1].startswith("{") and len(segments) > len(pattern):
        segments = [*segments[: len(pattern) - 1], "/".join(segments[len(pattern) - 1 :])]
    if len(segments) != len(pattern):
        return None
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{"):
            parameters[part[1:-1]] = unquote(segment, errors="strict")
        elif part != segment:
            return None
    return parameters
