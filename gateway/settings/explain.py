"""What pydantic found wrong, said to whoever wrote the file, at its place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from gateway.settings.mistakes import Mistake, nearest, shown, suggestion
from gateway.settings.reading import Loc, Place, Reading
from gateway.settings.types import Section, keys_of, sections_in

_MAPPING = "must be a mapping (key: value)"
_LIST = "must be a list, as in [one, two]"
_CONTAINERS = (tuple, dict)
_PLAIN = {
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "tuple_type": _LIST,
    "frozen_set_type": _LIST,
    "too_short": "needs at least one item",
    "too_long": "has more than 1000 items",
}


def explain(error: ValidationError, reading: Reading, root: type[Section]) -> Iterator[Mistake]:
    """Every mistake of a validation, but for what was already said while reading."""
    errors = error.errors(include_url=False, include_input=False)
    around = {found["loc"][:end] for found in errors for end in range(len(found["loc"]))}
    for found in errors:
        loc = found["loc"]
        # A list whose items are all wrong is reported as too short besides.
        if not reading.is_settled(loc) and not (found["type"] == "too_short" and loc in around):
            place, message = _explain(found["type"], loc, found, reading, root)
            yield Mistake(reading.file, *place, message)


def _explain(kind: str, loc: Loc, found: Any, reading: Reading, root: type[Section]) -> tuple[Place, str]:
    if kind == "extra_forbidden":
        return reading.key_place(loc), _unknown(str(loc[-1]), section_at(loc[:-1], root))
    if kind == "missing":
        return reading.key_place(loc[:-1]), f"needs {loc[-1]}"
    if loc[-1:] == ("[key]",):
        return reading.key_place(loc[:-1]), str(found["ctx"]["error"])
    if kind == "value_error":
        return reading.place(loc), str(found["ctx"]["error"])
    return reading.place(loc), _PLAIN.get(kind, "is not valid")


def _unknown(key: str, section: type[Section]) -> str:
    if key in section.NOT_YET:
        return f"{key} is not supported yet"
    known = {*keys_of(section), *section.NOT_YET}
    near = nearest(key, known)
    if near in section.NOT_YET:
        return f"unknown key {shown(key)}; {near} would be near, which is not supported yet"
    return f"unknown key {shown(key)}{suggestion(key, keys_of(section))}"


def section_at(loc: Loc, root: type[Section]) -> type[Section]:
    """The model of the mapping at a location in the data."""
    section, inside_container = root, False
    for part in loc:
        if inside_container:  # a list's index or a name: what it holds is already known
            inside_container = False
            continue
        annotation = keys_of(section)[str(part)].annotation
        inside_container = any(get_origin(one) in _CONTAINERS for one in (annotation, *get_args(annotation)))
        section = next(sections_in(annotation))
    return section
