"""How a cache's settings are written: `query: {without: [utm_source]}`, the names in a key, tags, whole seconds.

Pure functions from text to value and back. Each raises ValueError with a message for whoever wrote the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from gateway.rules import field_syntax, hop_by_hop
from gateway.settings import values
from gateway.settings.mistakes import shown, suggestion
from gateway.settings.types import Duration, JsonSchema, Kind, Switch, is_off

SORTED = "sorted"
WITHOUT = "without"
STRIP: Final = "strip"

#: Names of parameters, fields or cookies in one key, and tags of one route.
MOST = 1000

_COOKIE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 6265, section 4.1.1
# Without what divides the tags of Cache-Tag (a comma) and of Surrogate-Key (space), and without quotes.
_TAG = re.compile(r"[!#-+\--~]{1,128}")
_PARAMETER = re.compile(r"[^\x00-\x20\x7f&=;#]{1,100}")

# What frames a message or belongs to one connection, what key.host says already, what the cache itself answers to
# (conditions, ranges, directives), and what is another for every request, so that nothing would ever be found.
_NEVER_IN_A_KEY = {name.decode() for name in hop_by_hop.NAMES} | {
    *("cache-control", "content-length", "expect", "host", "pragma", "trailer", "traceparent", "tracestate"),
    *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"),
}


@dataclass(frozen=True, slots=True)
class Query:
    """What of a query belongs to the key: all as it came, all by name, only these parameters, or all but these."""

    sorted: bool = False
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()

    @property
    def written(self) -> Any:
        """As the file has it."""
        if self.only is not None:
            return list(self.only) or False
        return {WITHOUT: list(self.without)} if self.without else (SORTED if self.sorted else True)


WHOLE_QUERY = Query()


@dataclass(frozen=True, slots=True)
class QueryForm(Kind):
    """A Query, written `true`, `sorted`, `false` for none of it, `[page, lang]` or `{without: [utm_source]}`."""

    def check(self, value: Any) -> Any:
        """Read it."""
        if isinstance(value, Query):
            return value
        if value is True or value in values.TRUE:
            return WHOLE_QUERY
        if is_off(value):
            return Query(only=())
        if isinstance(value, dict):
            if list(value) != [WITHOUT]:
                raise ValueError("a mapping here has the one key without, as in {without: [utm_source]}")
            return Query(sorted=True, without=_parameters(value[WITHOUT]))
        if isinstance(value, (list, tuple)):
            return Query(sorted=True, only=_parameters(value))
        if value == SORTED:
            return Query(sorted=True)
        if value is None:
            raise ValueError("no value here")
        words = ("true", "false", SORTED)
        raise ValueError(
            f"{shown(str(value))} says nothing of a query{suggestion(str(value), words)}; "
            "or write a list of parameters, or {without: [...]}"
        )

    def written(self, value: Any) -> Any:
        """A Query as the file writes it."""
        return value.written

    def json_schemas(self) -> list[JsonSchema]:
        """A word, a list, or a mapping with a list."""
        names = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST}
        without = {
            "type": "object", "properties": {WITHOUT: names}, "required": [WITHOUT], "additionalProperties": False,
        }  # fmt: skip
        return [{"type": "boolean"}, {"const": SORTED}, names, without]


def _parameters(written: Any) -> tuple[str, ...]:
    if not isinstance(written, (list, tuple)) or not 0 < len(written) <= MOST:
        raise ValueError(f"names of parameters are a list of 1 to {MOST}, as in [page, lang]")
    for name in written:
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
            raise ValueError("a parameter's name is 1 to 100 characters, decoded, without space and & = ; #")
    return tuple(map(str, written))


@dataclass(frozen=True, slots=True)
class CookieForm(Switch):
    """What becomes of a response that sets a cookie: a bool for whether it is kept with it, or STRIP."""

    def parse(self, text: str) -> Any:
        """`true`, `false` or `strip`."""
        return STRIP if text == STRIP else super(CookieForm, self).parse(text)

    def json_schemas(self) -> list[JsonSchema]:
        """A boolean, or the word."""
        return [{"type": "boolean"}, {"const": STRIP}]


@dataclass(frozen=True, slots=True)
class Seconds(Duration):
    """Whole seconds as an int: caches count in no less (RFC 9111, section 1.2.2)."""

    def check(self, value: Any) -> Any:
        """Read it and hold it against the bounds."""
        seconds = super(Seconds, self).check(value)
        if seconds is not None and seconds != int(seconds):
            raise ValueError(f"{shown(str(value))} is no whole number of seconds, in which caches count")
        return seconds if seconds is None else int(seconds)


def parse_field(text: str) -> str:
    """A request field that belongs to a key."""
    if field_syntax.name(text).lower() in _NEVER_IN_A_KEY:
        raise ValueError(f"{shown(text)} cannot be in a key: it is about the message, its connection, or the cache")
    return str(text)


def parse_cookie(text: str) -> str:
    """A cookie's name."""
    if not _COOKIE.fullmatch(text):
        raise ValueError(f"{shown(text)} is not the name of a cookie")
    return str(text)


def parse_tag(text: str) -> str:
    """A tag by which to purge, as Cache-Tag and Surrogate-Key could bear it."""
    if not _TAG.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a tag: 1 to 128 printable ASCII characters, no space, comma or quote")
    return str(text)
