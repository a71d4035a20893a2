"""`headers:` fields to set, add and remove on requests and responses, and those that a browser app should have.

`security` says nothing where the app speaks for itself, and its defaults are such that an ordinary app goes on as
it is: inline scripts, third parties' images and fonts, log-ins and payments in pop-ups, forms that are answered with
a redirect to another site. What would keep them out is for the app's owner to write.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.rules import field_syntax, hop_by_hop
from gateway.rules.field_edits import LIKE_CGI, PLAIN, Edits, Fields, RequestEdits, ResponseEdits
from gateway.settings.types import Alternative, Choice, Section, Switch, Text

# What frames a message, belongs to one connection, or is said by the gateway itself; lower-case, with `-` for `_`.
_FRAMING = {name.decode() for name in hop_by_hop.NAMES} | {"content-length", "trailer"}
_NOT_IN_REQUESTS = _FRAMING | {"expect", "forwarded", "host", "traceparent", "tracestate"}
_NOT_IN_RESPONSES = _FRAMING | {
    *("age", "cache-status", "proxy-status", "ratelimit", "ratelimit-policy", "retry-after"),
}

#: A cache may keep a response by these, whatever it is; the gateway's own refusals keep their `no-store`.
_CACHING = ("cache-control", "surrogate-control")

_HSTS = re.compile(r"max-age=[0-9]{1,10}(; ?(includeSubDomains|preload))*", re.IGNORECASE)


def _request_name(text: str) -> str:
    name = field_syntax.name(text).lower().replace("_", "-")
    if name in _NOT_IN_REQUESTS or name.startswith("x-forwarded-"):
        raise ValueError("this field frames the request or is the gateway's own to say, and cannot be changed here")
    return text


def _response_name(text: str) -> str:
    if field_syntax.name(text).lower() in _NOT_IN_RESPONSES:
        raise ValueError("this field frames the response or is the gateway's own to say, and cannot be changed here")
    return text


def _value(text: str) -> SecretStr:
    """Checked here and kept as text, so that it is nowhere shown."""
    return SecretStr(field_syntax.value(text).decode())


def _security_value(text: str) -> str:
    value = field_syntax.value(text).decode()
    if not value:
        raise ValueError("no value here; write false to leave this field out")
    return value


def _hsts(text: str) -> str:
    if not _HSTS.fullmatch(text):
        raise ValueError("not a policy as in max-age=31536000; includeSubDomains (RFC 6797, section 6.1)")
    return text


_REQUEST_NAME, _RESPONSE_NAME = Text(read=_request_name), Text(read=_response_name)
_VALUE = Text(read=_value)
_MANY = Field(max_length=1000)


class _Changes(Section):
    """What requests' and responses' changes have in common."""

    @field_validator("set", "add", check_fields=False)
    @classmethod
    def _each_once(cls, fields: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if len({name.lower() for name in fields}) < len(fields):
            raise ValueError("a field stands here twice, in different case")
        return fields

    @field_validator("remove", check_fields=False)
    @classmethod
    def _not_set_too(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not {name.lower() for name in names}.isdisjoint(name.lower() for name in info.data.get("set", ())):
            raise ValueError("a field cannot be both set and removed; set replaces whatever there is")
        return names


class RequestChanges(_Changes):
    """On the way to the upstream. Removing and setting take `_` in a client's name for `-`, as many apps do."""

    set: Annotated[dict[Annotated[str, _REQUEST_NAME], Annotated[SecretStr, _VALUE]], _MANY] = Field(
        default_factory=dict
    )
    """Fields and values; they take the place of all that the client sent under their names."""
    add: Annotated[dict[Annotated[str, _REQUEST_NAME], Annotated[SecretStr, _VALUE]], _MANY] = Field(
        default_factory=dict
    )
    """Fields and values that come on top of what the client sent."""
    remove: Annotated[tuple[Annotated[str, _REQUEST_NAME], ...], _MANY] = ()
    """Names of fields that the upstream does not get to see."""


class ResponseChanges(_Changes):
    """On the way to the client: the upstream's responses, and the gateway's own."""

    set: Annotated[dict[Annotated[str, _RESPONSE_NAME], Annotated[SecretStr, _VALUE]], _MANY] = Field(
        default_factory=dict
    )
    """Fields and values; they take the place of all that the response has under their names."""
    add: Annotated[dict[Annotated[str, _RESPONSE_NAME], Annotated[SecretStr, _VALUE]], _MANY] = Field(
        default_factory=dict
    )
    """Fields and values that come on top of what the response has."""
    remove: Annotated[tuple[Annotated[str, _RESPONSE_NAME], ...], _MANY] = ()
    """Names of fields that the client does not get to see."""


class Security(Section):
    """Fields that browsers go by, each added to responses that have none of its name; `false` leaves one out."""

    # No script-src: an app's inline scripts and its third parties' are not known here. No form-action: browsers apply
    # it to the redirects that follow, log-ins and payments among them. No upgrade-insecure-requests: an app may be
    # reached over plain http. No frame-ancestors: it would win over an app's own X-Frame-Options.
    csp: Annotated[str | None, Text(off=True, read=_security_value)] = "base-uri 'self'; object-src 'none'"
    """Content-Security-Policy: by default no `<base>` of another site and no plug-ins."""
    # Without includeSubDomains, which would bind hosts that this gateway knows nothing of.
    hsts: Annotated[str | None, Text(off=True, read=_hsts)] = "max-age=31536000"
    """Strict-Transport-Security: https only from now on; sent only where the client came by https."""
    nosniff: Annotated[bool, Switch()] = True
    """X-Content-Type-Options: nosniff, so that nothing is taken for a script that does not say that it is one."""
    frame: Annotated[str | None, Choice(off=True, words=("DENY", "SAMEORIGIN"))] = "SAMEORIGIN"
    """X-Frame-Options: who may show the app in a frame."""
    # What browsers do by themselves; no-referrer would break checks of Referer against forged requests.
    referrer: Annotated[
        str | None,
        Choice(
            off=True,
            words=(
                "no-referrer",
                "no-referrer-when-downgrade",
                "origin",
                "origin-when-cross-origin",
                "same-origin",
                "strict-origin",
                "strict-origin-when-cross-origin",
                "unsafe-url",
            ),
        ),
    ] = "strict-origin-when-cross-origin"
    """Referrer-Policy: what other sites are told of the page that a request comes from."""
    # same-origin would cut the app off from the pop-ups in which its users log in or pay.
    opener: Annotated[
        str | None,
        Choice(off=True, words=("noopener-allow-popups", "same-origin", "same-origin-allow-popups", "unsafe-none")),
    ] = "same-origin-allow-popups"
    """Cross-Origin-Opener-Policy: whose pages may keep a hand on the app's window."""
    # same-origin would keep an app's files from its neighbour under another subdomain.
    resource: Annotated[str | None, Choice(off=True, words=("cross-origin", "same-origin", "same-site"))] = (
        "same-site"
    )
    """Cross-Origin-Resource-Policy: whose pages may embed what the app serves; requests with CORS are not meant."""
    # The app itself may use what it asks its users for; frames of others may not, and nobody the rarest of all.
    permissions: Annotated[str | None, Text(off=True, read=_security_value)] = (
        "camera=(self), display-capture=(self), geolocation=(self), hid=(), microphone=(self), serial=(), usb=()"
    )
    """Permissions-Policy: which of the browser's powers the app and its frames may ask for."""


class Headers(Section):
    """Changes of header fields, on a listener or a route; where both have some, the route's come after."""

    request: RequestChanges = RequestChanges()
    """On the way to the upstream."""
    response: ResponseChanges = ResponseChanges()
    """On the way to the client."""
    security: Annotated[Security | None, Alternative(true=True)] = None
    """Fields for browsers: `true` for the defaults, or a mapping; a route's keys win over the listener's."""


#: How `headers:` is written: a mapping, or `false` for no changes, on a route not the listener's either.
WAYS = Alternative()


class HeadersGate:
    """Changes the request's fields at once, and leaves the response's for when there is one. Refuses nothing."""

    __slots__ = ("_https", "_plain", "_request")

    def __init__(
        self, request: RequestEdits | None, plain: ResponseEdits | None, https: ResponseEdits | None
    ) -> None:
        self._request = request
        self._plain = plain
        self._https = https

    def check(self, exchange: Exchange, now: float) -> GatewayError | None:  # noqa: ARG002 - time is no matter here
        """Edit what came, and say how to edit what goes."""
        if self._request is not None:
            exchange.head = head = exchange.head.copy()
            self._request.apply(head)
        # RFC 6797, section 7.2: nothing of HSTS over plain http.
        exchange.edit = self._https if exchange.proto.lower() == b"https" else self._plain
        return None

    async def wait(self, exchange: Exchange) -> None:
        """Nothing here waits."""


def gate(listener: Headers | None, route: Headers | None) -> HeadersGate | None:
    """The gate of a route; None where nothing is to be changed."""
    parts = [part for part in (listener, route) if part is not None] if route is not None else []
    request, response = Edits(LIKE_CGI), Edits(PLAIN)
    security: Security | None = None
    for part in parts:
        request = request.then(_edits(part.request, LIKE_CGI))
        response = response.then(_edits(part.response, PLAIN))
        if "security" in part.model_fields_set:
            security = _laid_over(security, part.security)
    plain, https = (_response_edits(response, security, https=https) for https in (False, True))
    if not request and plain is None and https is None:
        return None
    return HeadersGate(RequestEdits(request) if request else None, plain, https)


def _edits(changes: RequestChanges | ResponseChanges, table: bytes) -> Edits:
    fields = [*changes.set.items(), *changes.add.items()]
    return Edits(
        table,
        [name.encode("ascii") for name in (*changes.remove, *changes.set)],
        tuple((name.encode("ascii"), value.get_secret_value().encode()) for name, value in fields),
    )


def _laid_over(earlier: Security | None, later: Security | None) -> Security | None:
    if earlier is None or later is None:
        return later
    return earlier.model_copy(update={key: getattr(later, key) for key in later.model_fields_set})


def _response_edits(edits: Edits, security: Security | None, *, https: bool) -> ResponseEdits | None:
    defaults = () if security is None else _security_fields(security, https=https)
    if not edits and not defaults:
        return None
    return ResponseEdits(edits, defaults, frozenset(n for n in edits.names() if n.decode().endswith(_CACHING)))


def _security_fields(security: Security, *, https: bool) -> Fields:
    fields = {
        b"Content-Security-Policy": security.csp,
        b"Strict-Transport-Security": security.hsts if https else None,
        b"X-Content-Type-Options": "nosniff" if security.nosniff else None,
        b"X-Frame-Options": security.frame,
        b"Referrer-Policy": security.referrer,
        b"Cross-Origin-Opener-Policy": security.opener,
        b"Cross-Origin-Resource-Policy": security.resource,
        b"Permissions-Policy": security.permissions,
    }
    return tuple((name, value.encode()) for name, value in fields.items() if value is not None)
