"""`request:` what a request must be to be let in: its size, the kind of its content, the fields it must have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.errors import (
    ContentTooLarge,
    GatewayError,
    HeaderMissing,
    HeadersTooLarge,
    TargetTooLong,
    UnsupportedMediaType,
)
from gateway.exchange import Exchange
from gateway.rules import field_lines, field_syntax, media_type
from gateway.rules.media_type import MediaRanges
from gateway.rules.request_head import RequestHead
from gateway.settings.types import Alternative, Section, Size, Text, Whole

_NONE = Alternative()
_FEW = Field(min_length=1, max_length=1000)


class RequestGuards(Section):
    """What requests must keep to, on a listener or a route, whose keys win; None for no such limit."""

    max_body: Annotated[int | None, Size(high=1 << 40, off=True)] = None
    """Bytes of the body; more get 413, or are cut off when it is chunked and they come."""
    content_types: Annotated[tuple[Annotated[str, Text(read=media_type.media_range)], ...] | None, _FEW, _NONE] = None
    """Media types of a body, as in `[application/json, text/*]`; another gets 415."""
    required_headers: Annotated[tuple[Annotated[str, Text(read=field_syntax.name)], ...] | None, _FEW, _NONE] = None
    """Header fields that must be there, and not empty; without one of them, 400."""
    max_headers: Annotated[int | None, Whole(low=1, high=10_000, off=True)] = None
    """Header fields; more get 431."""
    max_header_size: Annotated[int | None, Size(low=64, high=1 << 20, off=True)] = None
    """Bytes of the header fields; more get 431."""
    max_uri: Annotated[int | None, Size(low=1, high=1 << 20, off=True)] = None
    """Bytes of path and query; more get 414."""


#: How `request:` is written: a mapping, or `false` for no guards, on a route not the listener's either.
WAYS = Alternative(none=lambda: dict.fromkeys(RequestGuards.model_fields))


def resolve(listener: RequestGuards, route: RequestGuards) -> RequestGuards:
    """What holds on a route: its own keys, and the listener's where it has none."""
    return listener.model_copy(update={key: getattr(route, key) for key in route.model_fields_set})


class RequestGate:
    """Refuses requests that do not keep to the guards."""

    __slots__ = ("_max_body", "_max_header_size", "_max_headers", "_max_uri", "_required", "_types", "_wanted")

    def __init__(self, guards: RequestGuards) -> None:
        self._max_body = guards.max_body
        self._max_headers = guards.max_headers
        self._max_header_size = guards.max_header_size
        self._max_uri = guards.max_uri
        self._required = [(name, name.lower().encode("ascii")) for name in guards.required_headers or ()]
        self._types = None if guards.content_types is None else MediaRanges(guards.content_types)
        self._wanted = guards.content_types or ()

    def check(self, exchange: Exchange, now: float) -> GatewayError | None:  # noqa: ARG002 - guards know no time
        """What is wrong with the head; a chunked body's size shows only as it comes."""
        head = exchange.head
        if self._max_uri is not None and len(head.path) + len(head.query) > self._max_uri:
            return TargetTooLong(f"Paths and queries of more than {self._max_uri} bytes are not taken here.")
        if self._max_headers is not None and field_count(head, self._max_headers) > self._max_headers:
            return HeadersTooLarge(f"More than {self._max_headers} header fields are not taken here.")
        if self._max_header_size is not None and field_size(head, self._max_header_size) > self._max_header_size:
            return HeadersTooLarge(f"More than {self._max_header_size} bytes of header fields are not taken here.")
        has_body = bool(head.length) or head.chunked
        names = field_lines.names(head.kept) if self._required or (self._types is not None and has_body) else []
        for name, lower in self._required:
            if not any(_values(head, names, lower)):
                return HeaderMissing(f"The header field {name} is needed here.")
        return self._check_body(exchange, names) if has_body else None

    async def wait(self, exchange: Exchange) -> None:
        """Nothing here waits."""

    def _check_body(self, exchange: Exchange, names: list[bytes]) -> GatewayError | None:
        head = exchange.head
        if self._types is not None:
            stated = media_type.essence(_values(head, names, b"content-type"))
            if stated is None or not self._types.has(stated):
                return UnsupportedMediaType(self._wanted)
        if self._max_body is not None:
            if (exchange.body.received if head.length is None else head.length) > self._max_body:
                return self._too_large()
            if head.chunked:
                exchange.body.bound(self._max_body, self._too_large)
        return None

    def _too_large(self) -> ContentTooLarge:
        return ContentTooLarge(f"Bodies of more than {self._max_body} bytes are not taken here.")


def gate(listener: RequestGuards, route: RequestGuards) -> RequestGate | None:
    """The gate of a route; None where nothing is to be guarded."""
    guards = resolve(listener, route)
    return RequestGate(guards) if any(value is not None for _, value in guards) else None


def _values(head: RequestHead, names: list[bytes], name: bytes) -> list[bytes]:
    """As `head.values`, quicker where several fields are looked for; `names` are those of the kept ones."""
    if name in head.noted:
        return head.noted[name]
    return [head.kept[4 * place + 2] for place, one in enumerate(names) if one == name] if name in names else []


def field_count(head: RequestHead, enough: int) -> int:
    """How many header fields a request has; not counted to the end where it has at most `enough`.

    Those that the listener reads and those that are passed on are two sets that overlap.
    """
    kept, noted = head.kept, head.noted
    most = len(kept) // 4 + sum(map(len, noted.values()))
    return most if most <= enough else most - sum(name in noted for name in field_lines.names(kept))


def field_size(head: RequestHead, enough: int) -> int:
    """How many bytes of header fields it has, with their line ends; as `field_count`."""
    kept, noted = head.kept, head.noted
    most = len(b"".join(kept)) + sum(len(name) + len(value) + 4 for name, values in noted.items() for value in values)
    if most <= enough:
        return most
    passed = noted.keys() & field_lines.names(kept)
    return most - sum(len(name) + len(value) + 4 for name in passed for value in noted[name])
