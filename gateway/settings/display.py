"""The config in force as a file would have it: defaults written out, every secret hidden.

What a list holds (routes, rules, caps) stands as it was written: not all of its defaults could be written there.

A secret is hidden for being one: what its section keeps as SecretStr. And a text that `${...}` brought stands as the
file has it, for the environment and mounted files are where secrets come from; a number or an address is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

from pydantic import SecretStr

from gateway.settings.mistakes import Filled, without_defaults
from gateway.settings.types import Kind, Section, keys_of
from gateway.settings.values import Address

#: Stands for a secret.
HIDDEN = "(hidden)"

#: Kinds of value that are no secret, wherever they come from.
_PLAIN = (bool, int, float, Address)

#: A URL may carry a password, as Redis's does.
_USER = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def variables(data: Any) -> Any:
    """What of a file's data `${...}` was filled into, as the file has it; None where there was nothing."""
    if isinstance(data, Filled):
        return without_defaults(data)
    if isinstance(data, list):
        items = [variables(item) for item in data]
        return items if any(item is not None for item in items) else None
    if isinstance(data, Mapping):
        found = {key: inner for key, item in data.items() if (inner := variables(item)) is not None}
        return found or None
    return None


def displayed(section: Section, filled: Any, *, defaults: bool = True) -> dict[str, Any]:
    """A section as a file would have it; `filled` is what `variables` said of it."""
    shown: dict[str, Any] = {}
    for (key, field), name in zip(keys_of(type(section)).items(), type(section).model_fields, strict=True):
        value, written = getattr(section, name), name in section.model_fields_set
        inner = filled.get(key) if isinstance(filled, dict) else None
        kind = next((kind for kind in field.metadata if isinstance(kind, Kind)), None)
        if isinstance(inner, str) and not isinstance(value, _PLAIN):
            shown[key] = inner
        elif value is None:
            # Not written it may mean something else than false, and what is no `off` cannot be written at all.
            if written and (kind is None or kind.off):
                shown[key] = False
        elif not isinstance(value, Enum):  # the one that stands for "as around it" cannot be written either
            found = _value(value, kind, field.annotation, inner, defaults)
            if written or (defaults and found not in ({}, [], "")):
                shown[key] = found
    return shown


def _value(value: Any, kind: Kind | None, annotation: Any, filled: Any, defaults: bool) -> Any:
    if isinstance(filled, str) and not isinstance(value, _PLAIN):
        return filled
    if isinstance(value, SecretStr):
        return HIDDEN
    if kind is not None:
        return _leaf(kind.written(value))
    if isinstance(value, Section):
        return displayed(value, filled, defaults=defaults)
    if isinstance(value, dict):
        return _mapping(value, annotation, filled if isinstance(filled, dict) else {}, defaults)
    if isinstance(value, tuple):
        return _list(value, annotation, filled)
    if isinstance(value, frozenset):
        # Which of them was filled in cannot be told any more.
        return filled if filled is not None else sorted(_list(tuple(value), annotation, None))
    return _leaf(value)


def _mapping(value: dict[Any, Any], annotation: Any, filled: dict[str, Any], defaults: bool) -> dict[str, Any]:
    kind = _inner(annotation)
    return {str(key): _value(item, kind, None, filled.get(str(key)), defaults) for key, item in value.items()}


def _list(value: tuple[Any, ...], annotation: Any, filled: Any) -> list[Any]:
    kind = _inner(annotation)
    # One item may stand in the file without its list.
    each = filled if isinstance(filled, list) else [filled]
    return [
        _value(item, kind, None, each[index] if index < len(each) else None, False)
        for index, item in enumerate(value)
    ]


def _leaf(written: Any) -> Any:
    if isinstance(written, list):
        return [_leaf(item) for item in written]
    if isinstance(written, dict):
        return {key: _leaf(item) for key, item in written.items()}
    return written if isinstance(written, (bool, int, float)) else _USER.sub(HIDDEN, str(written))


def _inner(annotation: Any) -> Kind | None:
    """How the values that a list or a mapping holds are written."""
    if get_origin(annotation) is Annotated:
        return _inner(get_args(annotation)[0])
    arguments = [argument for argument in get_args(annotation) if argument not in (Ellipsis, type(None))]
    if get_origin(annotation) not in (tuple, dict, frozenset):  # a union of a list and None, say
        return next((kind for argument in arguments if (kind := _inner(argument)) is not None), None)
    last = arguments[-1]
    return next((kind for kind in getattr(last, "__metadata__", ()) if isinstance(kind, Kind)), None)
