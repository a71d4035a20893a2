"""YAML text as a tree of nodes that know their places.

Built from the parser's events, not by its composer: that one recurses, forgets a key written twice, and lets a few
aliases grow into gigabytes. Here everything is bounded and a scalar stays the text it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from gateway.settings.mistakes import shown

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: Bytes of a document.
LARGEST = 1 << 20
_DEEPEST = 32
_MOST_NODES = 20_000
_NULL = ("", "~", "null", "Null", "NULL")
# YAML 1.2, section 5.1; the C parser would refuse them without saying where.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Unreadable(Exception):
    """The text is not a YAML document that we take; line and column count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(slots=True)
class _Node:
    """Something at its place; `size` counts the nodes below and itself, `height` its levels."""

    line: int
    column: int
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class Scalar(_Node):
    """Text as written, without quotes; `null` when nothing, or YAML's null, is written."""

    text: str = ""
    null: bool = False


@dataclass(slots=True)
class Sequence(_Node):
    """A list."""

    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping(_Node):
    """A mapping, its pairs in order; keys may be anything and occur twice."""

    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    key: Node | None = None


Node = Scalar | Sequence | Mapping


def decode(raw: bytes) -> str:
    """A file's bytes as text: UTF-8, with or without a byte order mark. Raises Unreadable."""
    if len(raw) > LARGEST:
        raise Unreadable(f"the file is larger than {LARGEST >> 20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(raw[: error.start].decode("utf-8", "replace"))
        raise Unreadable("the file is not UTF-8", line, column) from None


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def compose(text: str) -> Node | None:
    """The document's root; None when it holds nothing. Raises Unreadable."""
    if len(text) > LARGEST:
        raise Unreadable(f"the file is larger than {LARGEST >> 20} MiB")
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        raise Unreadable(f"character U+{ord(bad[0]):04X} cannot stand in YAML", *_place(text[: bad.start()]))
    try:
        return _Builder().build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = f"{error.context or 'the YAML'}: {error.problem or 'cannot be read'}"
        if any("${" in written for written in text.splitlines()[line - 1 : line]):
            problem += "; inside {} or [] a ${...} needs quotes"
        raise Unreadable(problem, line, column) from None
    except yaml.YAMLError:
        raise Unreadable("the YAML cannot be read") from None


class _Builder:
    """Puts nodes together from events; `_open` are the lists and mappings not yet closed."""

    def __init__(self) -> None:
        self._open: list[Sequence | Mapping] = []
        self._anchors: dict[str, Node] = {}
        self._anchor_of: list[str | None] = []
        self._root: Node | None = None
        self._nodes = 0

    def build(self, events: Iterator[yaml.Event]) -> Node | None:
        """Read all events of one document."""
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable("one document a file, and here another begins", *_start(event))
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                node = self._open.pop()
                self._close(node, self._anchor_of.pop())
        return self._root

    def _node(self, event: yaml.NodeEvent) -> None:
        line, column = _start(event)
        if isinstance(event, yaml.AliasEvent):
            node = self._anchors.get(event.anchor or "")
            if node is None:
                raise Unreadable(f"the alias {shown(event.anchor)} has no anchor before it", line, column)
            self._add(node, line, column)
            return
        if getattr(event, "tag", None) is not None:
            raise Unreadable("a tag (!) has no meaning here; quotes make a value text", line, column)
        if isinstance(event, yaml.ScalarEvent):
            null = not event.style and event.value in _NULL
            self._close(Scalar(line, column, text=event.value, null=null), event.anchor)
            return
        if len(self._open) >= _DEEPEST:
            raise Unreadable(f"nested more than {_DEEPEST} deep", line, column)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._open.append(Sequence(line, column) if is_list else Mapping(line, column))
        self._anchor_of.append(event.anchor)

    def _close(self, node: Node, anchor: str | None) -> None:
        # Only now, so that no node can contain itself.
        if anchor is not None:
            self._anchors[anchor] = node
        self._add(node, node.line, node.column)

    def _add(self, node: Node, line: int, column: int) -> None:
        """Put a finished node into the collection that is open, or make it the root."""
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if parent.size > _MOST_NODES:
            raise Unreadable(f"more than {_MOST_NODES} values, aliases counted as often as they occur", line, column)
        if parent.height > _DEEPEST:
            raise Unreadable(f"nested more than {_DEEPEST} deep", line, column)
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif parent.key is None:
            parent.key = node
        else:
            parent.pairs.append((parent.key, node))
            parent.key = None


def _start(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
