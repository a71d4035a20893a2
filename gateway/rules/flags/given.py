"""A context that somebody writes down as a JSON object: an app's code (OFREP), or an operator who asks why.

Each of the usual fields has the names that Unleash, OpenFeature and our own config give it; where there are several,
the first of them that says something counts. Everything is a property by its name, too. What no text can be made of,
an object say, is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.rules.flags.compiling import as_text
from gateway.rules.flags.context import Context
from gateway.rules.flags.instant import parse

_USER = ("userId", "user", "targetingKey")
_SESSION = ("sessionId", "session")
_ADDRESS = ("remoteAddress", "address")
_ENVIRONMENT = ("environment",)
_APP = ("appName", "app")
_NOW = ("currentTime", "now")
_GROUPS = "groups"
_HEADER = "header:"
#: Of what the config names, the names that contexts have for it.
_USUAL = {"user": _USER, "session": _SESSION}


class Here(NamedTuple):
    """What the config says: of contexts that say no other, and by which names a request has what.

    `sources` are names and where in a request each is found, as in `plan` and `header:X-Plan`: a context that says
    the one need not say the other.
    """

    environment: str | None = None
    app: str | None = None
    sources: Mapping[str, str] = {}


class NoMoment(ValueError):
    """The time that the context says is none."""


class _Given(Context):
    """One whose header fields are found by any spelling."""

    __slots__ = ()

    def get(self, name: str) -> str | None:
        found = self.properties.get(name)
        if found is None and name.startswith(_HEADER):
            return self.properties.get(name.lower())
        return found


def context(given: Mapping[str, object], now: float, random: str, here: Here) -> Context:
    """The context that an object describes; the rest stands in for what it says nothing of. Raises NoMoment."""
    properties = {name: _text(value) for name, value in given.items()}
    for name in given:
        if name[: len(_HEADER)].lower() == _HEADER:
            properties[name.lower()] = properties[name]
    for name, place in here.sources.items():
        usual = _USUAL.get(name, (name,))
        source = place.lower() if place.startswith(_HEADER) else place
        said = _first(properties, usual) or properties.get(source)
        if name == _GROUPS and isinstance(given.get(name), list):
            said = ",".join(_groups(given[name]))
        if said:
            properties.setdefault(usual[0], said)
            properties.setdefault(source, said)
    moment = _first(properties, _NOW)
    at = now if moment is None else parse(moment)
    if at is None:
        raise NoMoment
    return _Given(
        user=_first(properties, _USER),
        session=_first(properties, _SESSION),
        address=_first(properties, _ADDRESS),
        environment=_first(properties, _ENVIRONMENT) or here.environment,
        app=_first(properties, _APP) or here.app,
        groups=_groups(given.get(_GROUPS, properties.get(_GROUPS))),
        now=at,
        random=random,
        properties=properties,
    )


def _first(properties: Mapping[str, str | None], names: Sequence[str]) -> str | None:
    return next((text for name in names if (text := properties.get(name))), None)


def _groups(raw: object) -> frozenset[str]:
    """A list of them, or a text with commas in between, as a header field has it."""
    listed = raw if isinstance(raw, list) else (_text(raw) or "").split(",")
    return frozenset(name for one in listed if (name := (_text(one) or "").strip()))


def _text(raw: object) -> str | None:
    """A scalar as text, without what is no character."""
    text = as_text(raw)
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()
