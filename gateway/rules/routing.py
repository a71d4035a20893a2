"""Which route takes a request: patterns tried in the order written.

`/a` is exact, `/users/:id` matches one segment, `/static/**` the subtree with its root, `/**` everything. A route may
depend on more than path and method: then `find` tells which might take the request, and `choose` which does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.rules import request_target


class Choice(NamedTuple):
    """A route that matches the path, by its place; `others` are the methods that it takes, without the one asked."""

    place: int
    others: frozenset[str] | None = None


class Found(NamedTuple):
    """The route that matched, by its place in the list; or, with place -1, the methods other routes would take.

    With `choices` it is not known yet (place -1, too): these match the path, in their order, and some depend on more,
    or may not be spoken of.
    """

    place: int
    allowed: tuple[str, ...]
    choices: tuple[Choice, ...] = ()


_REMEMBERED = 2048
_REMEMBERED_LENGTH = 128

NOWHERE = Found(-1, ())


@dataclass(frozen=True, slots=True)
class Pattern:
    """A route's path pattern, compiled. A None in `segments` stands for any one segment."""

    segments: tuple[bytes | None, ...]
    subtree: bool

    @classmethod
    def compile(cls, text: str) -> Pattern:
        """Compile a pattern that the settings have found well-formed."""
        raw = text.encode()
        subtree = raw.endswith(b"/**")
        # The root's subtree has no segments of its own; everywhere else a trailing slash is an empty last segment.
        parts = [] if raw == b"/**" else (raw[1:-3] if subtree else raw[1:]).split(b"/")
        # Each is read as in a path, but `%3Aid` is no parameter.
        return cls(
            tuple(None if part[:1] == b":" else request_target.read(b"/" + part).match[1:] for part in parts), subtree
        )

    @property
    def literal(self) -> bytes | None:
        """The one path, or the root of the one subtree, that it matches; None when it has parameters."""
        parts = [part for part in self.segments if part is not None]
        if len(parts) != len(self.segments):
            return None
        return b"/" + b"/".join(parts)

    def matches(self, path: bytes) -> bool:
        """Whether a path, in the reading for matching, belongs to this pattern."""
        if self.subtree and not self.segments:
            return True
        parts = path[1:].split(b"/")
        if len(parts) < len(self.segments) or (len(parts) > len(self.segments) and not self.subtree):
            return False
        return all(
            part == wanted if wanted is not None else bool(part)
            for wanted, part in zip(self.segments, parts, strict=False)
        )


class Router:
    """Finds the first route that takes a path and a method.

    Exact paths are looked up; only patterns are tried one by one, and only those written before the exact one.
    """

    __slots__ = ("_depend", "_exact", "_found", "_hidden", "_methods", "_patterns")

    def __init__(
        self,
        routes: Sequence[tuple[str, Sequence[str] | None]],
        depend: Collection[int] = (),
        hidden: Collection[int] = (),
    ) -> None:
        """`depend` are the places of the routes that depend on more than these two, `hidden` of those whose methods
        are not everybody's to know.
        """
        self._depend, self._hidden = frozenset(depend), frozenset(hidden)
        self._methods = [None if methods is None else frozenset(methods) for _, methods in routes]
        # What was found lately; bounded, and long paths are not worth remembering.
        self._found: dict[tuple[bytes, bytes], Found] = {}
        self._exact: dict[bytes, list[int]] = {}
        self._patterns: list[tuple[int, bytes | None, bytes, Pattern]] = []
        for index, (text, _) in enumerate(routes):
            pattern = Pattern.compile(text)
            literal = pattern.literal
            if literal is not None and not pattern.subtree:
                self._exact.setdefault(literal, []).append(index)
            else:
                below = b"" if literal is None or literal == b"/" else literal + b"/"
                self._patterns.append((index, literal, below, pattern))

    def find(self, path: bytes, method: bytes) -> Found:
        """The first route for `path` and `method`; `path` in its reading for matching."""
        key = (path, method)
        found = self._found.get(key)
        if found is None:
            found = self._find(path, method)
            if len(path) <= _REMEMBERED_LENGTH:
                if len(self._found) >= _REMEMBERED:
                    self._found.clear()
                self._found[key] = found
        return found

    @staticmethod
    def choose(
        choices: Sequence[Choice], met: Callable[[int], bool], shows: Callable[[int], bool] = lambda _: True
    ) -> Found:
        """The first of them that takes the request, where `met` says which are there at all, and `shows` which of
        these may be spoken of.
        """
        allowed: set[str] = set()
        for place, others in choices:
            if met(place):
                if others is None:
                    return Found(place, ())
                if shows(place):
                    allowed |= others
        return Found(-1, tuple(sorted(allowed))) if allowed else NOWHERE

    def _find(self, path: bytes, method: bytes) -> Found:
        name = method.decode("ascii")
        choices: list[Choice] = []
        for index in self._candidates(path):
            methods = self._methods[index]
            if methods is None or name in methods or (name == "HEAD" and "GET" in methods):
                choices.append(Choice(index))
                if index not in self._depend:
                    break
            else:
                choices.append(Choice(index, methods | {"HEAD"} if "GET" in methods else methods))
        if self._depend.isdisjoint(place for place, _ in choices):
            found = self.choose(choices, lambda _: True)
            if found.place >= 0 or self._hidden.isdisjoint(place for place, _ in choices):
                return found
        return Found(-1, (), tuple(choices))

    def _candidates(self, path: bytes) -> list[int]:
        found = list(self._exact.get(path, ()))
        first = found[0] if found else len(self._methods)
        for index, literal, below, pattern in self._patterns:
            if index > first and self._takes_all(first):
                break
            if literal is None:
                if pattern.matches(path):
                    found.append(index)
            elif path == literal or path.startswith(below):
                found.append(index)
            if found and found[-1] == index and self._takes_all(index):
                first = min(first, index)
        found.sort()
        return found

    def _takes_all(self, index: int) -> bool:
        return self._methods[index] is None and index not in self._depend
