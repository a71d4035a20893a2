"""What is wrong with a config: one mistake with its place, the error that holds all of them, and their wording."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

_LONGEST_SHOWN = 60
_MOST_COMPARED = 200
_DEFAULT = re.compile(r":-[^}]*\}")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing wrong, at a place in a file; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(Exception):
    """A config that cannot be used; `mistakes` has at least one, in the file's order. `files` are as in Settings."""

    def __init__(self, mistakes: Iterable[Mistake], files: Mapping[Path, bytes | None] | None = None) -> None:
        self.mistakes = sorted(set(mistakes))
        self.files = dict(files or {})
        super().__init__("\n".join(map(str, self.mistakes)))


class Filled(str):
    """Text that `${...}` was filled into. It may be a secret, so messages show it as the file has it."""

    __slots__ = ("written",)

    written: str

    def __new__(cls, text: str, written: str) -> Filled:
        """`text` is the value, `written` how the file has it."""
        self = super().__new__(cls, text)
        self.written = written
        return self


def without_defaults(filled: Filled) -> str:
    """How the file has it, but for the defaults, which may be secrets too."""
    return _DEFAULT.sub(":-…}", filled.written)


def shown(value: object) -> str:
    """A value as a message may show it: quoted, on one line, not long, and never what a variable held."""
    text = without_defaults(value) if isinstance(value, Filled) else str(value)
    if len(text) > _LONGEST_SHOWN:
        text = text[: _LONGEST_SHOWN - 1] + "…"
    return repr(text)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be; None when nothing is near."""
    # Comparing is slow: long names are cut, and of very many only the first are looked at.
    names = {known_name.lower(): known_name for known_name in islice(known, _MOST_COMPARED)}
    found = difflib.get_close_matches(name[:_LONGEST_SHOWN].lower(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown name: the nearest known one, or all of them when they are few."""
    names = sorted(known)
    near = nearest(name, names)
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 20 else ""
