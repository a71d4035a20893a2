"""OFREP, OpenFeature's protocol for asking about flags from afar: what a request says, and what is answered.

A flag without variants is true or false, as variant `on` or `off`: the words that the headers to the app have. One
with variants is, when it is on, the variant's payload, or its name where it has none; when it is off it has no value,
by which a provider takes the default that the app's code names (the protocol's decision 6). The protocol leaves open
what a context holds, and lets a request have none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.rules.flags.answer import Answer
from gateway.rules.flags.flag import Flag

#: Error codes of OpenFeature's.
PARSE_ERROR, INVALID_CONTEXT, FLAG_NOT_FOUND = "PARSE_ERROR", "INVALID_CONTEXT", "FLAG_NOT_FOUND"


class Unreadable(ValueError):
    """A request that says nothing, by one of OpenFeature's codes; the text says why, without the app's bytes."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code = code


def given(body: bytes) -> Mapping[str, object]:
    """The context that a request's body has. Raises Unreadable."""
    if not body:
        return {}
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Unreadable(PARSE_ERROR, "The body is not JSON.") from None
    found = value.get("context", {}) if isinstance(value, dict) else {}
    if not isinstance(found, dict):
        raise Unreadable(INVALID_CONTEXT, "context is not an object.")
    return found


def worded(flag: Flag, answer: Answer) -> dict[str, Any]:
    """What a flag says, as the protocol words it."""
    said: dict[str, Any] = {"key": flag.name, "reason": answer.reason, "variant": variant(answer)}
    value = _value(flag, answer)
    if value is not None:
        said["value"] = value
    return said


def variant(answer: Answer) -> str:
    """An answer in one word."""
    if not answer.on:
        return "off"
    return answer.variant.name if answer.variant else "on"


def failed(error: Unreadable, key: str | None = None) -> dict[str, str]:
    """What a request that cannot be read is answered; `key` where it is about one flag."""
    named = {} if key is None else {"key": key}
    return {**named, "errorCode": error.code, "errorDetails": str(error)}


def unknown(key: str) -> dict[str, str]:
    """What is said of a flag that there is not."""
    return {"key": key, "errorCode": FLAG_NOT_FOUND, "errorDetails": "There is no flag of this name."}


def _value(flag: Flag, answer: Answer) -> Any:
    if answer.on and answer.variant is not None:
        payload = answer.variant.payload
        return answer.variant.name if payload is None or payload.data is None else payload.data
    if flag.variants or any(strategy.variants for strategy in flag.strategies):
        return None
    return answer.on
