"""A flag's value from its layers: the config file's, then the environment's, then the live one.

A layer says some keys of a definition (definition.py) and leaves the others to the layer below. A key that it says
to be null is not there at all, whatever the layers below have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from gateway.rules.flags.bucket import share

#: A definition's keys and their values.
Value = Mapping[str, Any]

_ENABLED, _SHARE = "FEATURE_", "ROLLOUT_"
_ON = frozenset({"1", "true", "on", "yes", "enabled"})
_OFF = frozenset({"0", "false", "off", "no", "disabled"})
#: How like a name must be to one that it is taken for a slip of: difflib's ratio.
_ALIKE = 0.75
_NOT_IN_VARIABLES = re.compile("[^A-Z0-9_]")


class Environment(NamedTuple):
    """What environment variables say of flags, what is wrong with them, and those that no flag is called by.

    What is wrong is said of a flag, and without the value: it may have been meant for another program.
    """

    values: Mapping[str, Value]
    wrong: tuple[tuple[str, str], ...] = ()
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
    wrong: list[tuple[str, str]] = []
    named: set[str] = set()
    for flag in flags:
        name = variable(flag)
        named |= {_ENABLED + name, _SHARE + name}
        enabled = variables.get(_ENABLED + name, "").strip()
        if enabled.lower() in _ON | _OFF:
            values.setdefault(flag, {})["enabled"] = enabled.lower() in _ON
        elif enabled:
            wrong.append((flag, f"{_ENABLED}{name}: true or false is wanted"))
        part = variables.get(_SHARE + name, "").strip()
        if part and share(part) is None:
            wrong.append((flag, f"{_SHARE}{name}: a share of 0 to 100 % is wanted"))
        elif part:
            values.setdefault(flag, {})["rollout"] = part
    unknown = sorted(one for one in variables if one.startswith((_ENABLED, _SHARE)) and one not in named)
    return Environment(values, tuple(wrong), tuple(unknown))


def nearest(unknown: str, flags: Iterable[str]) -> str | None:
    """The variable that one which no flag is called by was perhaps meant to be; None where none is like it."""
    kind = next(one for one in (_ENABLED, _SHARE) if unknown.startswith(one))
    names = [variable(flag) for flag in flags]
    near = get_close_matches(unknown.removeprefix(kind), names, 1, _ALIKE)
    return kind + near[0] if near else None
