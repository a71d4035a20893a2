"""Changes as stores keep them: JSON, without the flag's name and the time, which stand beside it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.flags.ports import Change
from gateway.rules.flags.compiling import Wrong
from gateway.rules.flags.layers import Value

#: Bytes of a live value as JSON.
LONGEST_VALUE = 32_768


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
    if not isinstance(raw, Mapping) or not isinstance(flag, str) or type(when) not in (int, float):
        raise Garbage("a change is no mapping, or has no time")
    value, who, why = raw.get("value"), raw.get("who"), raw.get("why")
    if not (value is None or isinstance(value, dict)) or not isinstance(who, str) or not isinstance(why, str):
        raise Garbage(f"a change of {flag} lacks a value, or who made it and why")
    return Change(flag, value, who, why, float(when))  # type: ignore[arg-type]  # checked above


def unsuitable(value: Value) -> list[Wrong]:
    """What no store could keep of a value."""
    try:
        size = len(orjson.dumps(value))
    except TypeError:  # orjson's own errors are of its kind
        return [Wrong((), "it holds what JSON has not: a number of more than 64 bits, or half of a character")]
    if size > LONGEST_VALUE:
        return [Wrong((), f"it takes {size} bytes as JSON, and {LONGEST_VALUE} at most can be kept")]
    return []
