"""Changes as stores keep them: JSON, without the flag's name and the time, which stand beside it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.flags.ports import Change
from gateway.rules.flags.compiling import Wrong
from gateway.rules.flags.layers import Value

#: Bytes of a live value as JSON, and lists and mappings within one another, as the config file may have.
LONGEST_VALUE, DEEPEST = 32_768, 32
#: Seconds since 1970 of a change that somebody's clock may have given, and of none that is later (the year 4821).
LATEST = 9e10


class Garbage(Exception):
    """What is kept cannot be read."""


def encoded(change: Change) -> bytes:
    """A change's value, who made it and why."""
    return orjson.dumps({"value": change.value, "who": change.who, "why": change.why})


def decoded(flag: str, when: float, data: bytes) -> Change:
    """What `encoded` gave. Raises Garbage."""
    try:
        return change(flag, when, orjson.loads(data))
    except ValueError:
        raise Garbage(f"a change of {flag} is no JSON") from None


def change(flag: object, when: object, raw: object) -> Change:
    """A change of parts that were JSON. Raises Garbage."""
    if not isinstance(raw, Mapping) or not isinstance(flag, str) or isinstance(when, bool):
        raise Garbage("a change is no mapping, or has no time")
    if not isinstance(when, (int, float)) or not 0 <= when < LATEST:
        raise Garbage(f"a change of {flag} has a time that no clock gives")
    value, who, why = raw.get("value"), raw.get("who"), raw.get("why")
    if not (value is None or isinstance(value, dict)) or not isinstance(who, str) or not isinstance(why, str):
        raise Garbage(f"a change of {flag} lacks a value, or who made it and why")
    if _deep(value):
        raise Garbage(f"a change of {flag} has more than {DEEPEST} lists and mappings within one another")
    return Change(flag, value, who, why, float(when))


def _deep(value: object) -> bool:
    """Whether it has more than DEEPEST levels."""
    level: list[object] = [value]
    for _ in range(DEEPEST + 1):
        inner: list[object] = []
        for one in level:
            inner += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
        if not inner:
            return False
        level = inner
    return True


def unsuitable(value: Value) -> list[Wrong]:
    """What no store could keep of a value."""
    if _deep(value):
        return [Wrong((), f"it has more than {DEEPEST} lists and mappings within one another")]
    try:
        size = len(orjson.dumps(value))
    except TypeError:  # orjson's own errors are of its kind
        return [Wrong((), "it holds what JSON has not: a number of more than 64 bits, or half of a character")]
    if size > LONGEST_VALUE:
        return [Wrong((), f"it takes {size} bytes as JSON, and {LONGEST_VALUE} at most can be kept")]
    return []
