"""A flag's value from its layers: the config file's, then the environment's, then the live one.

A layer says some keys of a definition (definition.py) and leaves the others to the layer below. A key that it says
to be null is not there at all, whatever the layers below have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.rules.flags.bucket import share
from gateway.rules.flags.compiling import shown

#: A definition's keys and their values.
Value = Mapping[str, Any]

_ENABLED, _SHARE = "FEATURE_", "ROLLOUT_"
_ON = frozenset({"1", "true", "on", "yes", "enabled"})
_OFF = frozenset({"0", "false", "off", "no", "disabled"})
_NOT_IN_VARIABLES = re.compile("[^A-Z0-9_]")


class Environment(NamedTuple):
    """What environment variables say of flags, what is wrong with them, and those that no flag is called by."""

    values: Mapping[str, Value]
    wrong: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def as_value(raw: object) -> Value | None:
    """A definition as a mapping: `true` and `false` alone are whether it is enabled. None for what is neither."""
    if isinstance(raw, bool):
        return {"enabled": raw}
    return raw if isinstance(raw, Mapping) else None


def merged(*layers: object) -> object:
    """The value of all layers, the lowest first; None is a layer that says nothing.

    What is no definition at all is given as it is, for the compiler to refuse.
    """
    result: dict[str, Any] = {}
    for raw in layers:
        if raw is None:
            continue
        value = as_value(raw)
        if value is None:
            return raw
        result.update(value)
    return {key: value for key, value in result.items() if value is not None}


def patched(value: Value | None, change: Value) -> Value | None:
    """A layer's value after a change: its keys replace, null ones are left to the layer below. None: nothing is left.

    As JSON Merge Patch (RFC 7396), one level deep.
    """
    result = {key: one for key, one in {**(value or {}), **change}.items() if key not in change or one is not None}
    return result or None


def variable(flag: str) -> str:
    """What of a variable's name is the flag's: `new-dashboard` is in FEATURE_NEW_DASHBOARD."""
    return _NOT_IN_VARIABLES.sub("_", flag.upper())


def environment(variables: Mapping[str, str], flags: Iterable[str]) -> Environment:
    """What FEATURE_NAME (whether it is enabled) and ROLLOUT_NAME (its share) say. An empty one says nothing."""
    values: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    named: set[str] = set()
    for flag in flags:
        name = variable(flag)
        named |= {_ENABLED + name, _SHARE + name}
        enabled = variables.get(_ENABLED + name, "").strip()
        if enabled.lower() in _ON | _OFF:
            values.setdefault(flag, {})["enabled"] = enabled.lower() in _ON
        elif enabled:
            wrong.append(f"{_ENABLED}{name}: true or false is wanted, not {shown(enabled)}")
        part = variables.get(_SHARE + name, "").strip()
        if part and share(part) is None:
            wrong.append(f"{_SHARE}{name}: a share of 0 to 100 % is wanted, not {shown(part)}")
        elif part:
            values.setdefault(flag, {})["rollout"] = part
    unknown = sorted(one for one in variables if one.startswith((_ENABLED, _SHARE)) and one not in named)
    return Environment(values, tuple(dict.fromkeys(wrong)), tuple(unknown))
