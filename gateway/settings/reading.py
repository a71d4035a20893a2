"""A document's nodes as the plain data that the models validate, with the place of everything in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.settings.document import Mapping, Node, Scalar, Sequence
from gateway.settings.fill import Filler
from gateway.settings.mistakes import Mistake, shown

#: Where something is in the data: keys and list indexes, outermost first.
Loc = tuple[str | int, ...]
Place = tuple[int, int]


@dataclass(slots=True)
class Reading:
    """What was read of one file: its data, the places, and the mistakes that no model is needed to see.

    Where a mistake leaves no value, the data has None and `settled` the location: nothing more is said of it.
    """

    file: str
    filler: Filler
    mistakes: list[Mistake] = field(default_factory=list)
    settled: set[Loc] = field(default_factory=set)
    keys: dict[Loc, Place] = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)

    def data(self, node: Node, loc: Loc = ()) -> Any:
        """Dicts, lists and texts of a node and all below it; None where a mistake was noted."""
        self.values[loc] = (node.line, node.column)
        if isinstance(node, Mapping):
            return self._mapping(node, loc)
        if isinstance(node, Sequence):
            return [self.data(item, (*loc, index)) for index, item in enumerate(node.items)]
        if node.null:
            self._settle(
                loc, "no value here; leave the key out, or write {} for a section's defaults", self.key_place(loc)
            )
            return None
        try:
            return self.filler.fill(node.text)
        except ValueError as error:
            self._settle(loc, str(error), self.values[loc])
            return None

    def _mapping(self, node: Mapping, loc: Loc) -> dict[str, Any]:
        data: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.pairs:
            if not isinstance(key, Scalar):
                self.note((key.line, key.column), "a key must be text")
            elif key.text == "<<":
                self.note((key.line, key.column), "merge keys (<<) are not supported; an alias is, as a whole value")
            elif "${" in key.text:
                self.note((key.line, key.column), "a variable cannot stand in a key")
            elif key.text in data:
                first = lines[key.text]
                self.note((key.line, key.column), f"{shown(key.text)} is written twice, first in line {first}")
            else:
                inner = (*loc, key.text)
                self.keys[inner] = (key.line, key.column)
                lines[key.text] = key.line
                data[key.text] = self.data(value, inner)
        return data

    def _settle(self, loc: Loc, message: str, place: Place) -> None:
        self.settled.add(loc)
        self.note(place, message)

    def note(self, place: Place, message: str) -> None:
        """Keep a mistake."""
        self.mistakes.append(Mistake(self.file, *place, message))

    def place(self, loc: Loc) -> Place:
        """Where the value at `loc` is, or what is nearest around it."""
        loc = self._written(loc)
        while loc not in self.values:
            loc = loc[:-1]
        return self.values[loc]

    def key_place(self, loc: Loc) -> Place:
        """Where the key at `loc` is; for a list's item, where the item is."""
        return self.keys.get(self._written(loc)) or self.place(loc)

    def _written(self, loc: Loc) -> Loc:
        """The location in the file: the models see a list of one item where the file has the item alone."""
        written: Loc = ()
        for part in loc:
            if part != 0 or (*written, 0) in self.values:
                written = (*written, part)
        return written

    def is_settled(self, loc: Loc) -> bool:
        """Whether a mistake on this very thing, or on what it is part of, was noted while reading."""
        loc = self._written(loc)
        return any(loc[:end] in self.settled for end in range(len(loc) + 1))
