"""Fields of an event as one line of a log: JSON for programs, or text for people.

Nothing that a client sent can end the line or move a terminal's cursor: control characters leave here escaped,
DEL and the C1 range among them, which JSON would let through.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping

import orjson

_DEL = 0x7F
#: A table: to format a number would take longer than all else about a time.
_MILLISECONDS = tuple(f"{number:03d}Z" for number in range(1000))
_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[\w.,:;/@%+*()\[\]<>!?&#~$^|-]+", re.ASCII)


class Clock:
    """Wall-clock time as RFC 3339 in UTC with milliseconds. What the last one shares with the next is kept."""

    __slots__ = ("_millisecond", "_prefix", "_second", "_text")

    def __init__(self) -> None:
        self._millisecond = self._second = -1
        self._prefix = self._text = ""

    def text(self, now: float) -> str:
        """`now` is in seconds since the epoch. For one thread, or under a lock."""
        millisecond = int(now * 1000)
        if millisecond == self._millisecond:
            return self._text
        second = millisecond // 1000
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._second = second
        self._millisecond = millisecond
        self._text = self._prefix + _MILLISECONDS[millisecond - second * 1000]
        return self._text


def json_line(fields: Mapping[str, object] | str) -> bytes:
    """One JSON value with its newline; whatever JSON cannot hold becomes the text nearest to it."""
    try:
        line = orjson.dumps(fields, default=_text, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a lone surrogate, or an integer past 64 bits
        plain = _text(fields) if isinstance(fields, str) else {key: _text(value) for key, value in fields.items()}
        line = orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)
    if line.isascii() and _DEL not in line:
        return line
    return _CONTROLS.sub(_escape, line.decode()).encode()


def text_line(fields: Mapping[str, object]) -> bytes:
    """`TIME LEVEL event key=value …` with its newline; a value that is not plain is quoted as in JSON."""
    rest = dict(fields)
    start = f"{rest.pop('time', '')} {_text(rest.pop('level', '')):<7} {_quoted(rest.pop('event', ''))}"
    return " ".join((start, *(f"{key}={_quoted(value)}" for key, value in rest.items()))).encode() + b"\n"


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value).encode("utf-8", "backslashreplace").decode()


def _quoted(value: object) -> str:
    text = _text(value)
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")
