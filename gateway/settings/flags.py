"""`flags:` at the top: what flags there are, what they know of a request, where they are kept, who may force one."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, SecretStr

from gateway.rules import field_syntax
from gateway.rules.flags import request_field
from gateway.rules.flags.context import KNOWN, SHORT
from gateway.settings.flag_forms import Constraints, Definition
from gateway.settings.mistakes import shown, suggestion
from gateway.settings.pattern import parse_prefix
from gateway.settings.types import Alternative, Section, Text, parse_name
from gateway.settings.values import Network, parse_network
from gateway.settings.wanted import parse_flag

#: What the fields begin with by which the app is told of flags, lower-case.
PREFIX = "x-feature-"

_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_TAKEN = frozenset({*KNOWN, *SHORT, request_field.PATH, "default", "random", "groups"})
_TOKEN = re.compile(r"[!-+\--~]{1,200}")
_NAMED = tuple(f"{kind}:NAME" for kind in request_field.NAMED)


def is_own(field: str) -> bool:
    """Whether a request field is one that the gateway takes out of requests and says itself."""
    return field.lower().replace("_", "-").startswith(PREFIX)


def _source(text: str) -> str:
    if text == request_field.PATH or not request_field.known(text):
        raise ValueError(f"{shown(text)} is nothing that requests have{suggestion(text, _NAMED)}")
    kind, _, name = text.partition(":")
    if kind == "header" and is_own(name):
        raise ValueError("fields that begin with X-Feature- are taken out of requests, and say nothing here")
    return str(text)


def _property(text: str) -> str:
    if not _PROPERTY.fullmatch(text):
        raise ValueError(f"{shown(text)} cannot be a property's name: letters, digits and _.-, as in plan")
    if text in _TAKEN:
        raise ValueError(f"{shown(text)} has a meaning already")
    return str(text)


def _base(text: str) -> str:
    return str(text) if text == "/" else parse_prefix(text)


def _header(text: str) -> str:
    name = field_syntax.name(text)
    if is_own(name):
        raise ValueError("fields that begin with X-Feature- tell the app of flags; another name is needed here")
    return name


def _token(text: str) -> SecretStr | None:
    if not text:
        return None
    if not _TOKEN.fullmatch(text):
        raise ValueError("a token is 1 to 200 printable ASCII characters without space and comma")
    return SecretStr(str(text))


_BASE = Text(read=_base)


class Context(Section):
    """Where flags find in a request whom it is from. What is not written is not known, whatever a request has."""

    user: Annotated[str | None, Text(optional=True, read=_source)] = None
    """The user's id: `header:NAME`, `cookie:NAME`, `query:NAME` or `jwt:CLAIM`, as for all of these."""
    session: Annotated[str | None, Text(optional=True, read=_source)] = None
    """The session's id: whom shares go by where no user is known."""
    groups: Annotated[str | None, Text(optional=True, read=_source)] = None
    """The user's groups, with commas in between."""
    environment: Annotated[str | None, Text(optional=True)] = None
    """Where this runs, as in production."""
    app: Annotated[str | None, Text(optional=True)] = None
    """What it stands in front of."""
    properties: Annotated[
        dict[Annotated[str, Text(read=_property)], Annotated[str, Text(read=_source)]], Field(max_length=1000)
    ] = Field(default_factory=dict)
    """Further names for constraints and stickiness, and where they are found."""

    def known(self, name: str) -> bool:
        """Whether flags can ask for this property."""
        kind, _, rest = name.partition(":")
        return name in self.properties or (request_field.known(name) and not (kind == "header" and is_own(rest)))


class Override(Section):
    """Who may force a flag for a request, and how."""

    header: Annotated[str, Text(read=_header)] = "X-Feature"
    """The field that says what to force, as in `NEW_SEARCH, CHECKOUT=blue, UPLOADS=off`."""
    from_: Annotated[
        tuple[Annotated[Network, Text(read=parse_network)], ...], Field(alias="from", max_length=1000)
    ] = ()
    """Clients that may."""
    token: Annotated[SecretStr | None, Text(optional=True, read=_token)] = None
    """Whoever sends it may, from anywhere, as `token=TOKEN` among the flags. Empty is none."""

    @property
    def networks(self) -> tuple[Network, ...]:
        """Clients that may, whatever else they send."""
        return self.from_


class Ofrep(Section):
    """Where the app's code asks for flags, by OpenFeature's Remote Evaluation Protocol."""

    path: Annotated[str, _BASE]
    """What stands in front of /ofrep/v1/… on egress, as in /flags; `/` for nothing."""
    token: Annotated[SecretStr | None, Text(optional=True, read=_token)] = None
    """Whoever asks sends it as `Authorization: Bearer TOKEN` or as `X-API-Key: TOKEN`; empty is none."""

    @property
    def base(self) -> str:
        """The path without a slash at its end: empty for nothing."""
        return self.path.rstrip("/")


class Flags(Section):
    """Feature flags."""

    context: Context = Context()
    """Where they find whom a request is from."""
    segments: Annotated[
        dict[Annotated[str, Text(read=parse_name)], Annotated[Any, Constraints()]], Field(max_length=1000)
    ] = Field(default_factory=dict)
    """Named lists of constraints, which flags may share."""
    define: Annotated[
        dict[Annotated[str, Text(read=parse_flag)], Annotated[Any, Definition()]], Field(max_length=1000)
    ] = Field(default_factory=dict)
    """The flags by name: `true`, `false`, or for whom each is on."""
    store: Annotated[str | None, Text(optional=True)] = None
    """File that keeps what is changed at run time, where there is no `state.redis`."""
    ofrep: Annotated[Ofrep | None, Alternative(short=_BASE, key="path")] = None
    """Where the app's code asks for them; nowhere where it is not written."""
    override: Annotated[Override | None, Alternative()] = None
    """Who may force a flag for a request; nobody where it is not written."""

    @property
    def in_use(self) -> bool:
        """Whether there are flags at all; where not, requests pass as they are."""
        return bool(self.define)
