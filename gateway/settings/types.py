"""What the settings models are made of: `Section`, their base, and the kinds of value their fields can have.

A kind stands in a field's annotation, as in `connect: Annotated[float, Duration()]`. It reads what the file says,
always text, and takes a ready value (seconds, bytes, a number) as it is, which is how presets and tests write it;
it checks the bounds, and describes the text for the JSON Schema. Which values YAML itself would see in `no`,
`1:30` or `012` therefore never matters: the field says what a text means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from gateway.settings import values
from gateway.settings.mistakes import shown, suggestion

JsonSchema = dict[str, Any]

#: In place of any value a variable may stand.
VARIABLE: JsonSchema = {"type": "string", "pattern": r"\$\{.+\}"}


class Section(BaseModel):
    """Base of every mapping of the config: frozen, and unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: Keys of the contract that this version does not know yet.
    NOT_YET: ClassVar[frozenset[str]] = frozenset()


def is_off(value: Any) -> bool:
    """Whether a value, as text or ready, is `false`."""
    return value is False or (isinstance(value, str) and value in values.FALSE)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value. `off` allows `false`, which becomes None; `optional` a ready None, which no file can write."""

    off: bool = False
    optional: bool = False

    def parse(self, text: str) -> Any:
        """The value of a text; ValueError with a message for whoever wrote it."""
        raise NotImplementedError

    def written(self, value: Any) -> Any:
        """A value as the file writes it."""
        return str(value)

    def json_schemas(self) -> list[JsonSchema]:
        """How the file may write it."""
        return [{"type": "string"}]

    def check(self, value: Any) -> Any:
        """Read a text, or take a ready value."""
        if isinstance(value, (dict, list)):
            # A ValueError is what pydantic collects.
            raise ValueError(f"must be one value, not a {'mapping' if isinstance(value, dict) else 'list'}")  # noqa: TRY004
        if value is None and not (self.off or self.optional):
            raise ValueError("no value here")
        if value is None or (self.off and is_off(value)):
            return None
        return self.parse(value) if isinstance(value, str) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        ways = self.json_schemas()
        if self.off:
            ways.append({"const": False})
        if {"type": "string"} not in ways:
            ways.append(VARIABLE)
        return ways[0] if len(ways) == 1 else {"anyOf": ways}


@dataclass(frozen=True, slots=True)
class Bounded(Kind):
    """A kind with bounds, both inclusive."""

    low: float = 0
    high: float = float("inf")

    def check(self, value: Any) -> Any:
        """Read it and hold it against the bounds."""
        checked = super(Bounded, self).check(value)
        if checked is not None and not self.low <= checked <= self.high:
            raise ValueError(f"{shown(value)} is out of range: {self._range()}")
        return checked

    def _range(self) -> str:
        if self.high == float("inf"):
            return f"at least {self.written(self.low)}"
        return f"{self.written(self.low)} to {self.written(self.high)}"

    def _or_zero(self, schema: JsonSchema) -> list[JsonSchema]:
        return [schema, {"const": 0}] if self.low == 0 else [schema]


@dataclass(frozen=True, slots=True)
class Duration(Bounded):
    """Seconds as a float, written `30s`."""

    def parse(self, text: str) -> float:
        """See `values.parse_duration`."""
        return values.parse_duration(text)

    def written(self, value: float) -> str:
        """See `values.format_duration`."""
        return values.format_duration(value)

    def json_schemas(self) -> list[JsonSchema]:
        """Text, or the number 0."""
        return self._or_zero({"type": "string", "pattern": values.DURATION})


@dataclass(frozen=True, slots=True)
class Size(Bounded):
    """Bytes as an int, written `64KiB`."""

    def parse(self, text: str) -> int:
        """See `values.parse_size`."""
        return values.parse_size(text)

    def written(self, value: float) -> str:
        """See `values.format_size`."""
        return values.format_size(int(value))

    def json_schemas(self) -> list[JsonSchema]:
        """Text, or the number 0."""
        return self._or_zero({"type": "string", "pattern": values.SIZE})


@dataclass(frozen=True, slots=True)
class Share(Bounded):
    """0.2, written `20%`."""

    def parse(self, text: str) -> float:
        """See `values.parse_share`."""
        return values.parse_share(text)

    def written(self, value: float) -> str:
        """See `values.format_share`."""
        return values.format_share(value)

    def json_schemas(self) -> list[JsonSchema]:
        """Text."""
        return [{"type": "string", "pattern": values.SHARE}]


@dataclass(frozen=True, slots=True)
class Whole(Bounded):
    """An int."""

    def parse(self, text: str) -> int:
        """See `values.parse_integer`."""
        return values.parse_integer(text)

    def written(self, value: float) -> int:
        """Numbers are written as they are."""
        return int(value)

    def json_schemas(self) -> list[JsonSchema]:
        """A whole number with its bounds."""
        high = {} if self.high == float("inf") else {"maximum": int(self.high)}
        return [{"type": "integer", "minimum": int(self.low), **high}]


@dataclass(frozen=True, slots=True)
class Switch(Kind):
    """A bool."""

    def parse(self, text: str) -> bool:
        """See `values.parse_boolean`."""
        return values.parse_boolean(text)

    def written(self, value: bool) -> bool:
        """Booleans are written as they are."""
        return value

    def json_schemas(self) -> list[JsonSchema]:
        """A boolean."""
        return [{"type": "boolean"}]


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Text of one particular form, which `read` takes apart."""

    read: Callable[[str], Any] = str

    def parse(self, text: str) -> Any:
        """See `read`."""
        return self.read(text)


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...] = ()

    def parse(self, text: str) -> str:
        """The word itself."""
        if text not in self.words:
            raise ValueError(f"{shown(text)} is not known{suggestion(text, self.words)}")
        return str(text)

    def json_schemas(self) -> list[JsonSchema]:
        """The words."""
        return [{"enum": list(self.words)}]


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_in(argument)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A mapping that may also be written otherwise: `false` for none, or one value where `short` reads it.

    `false` becomes what `none` makes; `short`, if there is one, becomes a mapping with the one key `key`. Where
    `true` is set, `true` becomes a mapping that says nothing, so that all defaults hold.
    """

    none: Callable[[], Any] = lambda: None
    short: Kind | None = None
    key: str = ""
    true: bool = False

    def read(self, value: Any) -> Any:
        """Bring the other ways into the form of a mapping."""
        if value is None or is_off(value):
            return self.none()
        if self.true and (value is True or (isinstance(value, str) and value in values.TRUE)):
            return {}
        if self.short is not None and isinstance(value, (str, int, float)):
            return {self.key: self.short.check(value)}
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        short = self.short.json_schemas() if self.short is not None else []
        if self.true:
            short.append({"const": True})
        return {"anyOf": [handler(schema), *short, {"const": False}, VARIABLE]}


@dataclass(frozen=True, slots=True)
class Several:
    """A list that may be written as its one item. `off` allows `false`, which becomes `none`."""

    off: bool = False
    none: tuple[()] | None = ()

    def read(self, value: Any) -> Any:
        """Bring the other ways into the form of a list."""
        if self.off and is_off(value):
            return self.none
        return value if value is None or isinstance(value, (list, tuple)) else (value,)

    def written(self, value: Any) -> Any:
        """A list as the file writes it, its one item without brackets."""
        items = [str(item) for item in value]
        return items[0] if len(items) == 1 else items

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        several = handler(schema)
        several = next((way for way in several.get("anyOf", ()) if "items" in way), several)
        ways = [several["items"], several, VARIABLE]
        if self.off:
            ways.append({"const": False})
        return {"anyOf": [way for at, way in enumerate(ways) if way not in ways[:at]]}


def keys_of(section: type[Section]) -> dict[str, FieldInfo]:
    """A section's fields by the keys that the file has for them: a key may be a word that Python keeps to itself."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def parse_name(text: str) -> str:
    """A name of something in the config. It becomes a metric's label and stands in logs, so it is short and plain."""
    if not 0 < len(text) <= 100 or not text.isascii() or not text.isprintable():
        raise ValueError(f"{shown(text)} cannot be a name: 1 to 100 printable ASCII characters")
    if text == "none":
        raise ValueError("'none' cannot be a name: metrics say none for what has no name")
    return str(text)
