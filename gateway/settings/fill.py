"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` inside a scalar.

Filled in after YAML was read, so what a variable holds is text and never YAML. `$${` stands for a literal `${`.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from gateway.settings.mistakes import Filled, nearest, shown

_PLACE = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)\}?")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
#: Bytes of one value from outside, and of all of them together.
_LARGEST = 64 << 10
_LARGEST_ALL = 1 << 20


def fingerprint(path: Path) -> bytes | None:
    """By what a file's content is known again, without keeping it; None while it cannot be read."""
    try:
        raw = _read(path)
    except (OSError, ValueError):
        return None
    return None if raw is None else hashlib.sha256(raw).digest()


class Filler:
    """Fills in one document's scalars; `folder` is where relative paths begin."""

    def __init__(self, env: Mapping[str, str], folder: str) -> None:
        self._env = env
        self._folder = folder
        self._left = _LARGEST_ALL
        #: Each file that was asked for, with the fingerprint of what was read of it; None where it could not be.
        self.files: dict[Path, bytes | None] = {}

    def fill(self, text: str) -> str:
        """The text with everything filled in, a `Filled` if there was anything; ValueError says what cannot be."""
        if "${" not in text:
            return text
        if not any(match[0] != "$${" for match in _PLACE.finditer(text)):
            return text.replace("$${", "${")
        return Filled(_PLACE.sub(self._value, text), text)

    def _value(self, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if not match[0].endswith("}"):
            raise ValueError("${ without its }; write $${ for the two characters themselves")
        inside = match["inside"]
        value = self._file(inside[5:]) if inside.startswith("file:") else self._variable(inside)
        self._left -= len(value)
        if len(value) > _LARGEST or self._left < 0:
            raise ValueError("what is filled in here is too large")
        return value

    def _variable(self, inside: str) -> str:
        found = _VARIABLE.fullmatch(inside)
        if found is None:
            raise ValueError("write ${NAME}, ${NAME:-default} or ${file:PATH}; $${ for the two characters themselves")
        name, default = found["name"], found["default"]
        if default is not None and "${" in default:
            raise ValueError(f"the default of {name} cannot hold another ${{...}}")
        value = self._env.get(name)
        if value is None and default is None:
            near = nearest(name, self._env)
            raise ValueError(f"the environment has no {name}{f'; did you mean {near!r}?' if near else ''}")
        return value or default or ""

    def _file(self, path: str) -> str:
        place = Path(self._folder, path)
        self.files[place] = None
        try:
            raw = _read(place)
        except ValueError:
            raise ValueError(f"{shown(path)} cannot be a file's path") from None
        except OSError as error:
            raise ValueError(f"{shown(path)} cannot be read: {error.strerror}") from None
        if raw is None:
            raise ValueError(f"{shown(path)} is not a regular file")
        self.files[place] = hashlib.sha256(raw).digest()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{shown(path)} is not UTF-8") from None
        return text.removesuffix("\n").removesuffix("\r")  # editors and `kubectl create secret` end a file so


def _read(path: Path) -> bytes | None:
    """A file's first bytes, one more than may be; None for what is no regular file (a FIFO would block)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_LARGEST + 1)
    finally:
        os.close(descriptor)
